// How reading goes on behind an error: at the next place where something whole can begin, so that one mistake is told once.

import { CHAR, isLineEnd, type Lexer } from './lexer.ts'
import { textEnd } from './texts.ts'
import { isBlank } from './words.ts'

const SPACE = 0x20
const SMART = /[“”„‟‘’‚‛«»]/
const WORD = '[\\p{L}_][\\p{L}\\p{M}\\p{N}_-]*'
const TEXT = `"(?:[^"\\\\\\r\\n]|\\\\.)*"|'(?:[^'\\\\\\r\\n]|\\\\.)*'`
const HEAD = `${WORD}(?:[ \\t]+${WORD})?[ \\t]*\\{`
const DECLARATION = new RegExp(`${WORD}[ \\t]*=[ \\t]*${HEAD}`, 'uy')
const TOP = new RegExp(`${WORD}[ \\t]*(?:=|:[ \\t]*${HEAD})|include[ \\t]+["']`, 'uy')
const HEADED = new RegExp(`${WORD}[ \\t]*[:=][ \\t]*${HEAD}|include[ \\t]+["']`, 'uy')
const WORDS = new RegExp(`(?:[ \\t]*,[ \\t]*(?:${WORD}|${TEXT})(?![ \\t]*[:=\\p{L}\\p{M}\\p{N}_{-]))+`, 'uy')
const COLON_HEAD = new RegExp(`:[ \\t]*${HEAD}`, 'uy')
const MISNAMED = new RegExp(`[^\\s={}#]+[ \\t]*=[ \\t]*${HEAD}`, 'uy')
const ENTRY = new RegExp(`(?:[\\p{L}\\p{N}_][\\p{L}\\p{M}\\p{N}_./-]*|${TEXT})[ \\t]*[:=](?!//)`, 'uy')
const RESUMED = new RegExp(`${WORD}[ \\t]+["'{[$\\p{N}]|\\{|//`, 'uy')
const SPACED_ENTRY = new RegExp(`(?:${WORD}|${TEXT})[ \\t]*(?:=|:(?=[\\s"'{[$]))`, 'uy')

function looksLike(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at
  return pattern.test(text)
}

/** True when a whole head of a declaration is next: `name = word word {`. */
export const atDeclaration = (text: string, at: number) => looksLike(DECLARATION, text, at)

/** True when an entry seems to begin here: `key:` or `key =`. */
export const atEntry = (text: string, at: number) => looksLike(ENTRY, text, at)

/** As {@link atEntry}, but not for `llama3:8b`, which may be an item of a list. */
export const atSpacedEntry = (text: string, at: number) => looksLike(SPACED_ENTRY, text, at)

/** True when the `:` that is next stands between a name and the head of a block: anything else is prose. */
export const atColonHead = (text: string, at: number) => looksLike(COLON_HEAD, text, at)

/** True when a declaration is next whose name is none. */
export const atMisnamed = (text: string, at: number) => looksLike(MISNAMED, text, at)

/** How far the line of an offset is indented; undefined when something stands before the offset. */
export function indentOf(text: string, at: number): number | undefined {
  let start = at
  while (start > 0) {
    const code = text.charCodeAt(start - 1)
    if (code !== SPACE) {
      if (isLineEnd(code)) break
      if (!isBlank(code)) return undefined
    }
    start--
  }
  return at - start
}

/** Which brackets of a text have no partner. */
export interface Balance {
  /** A `{` is never closed. */
  readonly lacksBrace: boolean
  /** A `}` closes nothing. */
  readonly extraBrace: boolean
  readonly lacksBracket: boolean
  readonly extraBracket: boolean
}

/** Counts the brackets of a whole text. */
export function balanceOf(text: string): Balance {
  let braces = 0
  let brackets = 0
  let extraBrace = false
  let extraBracket = false
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at)
    if (code === CHAR.openBlock) braces++
    else if (code === CHAR.openList) brackets++
    else if (code === CHAR.closeBlock) {
      if (braces === 0) extraBrace = true
      else braces--
    } else if (code === CHAR.closeList) {
      if (brackets === 0) extraBracket = true
      else brackets--
    }
    at = pass(text, at)
  }
  return { lacksBrace: braces > 0, extraBrace, lacksBracket: brackets > 0, extraBracket }
}

