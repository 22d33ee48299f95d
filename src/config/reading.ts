import type { EntryNode, Span } from './ast.ts'
import { MAX_DIAGNOSTICS } from './diagnostic-log.ts'
import { CHAR, isLineEnd, type Lexer } from './lexer.ts'
import {
  atDeclaration,
  atEntry,
  type Balance,
  balanceOf,
  closerFrom,
  indentOf,
  marginOf,
  skipBalanced,
} from './recovery.ts'
import { bareEnd } from './words.ts'

/** Deepest nesting of blocks and lists. */
export const MAX_DEPTH = 100

/** What the reading of one file knows beside its place. */
export interface Reading {
  readonly lexer: Lexer
  /** Where the blocks and lists begin that are open, outermost first. */
  readonly open: number[]
  /** How far the declaration in hand is indented. */
  indent: number
  /** The brackets of the file that have no partner; counted when they are first asked for. */
  balance: Balance | undefined
}

/** Goes one level down; false when that is too deep, and then the whole block or list is passed. Past the bracket, if there is one. */
export function enter(reading: Reading, isThere: boolean): boolean {
  const { lexer } = reading
  if (reading.open.length >= MAX_DEPTH) {
    const span = { start: lexer.at, end: lexer.at + 1 }
    lexer.log.add(
      'too-deep',
      span,
      `found level ${MAX_DEPTH + 1}, expected at most ${MAX_DEPTH} levels of blocks and lists`,
    )
    skipBalanced(lexer)
    return false
  }
  reading.open.push(lexer.at)
  if (isThere) lexer.at++
  return true
}

/** The brackets of the file that have no partner: where one is missing or too many, what stands there decides which. */
export function balance(reading: Reading): Balance {
  return (reading.balance ??= balanceOf(reading.lexer.text))
}

/** True when a declaration begins where an entry should, because the block above it was not closed. */
export function startsOver(reading: Reading, indent = indentOf(reading.lexer.text, reading.lexer.at)): boolean {
  const { lexer } = reading
  if (indent === undefined || indent > reading.indent || !atDeclaration(lexer.text, lexer.at)) return false
  // Only then: who does not indent at all may write `bus = redis {` in a block as well.
  return balance(reading).lacksBrace
}

/** True when an entry stands further left than those of its block, and not deeper than the line that opens it: that was not closed. */
export function leavesBlock(reading: Reading, start: number, first: EntryNode | undefined, indent: number): boolean {
  const { lexer, open } = reading
  if (first === undefined || open.length < 2 || indent > marginOf(lexer.text, start)) return false
  if (!balance(reading).lacksBrace) return false
  const usual = indentOf(lexer.text, first.start)
  return usual !== undefined && usual > marginOf(lexer.text, start) && atEntry(lexer.text, lexer.at)
}

/** True when the `}` that is next ends a declaration whose entries go on behind it: it closes nothing. */
export function closesEarly(reading: Reading): boolean {
  const { lexer, open } = reading
  if (open.length > 1 || marginOf(lexer.text, lexer.at) <= reading.indent || !balance(reading).extraBrace) return false
  if (!isWorthIt(reading)) return false
  const before = lexer.at
  lexer.at++
  lexer.skip()
  const goesOn = (indentOf(lexer.text, lexer.at) ?? 0) > reading.indent && atEntry(lexer.text, lexer.at)
  lexer.at = before
  return goesOn
}

/** True when the lines of a block follow whose `{` is missing: entries deeper than the line of an offset, and a brace too many to close them. */
export function startsBlock(reading: Reading, start: number): boolean {
  const { lexer } = reading
  const indent = indentOf(lexer.text, lexer.at)
  if (indent === undefined || indent <= marginOf(lexer.text, start)) return false
  return atEntry(lexer.text, lexer.at) && balance(reading).extraBrace
}

/** False behind so many errors that what is told no longer matters: looking far ahead for each would take long. */
export function isWorthIt({ lexer }: Reading): boolean {
  return lexer.log.errors <= MAX_DIAGNOSTICS
}

