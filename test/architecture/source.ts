import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { blank } from './blank.ts'

/** One file as the guards see it. */
export interface Source {
  /** From the repository's root, with `/`. */
  readonly path: string
  readonly text: string
  /** The text with comments, strings and regular expressions blanked; every offset and line is that of `text`. */
  readonly code: string
}

/** One `import`, `export … from` or `import()`. */
export interface Import {
  readonly specifier: string
  readonly line: number
  /** The file a relative specifier names, from the repository's root; undefined for packages and `node:`. */
  readonly target: string | undefined
}

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

const SKIPPED = new Set(['node_modules', 'dist', 'coverage'])

/** The source of a text that need not exist on disk. */
export function sourceOf(path: string, text: string): Source {
  return { path, text, code: blank(text) }
}

/** All `.ts` and `.mjs` files below the folders; folders that do not exist yet are empty. */
export function sourcesIn(...folders: readonly string[]): readonly Source[] {
  return folders.flatMap(filesBelow).map((path) => sourceOf(path, readFileSync(join(ROOT, path), 'utf8')))
}

function filesBelow(folder: string): readonly string[] {
  if (!existsSync(join(ROOT, folder))) return []
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : filesBelow(path)
    return /\.(ts|mjs)$/.test(entry.name) ? [path] : []
  })
}

/** Whether a file holds tests; the rules for shipped code do not bind it. */
export function isTest(path: string): boolean {
  return /\.(test|test-d)\.ts$/.test(path)
}

/** The line of an offset, counted from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** `src/kit/ring.ts:12`, for failure texts. */
export function where(source: Source, offset: number): string {
  return `${source.path}:${lineAt(source.text, offset)}`
}

const IMPORT = /\bfrom\s*(?=['"])|\bimport\s*(?=['"])|\bimport\s*\(\s*(?=['"`])/g

/** Every import of a file, type imports and dynamic ones included. */
export function importsOf(source: Source): readonly Import[] {
  return [...source.code.matchAll(IMPORT)].map((match) => {
    const start = match.index + match[0].length
    const end = source.code.indexOf(source.code[start] ?? "'", start + 1)
    const specifier = source.text.slice(start + 1, end)
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(source.path), specifier) : undefined
    return { specifier, line: lineAt(source.text, match.index), target }
  })
}