const MOST_SEARCHED = 65_536
const MOST_MARGIN = 500

/** The offset of the next bracket that closes what was opened before; the length of the text when there is none near. */
export function closerFrom(text: string, from: number): number {
  const most = Math.min(text.length, from + MOST_SEARCHED)
  let depth = 0
  for (let at = from; at < most; at = pass(text, at)) {
    const code = text.charCodeAt(at)
    if (code === CHAR.openBlock || code === CHAR.openList) depth++
    else if (code === CHAR.closeBlock || code === CHAR.closeList) {
      if (depth === 0) return at
      depth--
    }
  }
  return text.length
}

/** How far the line is indented in which an offset lies; 0 when it begins far away. */
export function marginOf(text: string, at: number): number {
  let start = at
  while (start > 0 && !isLineEnd(text.charCodeAt(start - 1))) {
    start--
    if (at - start > MOST_MARGIN) return 0
  }
  let end = start
  while (end < at && isBlank(text.charCodeAt(end))) end++
  return end - start
}

/** Passes a block or list that is not read, with all that is in it. */
export function skipBalanced(lexer: Lexer): void {
  let depth = 0
  while (!lexer.atEnd) {
    const code = lexer.next
    if (code === CHAR.openBlock || code === CHAR.openList) depth++
    if (code === CHAR.closeBlock || code === CHAR.closeList) depth--
    passOne(lexer)
    if (depth <= 0) return
  }
}

/** Passes what is left of an entry or an item: up to a comma, a closing bracket, or a line on which another one begins. */
export function skipEntry(lexer: Lexer): void {
  while (!lexer.atEnd) {
    const code = lexer.next
    if (code === CHAR.comma || code === CHAR.closeBlock || code === CHAR.closeList) return
    if (code === CHAR.openBlock || code === CHAR.openList) skipBalanced(lexer)
    else if (SMART.test(lexer.text[lexer.at]!))
      lexer.at += /^.[^“”„‟‘’‚‛«»"'\r\n]*["'“”‟‘’‛«»]|/u.exec(lexer.restOfLine())![0].length || 1
    else if (code === CHAR.openParen) lexer.at += /^\([^()]*\)|/.exec(lexer.restOfLine())![0].length || 1
    else passOne(lexer)
    if (lexer.skip() && (atEntry(lexer.text, lexer.at) || looksLike(RESUMED, lexer.text, lexer.at))) return
  }
}

/**
 * Passes everything up to a line on which a declaration or an include begins. With `whole`, only up to one with a kind: in another language
 * `model = "gpt"` may stand on every line.
 */
export function skipToDeclaration(lexer: Lexer, whole = false): void {
  const top = whole ? HEADED : TOP
  while (!lexer.atEnd) {
    if (lexer.next === CHAR.openBlock) skipBalanced(lexer)
    else passOne(lexer)
    if (lexer.skip() && (looksLike(top, lexer.text, lexer.at) || atMisnamed(lexer.text, lexer.at))) break
  }
}

/** Passes words between commas: items of a list that has no brackets. */
export function skipWords(lexer: Lexer): void {
  WORDS.lastIndex = lexer.at
  if (WORDS.test(lexer.text)) lexer.at = WORDS.lastIndex
  // The quote at the end of `a,b"`.
  if (/^["'][ \t]*(?:[}\]#].*)?$/.test(lexer.restOfLine())) lexer.at++
}

function passOne(lexer: Lexer): void {
  if (lexer.next === CHAR.hash) lexer.skip()
  else lexer.at = pass(lexer.text, lexer.at)
}

/** Behind the character, text or comment that begins here. */
function pass(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code === CHAR.quote || code === CHAR.apostrophe) return textEnd(text, at)
  if (code !== CHAR.hash) return at + 1
  let end = at
  while (end < text.length && !isLineEnd(text.charCodeAt(end))) end++
  return end
}
