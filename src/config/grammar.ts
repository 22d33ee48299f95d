import type { BlockNode, EntryNode, ListNode, TextNode, ValueNode, WordNode } from './ast.ts'
import { tellDuplicates } from './duplicates.ts'
import { isKeyStart, readKey, readSeparator } from './entry-key.ts'
import { CHAR, clip, type Lexer } from './lexer.ts'
import {
  balance,
  closesEarly,
  enter,
  expected,
  expectedSeparation,
  isGlued,
  isWorthIt,
  leavesBlock,
  onOneLine,
  passLostList,
  type Reading,
  startsBlock,
  startsOver,
  unclosed,
} from './reading.ts'
import { atEntry, atSpacedEntry, closerFrom, indentOf, skipEntry } from './recovery.ts'
import { readText, readVariable } from './texts.ts'
import { bareEnd, flagOf, goesOn, isBareText, isNull, nameEnd, numberOf } from './words.ts'

const WORDLIKE = /[\p{L}_"']/u

/** Reads the block whose `{` is next; with `isOpen`, a block whose `{` is missing, which was told. */
export function readBlock(reading: Reading, isOpen = false): BlockNode {
  const { lexer } = reading
  const { log } = lexer
  const start = lexer.at
  const entries: EntryNode[] = []
  const before = log.errors
  if (!enter(reading, !isOpen)) return { type: 'block', start, end: lexer.at, entries, broken: true }
  const isStuck = standstill(lexer)
  for (;;) {
    lexer.skip()
    if (isStuck()) break
    if (lexer.next === CHAR.closeBlock) {
      const early = closesEarly(reading)
      if (early && log.errors === before)
        log.add('stray-bracket', { start: lexer.at, end: lexer.at + 1 }, 'found `}`, expected a key')
      lexer.at++
      if (early) continue
      break
    }
    const indent = indentOf(lexer.text, lexer.at)
    const isOver =
      indent !== undefined && (startsOver(reading, indent) || leavesBlock(reading, start, entries[0], indent))
    if (lexer.atEnd || isOver || startsItem(reading)) {
      if (!isOpen) unclosed(reading, start, '}')
      break
    }
    if (lexer.next === CHAR.comma || isDoubled(reading, start)) {
      expected(lexer, 'a key or `}`')
      lexer.at++
    } else if (lexer.next === CHAR.closeList || lexer.next === CHAR.closeParen) {
      if (lexer.next === CHAR.closeList && reading.open.some((at) => lexer.text.charCodeAt(at) === CHAR.openList)) {
        unclosed(reading, start, '}')
        break
      }
      // The `]` of a list whose `[` is missing.
      const isLost = lexer.next === CHAR.closeList && balance(reading).extraBracket
      const isMeant = isOpen && lexer.next === CHAR.closeParen
      if (!isMeant && (!isLost || log.errors === before)) expected(lexer, 'a key or `}`')
      const isAlone = indentOf(lexer.text, lexer.at) !== undefined || onOneLine(lexer, start)
      lexer.at++
      lexer.skip()
      lexer.take(CHAR.comma)
      // A slip of the finger: it stands for the brace.
      if (isOpen || (isAlone && balance(reading).lacksBrace)) break
    } else {
      const entry = readEntry(reading, entries.at(-1))
      if (entry === 'goes on') entries.pop()
      else if (entry !== undefined) entries.push(entry)
      lexer.skip()
      lexer.take(CHAR.comma)
    }
  }
  reading.open.pop()
  tellDuplicates(lexer, entries)
  // Written out: a copy for each block would cost more than the block.
  if (isOpen || log.errors > before) return { type: 'block', start, end: lexer.at, entries, broken: true }
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
  const name = nameEnd(lexer.text, start)
  const end = bareEnd(lexer.text, start, true, name)
  const text = lexer.text.slice(start, end)
  const isName = name === end
  if (lexer.next === CHAR.openParen && standsForBrace(reading)) {
    expected(lexer, wanted)
    lexer.at++
    return readBlock(reading, true)
  }
  if (end === start || !(isName || isBareText(text))) {
    expected(lexer, wanted, start)
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

function readTyped(reading: Reading, start: number, text: string, inList: boolean): ValueNode | undefined {
  const { lexer } = reading
  const newLine = lexer.skip()
  const oneWord = lexer.next === CHAR.openBlock && !(newLine && inList)
  const end = start + text.length
  const first: WordNode = { type: 'word', start, end, text }
  if (newLine ? !inList && startsBlock(reading, start) : standsForBrace(reading)) {
    if (newLine) lexer.log.add('expected', { start: end, end }, 'found the end of the line, expected `{`')
    else expected(lexer, '`{`')
    if (!newLine) lexer.at++
    return { type: 'typed', start, end: lexer.at, kind: [first], block: readBlock(reading, true) }
  }
  if (!oneWord) lexer.at = end
  // A word on the next line is a key, or another item.
  const second = oneWord || newLine ? undefined : readSecondWord(lexer, inList)
  if (!oneWord && second === undefined) return undefined
  lexer.skip()
  const block = readBlock(reading)
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
  // With a bracket or a quote right behind it, it is something else, which is told there.
  if (!/["'(]/.test(lexer.text[end] ?? '')) {
    lexer.log.add('bare-text', { start, end }, `\`${clip(text)}\` is read as a text`, `write "${clip(text)}"`)
  }
  return { type: 'path', start, end, text }
}

function readList(reading: Reading): ListNode {
  const { lexer } = reading
  const { log } = lexer
  const start = lexer.at
  const items: ValueNode[] = []
  const before = log.errors
  if (!enter(reading, true)) return { type: 'list', start, end: lexer.at, items, broken: true }
  const isStuck = standstill(lexer)
  for (;;) {
    lexer.skip()
    if (isStuck()) break
    if (lexer.take(CHAR.closeList)) break
    const isEntry = startsEntry(reading)
    if (isEntry && balance(reading).extraBrace && !startsOver(reading)) {
      expected(lexer, '`{`')
      items.push(readBlock(reading, true))
      lexer.skip()
      lexer.take(CHAR.comma)
      continue
    }
    const last = items.at(-1)
    // The text has taken the bracket for itself.
    const isTold = last?.type === 'text' && last.broken === true && onOneLine(lexer, last.start)
    const isLeft = lexer.next === CHAR.comma && balance(reading).lacksBracket && !lexer.restOfLine().includes(']')
    if (lexer.atEnd || isEntry || isLeft || startsOver(reading)) {
      unclosed(reading, start, ']')
      break
    }
    if (lexer.next === CHAR.closeBlock) {
      // Where the file has one too many it is a slip of the finger; else it closes the block around an unclosed list.
      if (!balance(reading).extraBrace) {
        if (!isTold) unclosed(reading, start, ']')
        break
      }
      expected(lexer, 'a value or `]`')
      lexer.at++
      if (!isWorthIt(reading) || lexer.text.charCodeAt(closerFrom(lexer.text, lexer.at)) !== CHAR.closeList) break
      lexer.skip()
      lexer.take(CHAR.comma)
      continue
    }
    if (lexer.next === CHAR.closeParen) {
      expected(lexer, 'a value or `]`')
      lexer.at++
      if (!lexer.restOfLine().includes(']')) break
      continue
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
  if (log.errors > before) return { type: 'list', start, end: lexer.at, items, broken: true }
  return { type: 'list', start, end: lexer.at, items }
}

/** Tells when nothing was read since it was asked last: what was misjudged must end, and never be read for ever. */
function standstill(lexer: Lexer): () => boolean {
  let place = -1
  return () => {
    if (lexer.at === place) {
      expected(lexer, 'a key, a value or a bracket')
      return true
    }
    place = lexer.at
    return false
  }
}

/** `goes on`: what stands here belongs to the entry before, which is therefore not what it seems to be. */
function readEntry(reading: Reading, previous: EntryNode | undefined): EntryNode | 'goes on' | undefined {
  const { lexer } = reading
  const start = lexer.at
  const glued = previous !== undefined && isGlued(lexer, previous.end, start)
  if (glued && !isKeyStart(lexer)) {
    expectedSeparation(lexer, start)
    // What ends with a `;` is whole.
    const isWhole = lexer.text[start] === ';'
    skipEntry(lexer)
    return isWhole ? undefined : 'goes on'
  }
  const key = readKey(lexer)
  const separator = key === undefined ? undefined : readSeparator(lexer, key, previous)
  if (separator === 'item') {
    passLostList(reading)
    return 'goes on'
  }
  if (key === undefined || separator === undefined) {
    // `env { … }`: what it means is plain, and its block is better read than passed.
    if (key !== undefined && lexer.next === CHAR.openBlock) readBlock(reading)
    else if (!passLostList(reading)) skipEntry(lexer)
    return glued && separator === undefined ? 'goes on' : undefined
  }
  if (lacksValue(reading, key)) return undefined
  const value = readValue(reading, 'a value', false)
  if (value === undefined) {
    skipEntry(lexer)
    return undefined
  }
  return { type: 'entry', start, end: value.end, key, separator, value }
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
  else if (newLine && startsBlock(reading, key.start)) readBlock(reading, true)
  return true
}

/** True for a second `{` behind that of a block, in a file that lacks a `}`. */
function isDoubled(reading: Reading, start: number): boolean {
  const { lexer } = reading
  return lexer.next === CHAR.openBlock && lexer.at === start + 1 && balance(reading).lacksBrace
}

/** True for a `(` with an entry behind it: it is meant to open a block. */
export function standsForBrace(reading: Reading): boolean {
  const { lexer } = reading
  if (lexer.next !== CHAR.openParen || !isWorthIt(reading)) return false
  const before = lexer.at
  lexer.at++
  lexer.skip()
  const isBlock = atEntry(lexer.text, lexer.at)
  lexer.at = before
  return isBlock
}

/** True when an entry begins where an item of a list should, because the list above it was not closed, or the `{` before it is missing. */
function startsEntry(reading: Reading): boolean {
  const { text, at } = reading.lexer
  if (indentOf(text, at) !== undefined) return atSpacedEntry(text, at)
  if (!WORDLIKE.test(text[at] ?? '') || !atSpacedEntry(text, at)) return false
  const { lacksBracket, extraBrace } = balance(reading)
  return lacksBracket || extraBrace
}

/** True when a block begins where an entry should: the next item of the list, because the block before it was not closed. */
function startsItem(reading: Reading): boolean {
  const { lexer, open } = reading
  return (
    lexer.next === CHAR.openBlock &&
    lexer.text.charCodeAt(open.at(-2) ?? -1) === CHAR.openList &&
    indentOf(lexer.text, lexer.at) !== undefined &&
    balance(reading).lacksBrace
  )
}