/** Passes the rest of a list whose `[` is missing, with its `]`; false when no such list is open. */
export function passLostList(reading: Reading): boolean {
  const { lexer } = reading
  if (!isWorthIt(reading) || !balance(reading).extraBracket) return false
  const end = closerFrom(lexer.text, lexer.at)
  if (lexer.text.charCodeAt(end) !== CHAR.closeList) return false
  lexer.at = end + 1
  return true
}

/** Tells that something else was expected here. */
export function expected(lexer: Lexer, what: string, at = lexer.at, hint?: string): void {
  lexer.log.add(
    'expected',
    wordSpan(lexer, at),
    () => `found ${lexer.describe(at)}, expected ${what}`,
    hint ?? hintFor(lexer.text, at),
  )
}

const FULL_WIDTH = /[\uff01-\uff5e\u3001\u3002\u3010\u3011\u300c\u300d]/

function hintFor(text: string, at: number): string | undefined {
  const char = text[at] ?? ''
  if (/[“”„‟‘’‚‛«»`´]/.test(char)) return 'texts stand between straight quotes: `"` or `\'`'
  if (FULL_WIDTH.test(char)) {
    const plain = char.normalize('NFKC')
    return plain === char ? 'it is a wide character' : `it is a wide character: write \`${plain}\``
  }
  if (text.startsWith('//', at) || text.startsWith('/*', at)) return 'comments begin with `#`'
  if (char === ';') return 'entries end with their line, or with `,`'
  if (char === '(') return 'nothing is called here: lists stand between `[` and `]`, variables are `$NAME`'
  if (char === '-' && /^-[ \t]/.test(text.slice(at, at + 2))) return 'lists stand between `[` and `]`'
  return undefined
}

/** Tells that an entry goes on where it should end. */
export function expectedSeparation(lexer: Lexer, at: number): void {
  const char = lexer.text[at] ?? ''
  const isTouching = at > 0 && /[\p{L}\p{N}_]/u.test(lexer.text[at - 1]!)
  const isCall = char === '(' || (isTouching && (char === '"' || char === "'"))
  const call = 'nothing is called here: a value is a text, a number, a list, a name or `$NAME`'
  expected(
    lexer,
    '`,`, `}` or a new line',
    at,
    isCall ? call : (hintFor(lexer.text, at) ?? 'put a text of several words into quotes'),
  )
}

/** Tells that a block or list was not closed before this. */
export function unclosed(reading: Reading, start: number, bracket: string): void {
  const { lexer } = reading
  // Of a file that ends within a text, that was told.
  if (lexer.atEnd && lexer.endsInText) return
  const opener = lexer.text[start]
  lexer.log.add(
    'unclosed',
    wordSpan(lexer, lexer.at),
    () => `found ${lexer.describe()}, expected \`${bracket}\` to close the \`${opener}\` of ${placeOf(lexer, start)}`,
  )
}

/** The word that begins at an offset, or the one character. */
function wordSpan(lexer: Lexer, at: number): Span {
  return { start: at, end: Math.max(bareEnd(lexer.text, at, true), Math.min(at + 1, lexer.text.length)) }
}

function placeOf(lexer: Lexer, at: number): string {
  const { line, column } = lexer.source.positionAt(at)
  return `line ${line}, column ${column}`
}

/** True when no line ends between an offset and the place. */
export function onOneLine(lexer: Lexer, start: number): boolean {
  for (let at = start; at < lexer.at; at++) if (isLineEnd(lexer.text.charCodeAt(at))) return false
  return true
}

/** True when nothing but blanks stands between an entry and what follows. */
export function isGlued(lexer: Lexer, end: number, start: number): boolean {
  for (let at = end; at < start; at++) {
    const code = lexer.text.charCodeAt(at)
    if (code === CHAR.comma || isLineEnd(code)) return false
  }
  return true
}

/** True when an entry and what follows stand on one line, with a comma between them. */
export function isBehindComma(lexer: Lexer, previous: EntryNode | undefined, start: number): boolean {
  return previous !== undefined && /^[ \t]*,[ \t]*$/.test(lexer.text.slice(previous.end, start))
}
