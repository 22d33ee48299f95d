import { importsOf, lineAt, type Source } from '../../architecture/source.ts'

const WAITS = /\b(?:setTimeout|setInterval|sleep|delay|scheduler\s*\.\s*wait|Atomics\s*\.\s*wait(?:Async)?)\b/g
const TIMED = /\b(?:timed|timedEach|serially)\s*(?:<[^>]*>)?\s*\(/g
const TIMER_MODULES = new Set(['node:timers', 'node:timers/promises', 'timers', 'timers/promises'])
/** Files whose code runs inside timed parts: the work itself, those who do it, and the clock. */
const INSIDE = /^bench\/(?:workloads\/|peers\/|ring\.ts$|harness\/(?:clock|data)\.ts$)/

/** Places of a benchmark where a timed part would wait for time to pass instead of for work. */
export function waitsInTimedParts(sources: readonly Source[]): readonly string[] {
  return sources.flatMap((source) => {
    const spans = INSIDE.test(source.path) ? [[0, source.code.length] as const] : timedSpans(source.code)
    const words = spans.flatMap(([from, to]) =>
      [...source.code.slice(from, to).matchAll(WAITS)].map(
        (match) => `${source.path}:${lineAt(source.text, from + match.index)} ${match[0]}`,
      ),
    )
    const modules = INSIDE.test(source.path)
      ? importsOf(source)
          .filter(({ specifier }) => TIMER_MODULES.has(specifier))
          .map(({ specifier, line }) => `${source.path}:${line} ${specifier}`)
      : []
    return [...words, ...modules]
  })
}

/** Workloads that take the time but look at nothing of what was done. */
export function uncheckedWorkloads(sources: readonly Source[]): readonly string[] {
  return sources
    .filter(({ path }) => path.startsWith('bench/workloads/'))
    .filter(({ code }) => [...code.matchAll(TIMED)].length > 0)
    .filter(({ code }) => !/\b(?:mustBe|verify|check)\s*\(|\bnew\s+WorkNotDone\b/.test(code))
    .map(({ path }) => path)
}

/** From behind the opening to the closing bracket of every timed call. */
function timedSpans(code: string): readonly (readonly [number, number])[] {
  return [...code.matchAll(TIMED)].map((match) => {
    const from = match.index + match[0].length
    let depth = 1
    let at = from
    for (; at < code.length && depth > 0; at++) {
      if (code[at] === '(') depth++
      if (code[at] === ')') depth--
    }
    return [from, at] as const
  })
}
