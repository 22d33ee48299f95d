import type { Diagnostic } from './diagnostic.ts'
import { codePoints, type Source } from './source.ts'

/** How a diagnostic is shown. */
export interface RenderOptions {
  /** With the colours of a terminal. Default false. */
  readonly color?: boolean
}

/** Most code points of a line that are shown: a file may be one long line. */
const WIDTH = 120
/** How many of them stand before the caret of a longer line. */
const BEFORE = 60

/**
 * A diagnostic for people: `file:line:column`, what is wrong, the line with a caret under the place, and what to do. Ends without a line
 * end. The line is shown as it stands in the file; characters that would steer a terminal are replaced.
 */
export function renderDiagnostic(diagnostic: Diagnostic, source: Source, options: RenderOptions = {}): string {
  const { severity, line, column } = diagnostic
  const paint = options.color === true ? painted : plain
  const tone = severity === 'error' ? RED : YELLOW
  const head = `${paint(BOLD, `${diagnostic.file}:${line}:${column}`)}: ${paint(tone, severity)}: ${harmless(diagnostic.message)}`
  const margin = ' '.repeat(String(line).length)
  const { before, at, after, pad } = pictureOf(source, diagnostic)
  return [
    `${head} [${diagnostic.code}]`,
    ` ${line} | ${before}${at}${after}`,
    ` ${margin} | ${pad}${paint(tone, '^'.repeat(Math.max(1, widthOf(at))))}`,
    ...(diagnostic.hint === undefined ? [] : [` ${margin} = ${harmless(diagnostic.hint)}`]),
  ].join('\n')
}

interface Picture {
  readonly before: string
  readonly at: string
  readonly after: string
  /** As wide as `before`. */
  readonly pad: string
}

function pictureOf(source: Source, { line, column, span }: Diagnostic): Picture {
  const all = [...source.line(line)]
  const start = column - 1
  const from = all.length <= WIDTH ? 0 : Math.max(0, Math.min(start - BEFORE, all.length - WIDTH))
  const shown = all.slice(from, from + WIDTH)
  // Only the part of the span that lies on this line.
  const end = Math.min(start - from + codePoints(source.text, span.start, span.end), shown.length)
  const before = shown.slice(0, start - from)
  return {
    before: (from > 0 ? '…' : '') + harmless(before.join('')),
    at: harmless(shown.slice(start - from, end).join('')),
    after: harmless(shown.slice(Math.max(end, start - from)).join('')) + (from + WIDTH < all.length ? '…' : ''),
    pad: (from > 0 ? ' ' : '') + before.map((char) => (char === '\t' ? '\t' : ' '.repeat(widthOf(char)))).join(''),
  }
}

/** Columns of a terminal: letters of East Asia and pictures take two. */
function widthOf(text: string): number {
  let width = 0
  for (const char of text) {
    if (/\p{Mn}|\u200d|\ufe0f/u.test(char)) continue
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
        char,
      )
        ? 2
        : 1
  }
  return width
}

function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, (char) => (char === '\t' ? char : '\ufffd'))
}

const BOLD = 1
const RED = 31
const YELLOW = 33
const ESCAPE = '\x1b'

const plain = (_style: number, text: string) => text
const painted = (style: number, text: string) => `${ESCAPE}[${style}m${text}${ESCAPE}[0m`
