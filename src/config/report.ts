import type { Span } from './ast.ts'
import type { Diagnostic } from './diagnostic.ts'
import type { LoadCode } from './load-codes.ts'
import type { Source } from './source.ts'

/** Collects what is wrong with files, or worth a word, each at its place. */
export class Report {
  readonly #found: Diagnostic[] = []
  /** Variables that are not set are errors, unless the files are only checked: another machine may set them. */
  readonly onlyChecks: boolean

  constructor(onlyChecks: boolean) {
    this.onlyChecks = onlyChecks
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#found
  }

  get hasErrors(): boolean {
    return this.#found.some(({ severity }) => severity === 'error')
  }

  /** What the parser found. */
  add(diagnostics: readonly Diagnostic[]): void {
    this.#found.push(...diagnostics)
  }

  error(source: Source, span: Span, code: LoadCode, message: string, hint?: string): void {
    this.#put('error', source, span, code, message, hint)
  }

  warning(source: Source, span: Span, code: LoadCode, message: string, hint?: string): void {
    this.#put('warning', source, span, code, message, hint)
  }

  /** An error for who wants to run the files; a warning for who only checks them. */
  here(source: Source, span: Span, code: LoadCode, message: string, hint?: string): void {
    this.#put(this.onlyChecks ? 'warning' : 'error', source, span, code, message, hint)
  }

  /** Forgets that a bare word was read as a text where it is wrong altogether. */
  #drop(file: string, start: number): void {
    const index = this.#found.findIndex(
      (one) => one.code === 'bare-text' && one.file === file && one.span.start === start,
    )
    if (index >= 0) this.#found.splice(index, 1)
  }

  #put(
    severity: Diagnostic['severity'],
    source: Source,
    { start, end }: Span,
    code: LoadCode,
    message: string,
    hint: string | undefined,
  ): void {
    const { line, column } = source.positionAt(start)
    if (severity === 'error') this.#drop(source.name, start)
    this.#found.push({
      severity,
      code,
      message,
      file: source.name,
      span: { start, end },
      line,
      column,
      ...(hint === undefined ? {} : { hint }),
    })
  }
}
