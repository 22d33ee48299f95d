import type { Span } from './ast.ts'

/** Something that is wrong with a file, or worth a word, at its place. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning'
  /** Stable; the table is in docs/ww-language.md. For example `unknown-name`. */
  readonly code: string
  /** One line: what was found, what was expected. Never a value of a variable. */
  readonly message: string
  /** The file, as it is shown to people. */
  readonly file: string
  readonly span: Span
  /** 1-based; the column counts code points. */
  readonly line: number
  readonly column: number
  /** The nearest name, or what to do. */
  readonly hint?: string
}
