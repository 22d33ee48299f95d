import type { BlockNode, EntryNode, ListNode, Span, TextNode, ValueNode, WordNode } from './ast.ts'
import { CHAR, clip, isLineEnd, type Lexer } from './lexer.ts'
import { atDeclaration, atEntry, atSpacedEntry, indentOf, lacksBrace, skipBalanced, skipEntry } from './recovery.ts'
import { readText, readVariable } from './texts.ts'
import { bareEnd, flagOf, goesOn, isBareText, isNull, nameEnd, numberOf } from './words.ts'

/** Deepest nesting of blocks and lists. */
export const MAX_DEPTH = 100
/** Up to so many entries are compared one by one. */
const FEW = 12

/** What the reading of one file knows beside its place. */
export interface Reading {
  readonly lexer: Lexer
  /** Where the blocks and lists begin that are open, outermost first. */
  readonly open: number[]
  /** How far the declaration in hand is indented. */
  indent: number
  /** Whether a brace of the file is never closed; found when it is first asked for. */
  lacksBrace: boolean | undefined
}

/** Reads the block whose `{` is next. */
export function readBlock(reading: Reading): BlockNode {
  const { lexer } = reading
  const start = lexer.at
  const entries: EntryNode[] = []
  if (!enter(reading)) return { type: 'block', start, end: lexer.at, entries }
  for (;;) {
    lexer.skip()
    if (lexer.take(CHAR.closeBlock)) break
    if (lexer.atEnd || startsOver(reading)) {
      unclosed(reading, start, '}')
      break
    }
    if (lexer.next === CHAR.comma) {
      expected(lexer, 'a key or `}`')
      lexer.at++
    } else if (lexer.next === CHAR.closeList) {
      if (reading.open.some((at) => lexer.text.charCodeAt(at) === CHAR.openList)) {
        unclosed(reading, start, '}')
        break
      }
      expected(lexer, 'a key or `}`')
      lexer.at++
      if (onOneLine(lexer, start)) break
    } else {
      const entry = readEntry(reading, entries.at(-1))
      if (entry !== undefined) entries.push(entry)
      lexer.skip()
      lexer.take(CHAR.comma)
    }
  }
  reading.open.pop()
  tellDuplicates(lexer, entries)
  return { type: 'block', start, end: lexer.at, entries }
}

/** Reads a value; undefined when none begins here, which is told. In a list, a `{` on the next line is an item of its own. */
export function readValue(reading: Reading, wanted: string, inList: boolean): ValueNode | undefined {
  const { lexer } = reading
  switch (lexer.next) {
    case CHAR.quote:
    case CHAR.apostrophe:
      return readText(lexer)
    case CHAR.dollar:
      return readVariable(lexer)
    case CHAR.openBlock:
      return readBlock(reading)
    case CHAR.openList:
      return readList(reading)
  }
  const start = lexer.at
  const end = bareEnd(lexer.text, start, true)
  const text = lexer.text.slice(start, end)
  const isName = nameEnd(lexer.text, start) === end
  if (end === start || !(isName || isBareText(text))) {
    expected(lexer, wanted, start, text.startsWith('//') ? 'comments begin with `#`' : undefined)
    return undefined
  }
  lexer.at = end
  if (!isName) return numberOrText(lexer, start, end, text)
  const typed = readTyped(reading, start, text, inList)
  if (typed !== undefined) return typed
  const flag = flagOf(text)
  if (flag !== undefined) return { type: 'flag', start, end, value: flag }
  return isNull(text) ? { type: 'null', start, end } : { type: 'name', start, end, text }
}

/** Reads a second word of a kind when a block follows it; the place stays where it was when none does. */
export function readSecondWord(lexer: Lexer, braceOnLine: boolean): WordNode | undefined {
  const before = lexer.at
  lexer.skip()
  const start = lexer.at
  const end = nameEnd(lexer.text, start)
  if (end > start && !goesOn(lexer.text, end)) {
    lexer.at = end
    const newLine = lexer.skip()
    if (lexer.next === CHAR.openBlock && !(newLine && braceOnLine)) {
      lexer.at = end
      return { type: 'word', start, end, text: lexer.text.slice(start, end) }
    }
  }
  lexer.at = before
  return undefined
}

/** Tells that something else was expected here. */
export function expected(lexer: Lexer, what: string, at = lexer.at, hint?: string): void {
  const quotes = /[“”‘’«»]/.test(lexer.text[at] ?? '') ? 'texts stand between straight quotes: `"` or `\'`' : undefined
  lexer.log.add('expected', wordSpan(lexer, at), () => `found ${lexer.describe(at)}, expected ${what}`, hint ?? quotes)
}

