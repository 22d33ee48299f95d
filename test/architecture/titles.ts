import { type Source, where } from './source.ts'

/** The title of one `test(…)` or `it(…)`. */
export interface Title {
  readonly text: string
  /** `file:line`. */
  readonly at: string
}

/** The titles of a file's tests, of `test.each(…)(title)` and the like too. */
export function titlesOf(source: Source): readonly Title[] {
  return [...source.code.matchAll(/(?<![\w$.])(?:test|it)(?=\s*[.(])/g)].flatMap((match) => {
    const start = titleStart(source.code, match.index + match[0].length)
    if (start === undefined) return []
    const quote = source.code.charAt(start)
    const end = source.code.indexOf(quote, start + 1)
    return [{ text: source.text.slice(start + 1, end), at: where(source, match.index) }]
  })
}

/** The offset of the quote that opens the title, given where the call's chain goes on. */
function titleStart(code: string, from: number): number | undefined {
  let at = from
  for (;;) {
    at += /^\s*(?:\.\s*[\w$]+\s*)?/.exec(code.slice(at))?.[0].length ?? 0
    if (code[at] === '.') continue
    if (code[at] !== '(') return undefined
    const first = at + 1 + (/^\s*/.exec(code.slice(at + 1))?.[0].length ?? 0)
    if (/['"`]/.test(code.charAt(first))) return first
    at = closing(code, at) + 1
  }
}

function closing(code: string, open: number): number {
  let depth = 0
  for (let at = open; at < code.length; at++) {
    if (code[at] === '(') depth++
    if (code[at] === ')' && --depth === 0) return at
  }
  return code.length
}

const WELL_FORMED = /^[A-Z]N?[1-9]\d*$/

/** The ids that the titles carry: `[Z1] [Z2] a title`. */
export function idsIn(titles: readonly Title[]): ReadonlySet<string> {
  return new Set(titles.flatMap(({ text }) => brackets(text).filter((tag) => WELL_FORMED.test(tag))))
}

/** Tags that look like ids but are none: two in one bracket, small letters, leading zeros. */
export function tagFaults(titles: readonly Title[]): readonly string[] {
  return titles.flatMap(({ text, at }) =>
    brackets(text)
      .filter((tag) => !WELL_FORMED.test(tag) && /^\s*[a-z]{1,2}[\s-]?\d+\b/i.test(tag))
      .map((tag) => `${at} has the tag [${tag}]: write each id in its own brackets, like [Z1] [ZN2]`),
  )
}

function brackets(text: string): readonly string[] {
  return [...text.matchAll(/\[([^\][]*)\]/g)].map((match) => match[1] ?? '')
}
