import { posix } from 'node:path'
import { isTest, type Source, where } from './source.ts'

const LIST = /\bexport\s+(?:type\s+)?\{([^}]*)\}(\s*from\s*)?/g
const DECLARATION =
  /^[ \t]*(export\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\s*\*?|const|let|class|interface|type)\s+([\w$]+)/gm

const FORBIDDEN: readonly (readonly [pattern: RegExp, text: string])[] = [
  [/\bexport\s*\*/g, '`export *`: list the names by hand'],
  [/^[ \t]*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s+[\w$]+/gm, 'an enum: use a union of strings'],
  [/\bexport\s+default\b|\bas\s+default\b/g, 'a default export: give it its name'],
  [/^[ \t]*(?:export\s+)?(?:declare\s+)?(?:namespace|module)\s+[\w$.]+\s*\{/gm, 'a namespace: a file is enough'],
]

/** Forms of declaration that `src/` does without. */
export function formFaults(sources: readonly Source[]): readonly string[] {
  return sources
    .filter((source) => !isTest(source.path))
    .flatMap((source) =>
      FORBIDDEN.flatMap(([pattern, text]) =>
        [...source.code.matchAll(pattern)].map((match) => `${where(source, match.index)} has ${text}`),
      ),
    )
}

/** Exports reachable from the doors that have no doc comment directly before their declaration. */
export function undocumentedExports(sources: readonly Source[], doors: readonly string[]): readonly string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  return [...new Set(doors.flatMap((door) => doorFaults(door, byPath)))]
}

type Sources = ReadonlyMap<string, Source>

function doorFaults(door: string, byPath: Sources): readonly string[] {
  const source = byPath.get(door)
  if (!source) return []
  const listed = listsOf(source).flatMap(({ names, target, offset }) =>
    names.flatMap((name) => nameFaults(name, target ?? door, byPath, `${where(source, offset)} exports ${name}`)),
  )
  const declared = [...source.code.matchAll(DECLARATION)]
    .filter((match) => match[1] !== undefined && !hasDoc(source, match.index))
    .map((match) => `${where(source, match.index)}: ${match[2]} has no doc comment`)
  return [...listed, ...declared]
}

/** Follows a name through re-exports to its declaration. */
function nameFaults(name: string, path: string, byPath: Sources, asked: string): readonly string[] {
  const source = byPath.get(path)
  if (!source) return [`${asked} from ${path}, which does not exist`]
  // Of overloads, the first one carries the comment.
  const declaration = [...source.code.matchAll(DECLARATION)].find((match) => match[2] === name)
  if (declaration) {
    return hasDoc(source, declaration.index) ? [] : [`${where(source, declaration.index)}: ${name} has no doc comment`]
  }
  const list = listsOf(source).find(({ names, target }) => target !== undefined && names.includes(name))
  if (list?.target === undefined) return [`${asked}, which ${path} does not declare`]
  return nameFaults(name, list.target, byPath, asked)
}

interface List {
  /** As the file they come from calls them. */
  readonly names: readonly string[]
  readonly target: string | undefined
  readonly offset: number
}

function listsOf(source: Source): readonly List[] {
  return [...source.code.matchAll(LIST)].map((match) => {
    const names = (match[1] ?? '').split(',').map(
      (item) =>
        item
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)[0] ?? '',
    )
    const start = match.index + match[0].length
    const specifier = source.text.slice(start + 1, source.code.indexOf(source.code[start] ?? "'", start + 1))
    const target = match[2] === undefined ? undefined : posix.join(posix.dirname(source.path), specifier)
    return { names: names.filter(Boolean), target, offset: match.index }
  })
}

function hasDoc(source: Source, declaration: number): boolean {
  const before = source.text.slice(0, declaration).trimEnd()
  if (!before.endsWith('*/')) return false
  return before.slice(before.lastIndexOf('/*')).startsWith('/**')
}
