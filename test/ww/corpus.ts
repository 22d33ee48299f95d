import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** `valid` and `invalid` are for the parser alone; `loaded` is for all that is known of kinds, names and routes as well. */
export type CorpusFolder = 'valid' | 'invalid' | 'loaded'

/** A file of the corpus. */
export interface CorpusFile {
  /** `valid/chat.ww`. */
  readonly path: string
  readonly text: string
  readonly folder: CorpusFolder
  /** What its first line says: `line:column code`, in the order of the file; of a valid one these are warnings. */
  readonly expected: readonly string[]
}

const FOLDER = fileURLToPath(new URL('./corpus', import.meta.url))

/** Every file of a folder of the corpus, in the order of their names. */
export function corpus(folder: CorpusFolder): readonly CorpusFile[] {
  return readdirSync(join(FOLDER, folder))
    .filter((name) => name.endsWith('.ww'))
    .sort()
    .map((name) => {
      const text = readFileSync(join(FOLDER, folder, name), 'utf8')
      const first = /^\ufeff?# expect: (.*)/.exec(text)?.[1] ?? ''
      const expected = first.trim() === '' ? [] : first.trim().split(/\s*,\s*/)
      return { path: `${folder}/${name}`, text, folder, expected }
    })
}
