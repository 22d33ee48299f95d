import type { EntryNode } from './ast.ts'
import { clip, type Lexer } from './lexer.ts'

/** Up to so many entries are compared one by one. */
const FEW = 12

/** Tells of keys that a block has twice. */
export function tellDuplicates(lexer: Lexer, entries: readonly EntryNode[]): void {
  // Most blocks are small: a map for each would cost more than all else that is read of them.
  const first = entries.length > FEW ? new Map<string, EntryNode>() : undefined
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!
    const key = keyOf(entry)
    if (key === undefined) continue
    const earlier = first === undefined ? withKey(entries, key, index) : first.get(key)
    if (earlier === undefined) {
      first?.set(key, entry)
      continue
    }
    lexer.log.add('duplicate-key', entry.key, () => {
      const { line, column } = lexer.source.positionAt(earlier.start)
      return `found \`${clip(key)}\` again, expected it once: it stands in line ${line}, column ${column}`
    })
  }
}

function withKey(entries: readonly EntryNode[], key: string, end: number): EntryNode | undefined {
  for (let index = 0; index < end; index++) {
    const entry = entries[index]!
    if (keyOf(entry) === key) return entry
  }
  return undefined
}

/** The text of a key; undefined when a variable is part of it. */
export function keyOf(entry: EntryNode): string | undefined {
  if (entry.key.type === 'word') return entry.key.text
  const { parts } = entry.key
  return parts.every((part) => typeof part === 'string') ? parts.join('') : undefined
}
