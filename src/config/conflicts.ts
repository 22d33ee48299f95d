import type { DiagnosticLog } from './diagnostic-log.ts'

const OURS = '<<<<<<< '
const MARKERS = /^(?:<{7} .*|={7}|\|{7}(?: .*)?|>{7}(?: .*)?)\r?$/gm

/**
 * What a merge has left behind in a text: the first line of each conflict, and everything from the end of its first side on; by where they
 * begin, where they end. So the first side is read, and the conflict is told once. Undefined for a text without.
 */
export function findConflicts(text: string, log: DiagnosticLog): ReadonlyMap<number, number> | undefined {
  if (!text.startsWith(OURS) && !text.includes(`\n${OURS}`)) return undefined
  const passed = new Map<number, number>()
  let start: number | undefined
  let middle: number | undefined
  for (const { index, 0: line } of text.matchAll(MARKERS)) {
    const end = index + line.length
    if (line.startsWith('<')) {
      start = index
      middle = undefined
    } else if (start !== undefined) {
      middle ??= index
      if (!line.startsWith('>')) continue
      const first = text.indexOf('\n', start)
      log.add(
        'merge-conflict',
        { start, end: first },
        'found a conflict that a merge has left behind, expected one of its sides',
        'keep one side, and take the lines of `<`, `=` and `>` away',
      )
      passed.set(start, first)
      passed.set(middle, end)
      start = undefined
    }
  }
  return passed
}
