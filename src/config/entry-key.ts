import type { EntryNode, TextNode, WordNode } from './ast.ts'
import { CHAR, clip, type Lexer } from './lexer.ts'
import { expected, expectedSeparation, isBehindComma, isGlued } from './reading.ts'
import { atEntry, skipWords } from './recovery.ts'
import { readText } from './texts.ts'
import { bareEnd, goesOn, isBareText, nameEnd } from './words.ts'

/** True when a key may begin here: anything else belongs to the value before it. */
export function isKeyStart({ text, at, next }: Lexer): boolean {
  if (next === CHAR.quote || next === CHAR.apostrophe) return true
  const end = nameEnd(text, at)
  return (end > at && !goesOn(text, end)) || atEntry(text, at)
}

/** Reads a key; undefined when none begins here, which is told. */
export function readKey(lexer: Lexer): WordNode | TextNode | undefined {
  const start = lexer.at
  if (lexer.next === CHAR.quote || lexer.next === CHAR.apostrophe) return readText(lexer)
  const name = nameEnd(lexer.text, start)
  const end = bareEnd(lexer.text, start, false, name)
  const text = lexer.text.slice(start, end)
  if (end > start && name === end) {
    lexer.at = end
    return { type: 'word', start, end, text }
  }
  if (isBareText(text) && atEntry(lexer.text, start)) {
    lexer.at = end
    lexer.log.add('bare-key', { start, end }, `\`${clip(text)}\` is read as a text`, `write "${clip(text)}"`)
    return { type: 'text', start, end, quote: '"', parts: [text] }
  }
  expected(lexer, 'a key or `}`', start)
  return undefined
}

/** Reads what stands between a key and its value; undefined when it is missing, which is told. `item`: what seems a key is one of several values. */
export function readSeparator(
  lexer: Lexer,
  key: WordNode | TextNode,
  previous: EntryNode | undefined,
): ':' | '=' | 'item' | undefined {
  const newLine = lexer.skip()
  if (lexer.take(CHAR.colon)) return ':'
  if (lexer.take(CHAR.equals)) return '='
  const shown = clip(lexer.text.slice(key.start, key.end))
  const isItem = lexer.next === CHAR.comma || lexer.next === CHAR.closeBlock || newLine
  if (previous !== undefined && isGlued(lexer, previous.end, key.start)) {
    expectedSeparation(lexer, key.start)
  } else if (isItem && isBehindComma(lexer, previous, key.start)) {
    // `to: a, b`
    const hint = `several values stand between brackets: [${clip(lexer.text.slice(previous!.value.start, key.end))}]`
    expected(lexer, 'a key with `:` or `=`', key.start, hint)
    skipWords(lexer)
    return 'item'
  } else if (newLine) {
    const span = { start: key.end, end: key.end }
    lexer.log.add('expected', span, `found the end of the line, expected \`:\` or \`=\` behind \`${shown}\``)
  } else {
    const hint = previous === undefined && isItem ? 'lists stand between `[` and `]`' : undefined
    expected(lexer, `\`:\` or \`=\` behind \`${shown}\``, lexer.at, hint)
    if (hint !== undefined) skipWords(lexer)
  }
  return undefined
}
