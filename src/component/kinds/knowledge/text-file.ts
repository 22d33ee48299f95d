import { appendFile, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { BusError, describeThrown } from '../../../kit/errors.ts'
import type { KindDefinition, ToolDescription } from '../../kind.ts'
import { defineKind } from '../define.ts'
import { settingsOf } from '../settings.ts'
import { textOf, toolRequestOf } from '../text.ts'
import type { Knowledge, KnowledgeBehaviour, Piece } from './knowledge.ts'
import { bestPieces, piecesOf } from './search.ts'

/** Most bytes that are read in all. */
const MOST_BYTES = 64 * 1_024 * 1_024

const TEXT = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] }
const TOOLS: readonly ToolDescription[] = [
  {
    name: 'query',
    summary: 'finds the pieces of the text that fit a question best, with the names of their files',
    inputs: { ...TEXT, properties: { ...TEXT.properties, n: { type: 'integer', default: 3 } } },
  },
  { name: 'read', summary: 'the whole text', inputs: { type: 'object', properties: {} } },
  { name: 'write', summary: 'puts a text in the place of what is there', inputs: TEXT },
  { name: 'append', summary: 'adds a text at the end, on a line of its own', inputs: TEXT },
]

/** `knowledge_base text_file`: a text file, or a folder of them, that is read, written and searched by words. */
export const TEXT_FILE: KindDefinition = defineKind({
  kind: 'knowledge_base text_file',
  role: 'knowledge-base',
  summary: 'a text file, or the text files of a folder, searched by words',
  keys: {
    path: { type: 'text', required: true, summary: 'the file or folder, beside the .ww file' },
    readonly: { type: 'flag', default: false, summary: 'refuses write and append' },
  },
  make(spec, { folder }): KnowledgeBehaviour {
    const settings = settingsOf(spec, TEXT_FILE)
    const path = resolve(folder, settings.text('path') as string)
    const isReadonly = settings.flag('readonly')
    const knowledge: Knowledge = {
      query: async (text, count = 3) => bestPieces(await readPieces(path), text, count),
    }
    return {
      knowledge,
      tools: () => (isReadonly ? TOOLS.slice(0, 2) : TOOLS),
      async handle(message) {
        const asked = toolRequestOf(message.data) ?? { action: 'query', inputs: { text: textOf(message.data) } }
        const count = typeof asked.inputs.n === 'number' ? asked.inputs.n : 3
        const text = textOf(asked.inputs)
        if (isReadonly && (asked.action === 'write' || asked.action === 'append')) {
          throw new BusError('HANDLER_FAILED', `"${spec.name}" may only be read`)
        }
        switch (asked.action) {
          case 'query':
            return knowledge.query(text, count)
          case 'read':
            return (await readPath(path)).map((one) => one.text).join('\n')
          case 'write':
            await writeFile(path, text)
            return 'written'
          case 'append':
            await appendFile(path, `${text}\n`)
            return 'added'
          default:
            throw new BusError(
              'HANDLER_FAILED',
              `"${spec.name}" has no action "${asked.action}"; there are: query, read, write, append`,
            )
        }
      },
    }
  },
})

async function readPieces(path: string): Promise<readonly Piece[]> {
  return (await readPath(path)).flatMap(({ file, text }) => piecesOf(file, text))
}

/** Every file is read anew: it may have been changed by hand. */
async function readPath(path: string): Promise<readonly Piece[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [{ file: basename(path), text: await readFile(path, 'utf8') }]
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    const texts: Piece[] = []
    let bytes = 0
    for (const entry of entries.filter((one) => one.isFile()).sort((a, b) => a.name.localeCompare(b.name))) {
      const file = join(entry.parentPath, entry.name)
      bytes += (await stat(file)).size
      if (bytes > MOST_BYTES) throw new Error(`more than ${MOST_BYTES} bytes`)
      const text = await readFile(file, 'utf8')
      // Bytes that are no text: pictures, databases.
      if (!text.includes('\u0000')) texts.push({ file: relative(path, file), text })
    }
    return texts
  } catch (cause) {
    throw new BusError('HANDLER_FAILED', `${basename(path)} cannot be read: ${describeThrown(cause)}`, { cause })
  }
}
