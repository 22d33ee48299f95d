import { readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, relative, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FileNode, IncludeNode } from './ast.ts'
import type { LoadCode } from './load-codes.ts'
import { parse } from './parser.ts'
import type { Report } from './report.ts'
import { createSource, type Source } from './source.ts'

/** A file that was read. */
export interface Unit {
  readonly source: Source
  readonly file: FileNode
  /** Its folder: what it names is found beside it. Absolute. */
  readonly folder: string
}

/** All files of a swarm. */
export interface Units {
  /** What is included stands before what includes it. */
  readonly units: readonly Unit[]
  /** Modules with kinds, which were included: urls, in order. */
  readonly modules: readonly { readonly url: string; readonly source: Source; readonly node: IncludeNode }[]
}

/** Larger files are refused before they are read: a device or a log is no description of a swarm. */
const MOST_BYTES = 16 * 1_048_576
const MOST_FILES = 1_000
const MODULE = /\.(?:ts|mts|js|mjs)$/

/**
 * Parses a text, and whatever it includes, each file once. Everything that is included lies in `folder` or below it, symbolic links
 * followed. What is wrong is told to `report`; the rest is there all the same.
 */
export function readUnits(main: Source, folder: string, report: Report): Units {
  const units: Unit[] = []
  const modules: { readonly url: string; readonly source: Source; readonly node: IncludeNode }[] = []
  const root = realOf(folder) ?? folder
  const done = new Set<string>()
  const open: string[] = []
  const read = (source: Source, path: string, own: string): void => {
    const { file, diagnostics } = parse(source)
    report.add(diagnostics)
    open.push(path)
    for (const item of file.items) if (item.type === 'include') include(source, item, own)
    open.pop()
    units.push({ source, file, folder: own })
  }
  const include = (source: Source, node: IncludeNode, own: string): void => {
    const fault = (code: LoadCode, message: string, hint?: string): void =>
      report.error(source, node.path, code, message, hint)
    const [first = '', ...more] = node.path.parts
    if (typeof first !== 'string' || more.length > 0) {
      fault('include-path', 'an include names a file: found a text with a variable', 'write the path itself')
      return
    }
    const wanted = resolve(own, first)
    const path = realOf(wanted)
    // Judged before it is asked whether it exists: what lies outside is nobody's business.
    if (!isInside(root, path ?? wanted) || !isInside(root, wanted, folder)) {
      fault(
        'include-outside',
        `"${first}" lies outside of the folder of the main file`,
        'only what lies in it is included',
      )
      return
    }
    if (path === undefined) {
      fault('include-missing', `there is no file "${first}"`, 'the path is relative to the file that includes it')
      return
    }
    if (open.includes(path)) {
      const circle = [...open.slice(open.indexOf(path)), path].map((one) => basename(one)).join(' → ')
      fault('include-cycle', `files include each other: ${circle}`)
      return
    }
    if (done.has(path)) return
    done.add(path)
    if (MODULE.test(path)) {
      modules.push({ url: pathToFileURL(path).href, source, node })
      return
    }
    if (units.length + open.length >= MOST_FILES) {
      fault('include-missing', `there are more than ${MOST_FILES} files`)
      return
    }
    const text = textOf(path)
    if (typeof text !== 'string') fault('include-missing', `"${first}" cannot be read: ${text.fault}`)
    else read(createSource(nameOf(main.name, folder, wanted), text), path, dirname(wanted))
  }
  read(main, realOf(resolve(folder, basename(main.name))) ?? '', folder)
  return { units, modules }
}

/** The text of a file; without a byte order mark, and whatever its line ends. */
export function textOf(path: string): string | { readonly fault: string } {
  try {
    const found = statSync(path)
    if (!found.isFile()) return { fault: 'it is no file' }
    if (found.size > MOST_BYTES) return { fault: `it has ${found.size} bytes; at most ${MOST_BYTES} are read` }
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return { fault: 'there is no such file' }
    return { fault: code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8' : message }
  }
}

/** As people call it who named the main file. */
function nameOf(main: string, folder: string, path: string): string {
  const before = main.slice(0, main.length - basename(main).length)
  return `${before}${relative(folder, path).split(sep).join('/')}`
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

function isInside(root: string, path: string, other: string = root): boolean {
  return [root, other].some((one) => path.startsWith(one.endsWith(sep) ? one : `${one}${sep}`))
}
