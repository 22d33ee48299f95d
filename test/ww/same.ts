import type { FileNode } from '../../src/config/ast.ts'

/** A tree without what only spelling decides: places, kinds of quotes, separators, and blanks in comments. */
export function meaningOf(file: FileNode): unknown {
  return JSON.parse(
    JSON.stringify(file, function (this: { type?: string }, key, value) {
      if (key === 'start' || key === 'end' || key === 'separator' || key === 'quote') return undefined
      return key === 'text' && this.type === 'comment' ? value.trim() : value
    }),
  )
}
