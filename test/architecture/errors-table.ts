/** One row of the errors table. */
export interface ErrorRow {
  readonly family: string
  readonly text: string
  readonly next: string
}

/** Differences between the code's error table and the one in `docs/errors.md`. */
export function errorTableFaults(errors: Readonly<Record<string, ErrorRow>>, markdown: string): readonly string[] {
  const rows = documented(markdown)
  const faults: string[] = []
  for (const [code, row] of rows) {
    const known = errors[code]
    if (!known) faults.push(`docs/errors.md:${row.line} documents ${code}, which src/kit/errors.ts does not have`)
    else {
      for (const [column, actual, wanted] of [
        ['family', row.family, known.family],
        ['meaning', row.text, known.text],
        ['what to do', row.next, known.next],
      ]) {
        if (actual !== wanted) {
          faults.push(
            `docs/errors.md:${row.line} ${code}, ${column}: "${actual}", but src/kit/errors.ts says "${wanted}"`,
          )
        }
      }
    }
  }
  for (const code of Object.keys(errors)) {
    if (!rows.has(code)) faults.push(`docs/errors.md:1 lacks ${code} of src/kit/errors.ts`)
  }
  return [...faults, ...doubles(markdown)]
}

interface Documented extends ErrorRow {
  readonly code: string
  readonly line: number
}

function rowsOf(markdown: string): readonly Documented[] {
  return markdown.split('\n').flatMap((text, index) => {
    const match = /^\|\s*`([^`]+)`\s*\|(.*)\|\s*$/.exec(text)
    if (!match) return []
    // A bar inside a cell is written \| in Markdown.
    const cells = (match[2] ?? '').split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
    const [family = '', meaning = '', ...rest] = cells
    return [{ code: match[1] ?? '', line: index + 1, family, text: meaning, next: rest.join(' | ') }]
  })
}

function documented(markdown: string): ReadonlyMap<string, Documented> {
  return new Map(rowsOf(markdown).map((row) => [row.code, row]))
}

function doubles(markdown: string): readonly string[] {
  const seen = new Set<string>()
  return rowsOf(markdown).flatMap(({ code, line }) => {
    if (seen.has(code)) return [`docs/errors.md:${line} documents ${code} twice`]
    seen.add(code)
    return []
  })
}