function readTyped(reading: Reading, start: number, text: string, inList: boolean): ValueNode | undefined {
  const { lexer } = reading
  const newLine = lexer.skip()
  const oneWord = lexer.next === CHAR.openBlock && !(newLine && inList)
  const end = start + text.length
  if (!oneWord) lexer.at = end
  // A word on the next line is a key, or another item.
  const second = oneWord || newLine ? undefined : readSecondWord(lexer, inList)
  if (!oneWord && second === undefined) return undefined
  lexer.skip()
  const block = readBlock(reading)
  const first: WordNode = { type: 'word', start, end, text }
  const kind = second === undefined ? [first] : [first, second]
  return { type: 'typed', start, end: lexer.at, kind, block }
}

function numberOrText(lexer: Lexer, start: number, end: number, text: string): ValueNode {
  const value = numberOf(text)
  if (value !== undefined) {
    if (!Number.isFinite(value)) {
      lexer.log.add('bad-number', { start, end }, `found ${clip(text)}, expected a number below 1.8e308`)
    } else if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[+-]?[\d_]+$/.test(text)) {
      lexer.log.add('inexact-number', { start, end }, `${clip(text)} is read as ${value}`, 'put it into quotes')
    }
    return { type: 'number', start, end, value, raw: text }
  }
  lexer.log.add('bare-text', { start, end }, `\`${clip(text)}\` is read as a text`, `write "${clip(text)}"`)
  return { type: 'path', start, end, text }
}

function readList(reading: Reading): ListNode {
  const { lexer } = reading
  const start = lexer.at
  const items: ValueNode[] = []
  if (!enter(reading)) return { type: 'list', start, end: lexer.at, items }
  for (;;) {
    lexer.skip()
    if (lexer.take(CHAR.closeList)) break
    if (lexer.atEnd || startsOver(reading) || startsEntry(lexer)) {
      unclosed(reading, start, ']')
      break
    }
    if (lexer.next === CHAR.closeBlock) {
      // Between its `[` and the end of the line it is a slip of the finger; further on it closes the block around an unclosed list.
      if (onOneLine(lexer, start) && !onOneLine(lexer, reading.open.at(-2) ?? 0)) {
        expected(lexer, 'a value or `]`')
        lexer.at++
      } else {
        unclosed(reading, start, ']')
      }
      break
    }
    if (lexer.next === CHAR.comma) {
      expected(lexer, 'a value or `]`')
      lexer.at++
      continue
    }
    const item = readValue(reading, 'a value or `]`', true)
    if (item !== undefined) items.push(item)
    else skipEntry(lexer)
    lexer.skip()
    if (lexer.next === CHAR.colon || lexer.next === CHAR.equals) {
      expected(lexer, '`,` or `]`', lexer.at, 'put pairs of key and value into braces: `{ key: value }`')
      lexer.at++
    } else {
      lexer.take(CHAR.comma)
    }
  }
  reading.open.pop()
  return { type: 'list', start, end: lexer.at, items }
}

function readEntry(reading: Reading, previous: EntryNode | undefined): EntryNode | undefined {
  const { lexer } = reading
  const start = lexer.at
  const glued = previous !== undefined && isGlued(lexer, previous.end, start)
  const key = readKey(lexer, glued)
  const separator = key === undefined ? undefined : readSeparator(lexer, key, glued)
  if (key === undefined || separator === undefined) {
    // `env { … }`: what it means is plain, and its block is better read than passed.
    if (key !== undefined && lexer.next === CHAR.openBlock) readBlock(reading)
    else skipEntry(lexer)
    return undefined
  }
  if (lacksValue(reading, key)) return undefined
  const value = readValue(reading, 'a value', false)
  if (value === undefined) {
    skipEntry(lexer)
    return undefined
  }
  return { type: 'entry', start, end: value.end, key, separator, value }
}

function readKey(lexer: Lexer, glued: boolean): WordNode | TextNode | undefined {
  const start = lexer.at
  if (lexer.next === CHAR.quote || lexer.next === CHAR.apostrophe) return readText(lexer)
  const end = bareEnd(lexer.text, start, false)
  const text = lexer.text.slice(start, end)
  if (end > start && nameEnd(lexer.text, start) === end) {
    lexer.at = end
    return { type: 'word', start, end, text }
  }
  if (isBareText(text) && atEntry(lexer.text, start)) {
    lexer.at = end
    lexer.log.add('bare-key', { start, end }, `\`${clip(text)}\` is read as a text`, `write "${clip(text)}"`)
    return { type: 'text', start, end, quote: '"', parts: [text] }
  }
  if (text.startsWith('//')) expected(lexer, 'a key or `}`', start, 'comments begin with `#`')
  else if (glued && end > start) expectedSeparation(lexer, start)
  else expected(lexer, 'a key or `}`', start)
  return undefined
}

