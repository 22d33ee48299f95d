import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A file of the corpus. */
export interface CorpusFile {
  /** `valid/chat.ww`. */
  readonly path: string
  readonly text: string
  readonly valid: boolean
  /** What its first line says: `line:column code`, in the order of the file; of a valid one these are warnings. */
  readonly expected: readonly string[]
}

const FOLDER = fileURLToPath(new URL('./corpus', import.meta.url))

/** Every file of the corpus, in the order of their names. */
export function corpus(): readonly CorpusFile[] {
  return ['valid', 'invalid'].flatMap((kind) =>
    readdirSync(join(FOLDER, kind))
      .filter((name) => name.endsWith('.ww'))
      .sort()
      .map((name) => {
        const text = readFileSync(join(FOLDER, kind, name), 'utf8')
        const first = /^\ufeff?# expect: (.*)/.exec(text)?.[1] ?? ''
        const expected = first.trim() === '' ? [] : first.trim().split(/\s*,\s*/)
        return { path: `${kind}/${name}`, text, valid: kind === 'valid', expected }
      }),
  )
}
