import type { CommentNode } from './ast.ts'
import { findConflicts } from './conflicts.ts'
import { createDiagnosticLog, type DiagnosticLog } from './diagnostic-log.ts'
import type { Source } from './source.ts'
import { bareEnd, isBlank, nameEnd } from './words.ts'

/** Codes of the characters that the language is made of. */
export const CHAR = {
  lf: 0x0a,
  cr: 0x0d,
  quote: 0x22,
  hash: 0x23,
  dollar: 0x24,
  apostrophe: 0x27,
  openParen: 0x28,
  closeParen: 0x29,
  comma: 0x2c,
  colon: 0x3a,
  equals: 0x3d,
  openList: 0x5b,
  backslash: 0x5c,
  closeList: 0x5d,
  openBlock: 0x7b,
  closeBlock: 0x7d,
} as const

const SPACE = 0x20
const MOST_GUESSED = 200
const LINE = /[^\r\n]*/y

/** A place in a text, with what was passed on the way. The grammar decides what a character means: a `:` ends a key, and is part of a url. */
export class Lexer {
  readonly source: Source
  readonly text: string
  readonly log: DiagnosticLog
  readonly comments: CommentNode[] = []
  /** The offset of the next character. */
  at = 0
  /** A text of several lines was not closed, so that the rest of the file was taken for it. */
  endsInText = false
  #commentsUpTo = 0
  /** Parts that a merge has left behind, which are passed as blanks are. */
  readonly #conflicts: ReadonlyMap<number, number> | undefined

  constructor(source: Source) {
    this.source = source
    this.text = source.text
    this.log = createDiagnosticLog(source)
    this.#conflicts = findConflicts(source.text, this.log)
  }

  /** The code of the next character; NaN at the end. */
  get next(): number {
    return this.text.charCodeAt(this.at)
  }

  get atEnd(): boolean {
    return this.at >= this.text.length
  }

  /** Passes white space and comments; true when a line ended on the way. */
  skip(): boolean {
    const { text } = this
    let newLine = false
    for (;;) {
      const code = text.charCodeAt(this.at)
      if (code === SPACE) {
        this.at++
      } else if (code === CHAR.lf || code === CHAR.cr) {
        newLine = true
        this.at++
      } else if (isBlank(code)) {
        this.at++
      } else if (code === CHAR.hash) {
        this.#passComment()
      } else {
        const end = this.#conflicts?.get(this.at)
        if (end === undefined) return newLine
        this.at = end
      }
    }
  }

  /** Passes a character when it is the next one. */
  take(code: number): boolean {
    if (this.next !== code) return false
    this.at++
    return true
  }

  /** The offset of the end of the line. */
  lineEnd(from = this.at): number {
    LINE.lastIndex = from
    LINE.test(this.text)
    return LINE.lastIndex
  }

  /** What is left of the line, or the beginning of it: enough to guess what it is meant to be, and never a whole file in one line. */
  restOfLine(from = this.at): string {
    const rest = this.text.slice(from, from + MOST_GUESSED)
    return /^[^\r\n]*/.exec(rest)![0]
  }

  /** What stands at an offset, in words for people. */
  describe(at = this.at): string {
    const { text } = this
    const code = text.charCodeAt(at)
    if (Number.isNaN(code)) return 'the end of the file'
    if (isLineEnd(code) || code === CHAR.hash) return 'the end of the line'
    if (isBlank(code)) return 'a blank'
    // What cannot be seen is named by its number.
    if (/[\p{Cc}\p{Cf}\p{Cs}]/u.test(text[at]!))
      return `the character U+${code.toString(16).toUpperCase().padStart(4, '0')}`
    if (code === CHAR.quote || code === CHAR.apostrophe) {
      const rest = this.restOfLine(at)
      const close = rest.indexOf(text[at]!, 1)
      return `the text ${clip(close < 0 ? rest : rest.slice(0, close + 1))}`
    }
    const end = code === CHAR.dollar ? nameEnd(text, at + 1) : bareEnd(text, at, true)
    return `\`${clip(text.slice(at, Math.max(end, at + String.fromCodePoint(text.codePointAt(at)!).length)))}\``
  }

  #passComment(): void {
    const start = this.at
    this.at = this.lineEnd(start)
    // Looking ahead passes a comment twice.
    if (start < this.#commentsUpTo) return
    this.#commentsUpTo = this.at
    this.comments.push({ type: 'comment', start, end: this.at, text: this.text.slice(start + 1, this.at) })
  }
}

/** True for CR and LF. */
export function isLineEnd(code: number): boolean {
  return code === CHAR.lf || code === CHAR.cr
}

/** At most 40 characters of something that was found. */
export function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}