function readSeparator(lexer: Lexer, key: WordNode | TextNode, glued: boolean): ':' | '=' | undefined {
  const newLine = lexer.skip()
  if (lexer.take(CHAR.colon)) return ':'
  if (lexer.take(CHAR.equals)) return '='
  const shown = clip(lexer.text.slice(key.start, key.end))
  if (glued) {
    expectedSeparation(lexer, key.start)
  } else if (newLine) {
    const span = { start: key.end, end: key.end }
    lexer.log.add('expected', span, `found the end of the line, expected \`:\` or \`=\` behind \`${shown}\``)
  } else {
    expected(lexer, `\`:\` or \`=\` behind \`${shown}\``)
  }
  return undefined
}

/** True when no value follows the separator, which is told. */
function lacksValue(reading: Reading, key: WordNode | TextNode): boolean {
  const { lexer } = reading
  const behind = lexer.at
  const newLine = lexer.skip()
  const { next } = lexer
  const over = lexer.atEnd || next === CHAR.closeBlock || next === CHAR.comma || next === CHAR.closeList
  const again = next === CHAR.colon || next === CHAR.equals
  if (!over && !again && !(newLine && (atEntry(lexer.text, lexer.at) || startsOver(reading)))) return false
  const at = newLine ? behind : lexer.at
  const found = newLine ? 'the end of the line' : lexer.describe()
  const name = clip(lexer.text.slice(key.start, key.end))
  const span = { start: at, end: newLine || lexer.atEnd ? at : at + 1 }
  lexer.log.add('missing-value', span, `found ${found}, expected a value for \`${name}\``)
  if (again) skipEntry(lexer)
  return true
}

/** True when nothing but blanks stands between an entry and what follows. */
function isGlued(lexer: Lexer, end: number, start: number): boolean {
  for (let at = end; at < start; at++) {
    const code = lexer.text.charCodeAt(at)
    if (code === CHAR.comma || isLineEnd(code)) return false
  }
  return true
}

function expectedSeparation(lexer: Lexer, at: number): void {
  expected(lexer, '`,`, `}` or a new line', at, 'put a text of several words into quotes')
}

/** Goes one level down, past the bracket; false when that is too deep, and then the whole block or list is passed. */
function enter(reading: Reading): boolean {
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
  lexer.at++
  return true
}

/** True when an entry begins where an item of a list should, because the list above it was not closed. */
function startsEntry(lexer: Lexer): boolean {
  return indentOf(lexer.text, lexer.at) !== undefined && atSpacedEntry(lexer.text, lexer.at)
}

/** True when a declaration begins where an entry should, because the block above it was not closed. */
function startsOver(reading: Reading): boolean {
  const { lexer } = reading
  const indent = indentOf(lexer.text, lexer.at)
  if (indent === undefined || indent > reading.indent || !atDeclaration(lexer.text, lexer.at)) return false
  // Only then: who does not indent at all may write `bus = redis {` in a block as well.
  return (reading.lacksBrace ??= lacksBrace(lexer.text))
}

function unclosed(reading: Reading, start: number, bracket: string): void {
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

function wordSpan(lexer: Lexer, at: number): Span {
  return { start: at, end: Math.max(bareEnd(lexer.text, at, true), Math.min(at + 1, lexer.text.length)) }
}

function placeOf(lexer: Lexer, at: number): string {
  const { line, column } = lexer.source.positionAt(at)
  return `line ${line}, column ${column}`
}

function onOneLine(lexer: Lexer, start: number): boolean {
  for (let at = start; at < lexer.at; at++) if (isLineEnd(lexer.text.charCodeAt(at))) return false
  return true
}

function tellDuplicates(lexer: Lexer, entries: readonly EntryNode[]): void {
  // Most blocks are small: a map for each would cost more than all else that is read of them.
  const first = entries.length > FEW ? new Map<string, EntryNode>() : undefined
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!
    const key = keyOf(entry)
    if (key === undefined) continue
    const earlier = first === undefined ? withKey(entries, key, index) : first.get(key)
    if (earlier === undefined) {
      first?.set(key, entry)
      continue
    }
    lexer.log.add(
      'duplicate-key',
      entry.key,
      () => `found \`${clip(key)}\` again, expected it once: it stands in ${placeOf(lexer, earlier.start)}`,
    )
  }
}

function withKey(entries: readonly EntryNode[], key: string, end: number): EntryNode | undefined {
  for (let index = 0; index < end; index++) {
    const entry = entries[index]!
    if (keyOf(entry) === key) return entry
  }
  return undefined
}

/** The text of a key; undefined when a variable is part of it. */
export function keyOf(entry: EntryNode): string | undefined {
  if (entry.key.type === 'word') return entry.key.text
  const { parts } = entry.key
  return parts.every((part) => typeof part === 'string') ? parts.join('') : undefined
}
