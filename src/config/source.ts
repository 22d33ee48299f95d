/** Where an offset of a text stands. */
export interface Position {
  /** 1-based. */
  readonly line: number
  /** 1-based; counts code points. */
  readonly column: number
}

/** A text with the name under which people know it. */
export interface Source {
  readonly name: string
  readonly text: string
  /** How many lines there are; a line ends with LF, CR LF or CR. */
  readonly lineCount: number
  /** The place of an offset; one behind the end counts as the end. A byte order mark takes no column. */
  positionAt(offset: number): Position
  /** The text of a line (1-based) without its end. */
  line(number: number): string
}

const LINE_END = /\r\n?|\n/g

/** A source for {@link parse}. Its lines are found when they are first asked for. */
export function createSource(name: string, text: string): Source {
  const mark = text.charCodeAt(0) === 0xfeff ? 1 : 0
  let found: readonly number[] | undefined
  const starts = () => (found ??= [mark, ...Array.from(text.matchAll(LINE_END), (end) => end.index + end[0].length)])

  function line(number: number): string {
    const start = starts()[number - 1]
    if (start === undefined) return ''
    return text.slice(start, starts()[number] ?? text.length).replace(/[\r\n]+$/, '')
  }

  function positionAt(offset: number): Position {
    const end = Math.max(mark, Math.min(offset, text.length))
    const number = lastAtOrBefore(starts(), end) + 1
    return { line: number, column: codePoints(text, starts()[number - 1] ?? 0, end) + 1 }
  }

  return Object.freeze({
    name,
    text,
    get lineCount() {
      return starts().length
    },
    positionAt,
    line,
  })
}

/** How many code points there are from here up to there. */
export function codePoints(text: string, start = 0, end = text.length): number {
  let count = end - start
  for (let at = start + 1; at < end; at++) {
    if (isLow(text.charCodeAt(at)) && isHigh(text.charCodeAt(at - 1))) count--
  }
  return count
}

function lastAtOrBefore(sorted: readonly number[], wanted: number): number {
  let low = 0
  let high = sorted.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((sorted[middle] ?? 0) <= wanted) low = middle
    else high = middle - 1
  }
  return low
}

const isHigh = (code: number) => (code & 0xfc00) === 0xd800
const isLow = (code: number) => (code & 0xfc00) === 0xdc00
