import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { describeThrown } from '../../../kit/errors.ts'
import type { Knowledge } from '../knowledge/knowledge.ts'
import type { Memory } from '../memory/memory.ts'
import type { Settings } from '../settings.ts'

/** What stands around a model. */
export interface Surroundings {
  readonly prompt: string | undefined
  readonly memory: Memory | undefined
  readonly knowledge: Knowledge | undefined
  /** How many pieces of the knowledge base are added. */
  readonly hits: number
}

/** What a model is told before a question: its prompt, then what the knowledge base has for the question. Undefined for nothing. */
export async function systemText(
  { prompt, knowledge, hits }: Surroundings,
  question: string,
): Promise<string | undefined> {
  const pieces = (await knowledge?.query(question, hits)) ?? []
  const known = pieces.map(({ file, text }) => `[${file}]\n${text}`)
  const context =
    known.length === 0 ? [] : [`What is known of it, with the names of the files:\n\n${known.join('\n\n')}`]
  const texts = [...(prompt === undefined ? [] : [prompt]), ...context]
  return texts.length === 0 ? undefined : texts.join('\n\n')
}

/** A prompt as a text, or as `{ file: "…" }` beside the .ww file. Rejects with CONFIG_INVALID for anything else. */
export async function promptIn(
  settings: Settings,
  key: string,
  { folder }: { readonly folder: string },
): Promise<string | undefined> {
  const [first, ...more] = settings.list(key)
  if (first === undefined || (typeof first === 'string' && more.length === 0)) return first as string | undefined
  const { file } = settings.block(key)
  if (typeof file !== 'string') throw settings.fault(`"${key}" must be a text, or a block with "file"`)
  return readFile(resolve(folder, file), 'utf8').catch((cause: unknown) => {
    throw settings.fault(`"${key}": "${file}" cannot be read: ${describeThrown(cause)}`)
  })
}
