import type { Span } from './ast.ts'
import { DIAGNOSTICS, type DiagnosticCode } from './codes.ts'
import type { Diagnostic } from './diagnostic.ts'
import type { Source } from './source.ts'

/** Most errors, and most warnings, that are told of one source. */
export const MAX_DIAGNOSTICS = 100

/** Collects what is wrong with one source, in the order in which it is found. */
export interface DiagnosticLog {
  readonly list: readonly Diagnostic[]
  /** How many errors were told, those beyond the limit and those that only repeat others included. */
  readonly errors: number
  /**
   * The severity is that of the code. A second error at the same place is not kept: it would only repeat the first. A message that is a
   * function is only asked for if it is kept.
   */
  add(code: DiagnosticCode, span: Span, message: string | (() => string), hint?: string): void
}

/** A log without entries. */
export function createDiagnosticLog(source: Source): DiagnosticLog {
  const list: Diagnostic[] = []
  const told = new Set<number>()
  const counts = { error: 0, warning: 0 }
  let errors = 0

  function add(code: DiagnosticCode, span: Span, message: string | (() => string), hint?: string): void {
    const { severity } = DIAGNOSTICS[code]
    if (severity === 'error') errors++
    if (counts[severity] > MAX_DIAGNOSTICS) return
    if (severity === 'error') {
      if (told.has(span.start)) return
      told.add(span.start)
    }
    if (++counts[severity] > MAX_DIAGNOSTICS) {
      // Errors beyond the limit are never just dropped: whoever asks "are there any" is told so by the hundred before them.
      if (severity === 'error' && counts.error === MAX_DIAGNOSTICS + 1) {
        list.push(diagnosticAt(source, 'too-many', span, `there are more than ${MAX_DIAGNOSTICS} errors`))
      }
      return
    }
    list.push(diagnosticAt(source, code, span, typeof message === 'string' ? message : message(), hint))
  }

  return Object.freeze({
    list,
    add,
    get errors() {
      return errors
    },
  })
}

function diagnosticAt(source: Source, code: DiagnosticCode, span: Span, message: string, hint?: string): Diagnostic {
  return {
    severity: DIAGNOSTICS[code].severity,
    code,
    message,
    file: source.name,
    span: { start: span.start, end: span.end },
    ...source.positionAt(span.start),
    ...(hint === undefined ? {} : { hint }),
  }
}
