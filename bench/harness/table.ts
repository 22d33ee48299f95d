/** Cells may hold several lines; a table row is as high as its highest cell. */
export type Cells = readonly (readonly string[])[]

/** Columns as wide as their widest line, two blanks apart, a rule below the head and, unless `ruled` is false, between rows. */
export function table(head: readonly string[], rows: readonly Cells[], ruled: boolean = true): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.flatMap((cells) => (cells[column] ?? []).map((line) => line.length))),
  )
  const lineOf = (cells: readonly string[]): string =>
    cells
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2))
  const body = rows.flatMap((cells) => {
    const height = Math.max(...cells.map((lines) => lines.length))
    const lines = Array.from({ length: height }, (_, at) =>
      lineOf(head.map((_title, column) => cells[column]?.[at] ?? '')),
    )
    return ruled ? [...lines, rule] : lines
  })
  return [lineOf(head), rule, ...body].join('\n')
}

/** Breaks a text between words into lines of at most `width`. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
