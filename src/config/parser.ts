import type { BlockNode, DeclarationNode, FileNode, IncludeNode, WordNode } from './ast.ts'
import type { Diagnostic } from './diagnostic.ts'
import { readBlock, readSecondWord, standsForBrace } from './grammar.ts'
import { CHAR, clip, Lexer } from './lexer.ts'
import { tellNames } from './names.ts'
import { balance, expected, type Reading } from './reading.ts'
import {
  atColonHead,
  atDeclaration,
  atEntry,
  atMisnamed,
  indentOf,
  skipBalanced,
  skipToDeclaration,
} from './recovery.ts'
import type { Source } from './source.ts'
import { readText } from './texts.ts'
import { bareEnd, flagOf, isNull, nameEnd } from './words.ts'

/** What became of a text. */
export interface ParseResult {
  /**
   * All that could be read. With errors among the diagnostics it is not whole: entries may be missing, and a kind may have no word.
   */
  readonly file: FileNode
  /** In the order in which they were found: what is wrong with names comes last. */
  readonly diagnostics: readonly Diagnostic[]
}

/** Reads a `.ww` file. Never throws; nothing is looked up and nothing is started. */
export function parse(source: Source): ParseResult {
  const lexer = new Lexer(source)
  const reading: Reading = { lexer, open: [], indent: 0, balance: undefined }
  const items: (DeclarationNode | IncludeNode)[] = []
  for (lexer.skip(); !lexer.atEnd; lexer.skip()) {
    const before = lexer.log.errors
    const { at } = lexer
    const item = atInclude(lexer) ? readInclude(lexer) : readDeclaration(reading)
    if (item !== undefined) items.push(item)
    if (lexer.log.errors > before) resume(reading)
    if (lexer.at === at) freeText(lexer, at)
  }
  tellNames(source, lexer.log, items)
  const file: FileNode = { type: 'file', start: 0, end: source.text.length, items, comments: lexer.comments }
  return { file, diagnostics: lexer.log.list }
}

const INCLUDE = /include[ \t]*(?:["']|[ \t][^\s=:{])/y

function atInclude(lexer: Lexer): boolean {
  INCLUDE.lastIndex = lexer.at
  return INCLUDE.test(lexer.text) && nameEnd(lexer.text, lexer.at) === lexer.at + 'include'.length
}

function readInclude(lexer: Lexer): IncludeNode | undefined {
  const start = lexer.at
  lexer.at += 'include'.length
  lexer.skip()
  if (lexer.next === CHAR.quote || lexer.next === CHAR.apostrophe) {
    const path = readText(lexer)
    return { type: 'include', start, end: lexer.at, path }
  }
  const from = lexer.at
  const end = bareEnd(lexer.text, from, true)
  const text = lexer.text.slice(from, end)
  if (end === from || !/^[ \t]*(?:#.*)?$/.test(lexer.restOfLine(end))) {
    freeText(lexer, start)
    return undefined
  }
  lexer.at = end
  lexer.log.add('bare-text', { start: from, end }, `\`${clip(text)}\` is read as a text`, `write "${clip(text)}"`)
  return { type: 'include', start, end, path: { type: 'text', start: from, end, quote: '"', parts: [text] } }
}

function readDeclaration(reading: Reading): DeclarationNode | undefined {
  const { lexer } = reading
  const start = lexer.at
  const name = readName(lexer)
  if (name === undefined) {
    stray(lexer)
    return undefined
  }
  const newLine = lexer.skip()
  const colon = lexer.next === CHAR.colon && atColonHead(lexer.text, lexer.at)
  if (colon) {
    const span = { start: lexer.at, end: lexer.at + 1 }
    lexer.log.add(
      'colon-declaration',
      span,
      `\`${clip(name.text)}\` is declared with \`:\``,
      `write \`${clip(name.text)} = …\``,
    )
  }
  if (!colon && lexer.next !== CHAR.equals) {
    return noEquals(lexer, name, newLine)
  }
  lexer.at++
  reading.indent = indentOf(lexer.text, start) ?? 0
  const { kind, block } = readBody(reading)
  return { type: 'declaration', start, end: lexer.at, name, kind, block }
}

/** What a declaration is: the words of its kind, and its block. Where they cannot be read, which is told, there is still the name. */
function readBody(reading: Reading): Pick<DeclarationNode, 'kind' | 'block'> {
  const { lexer } = reading
  const behind = lexer.at
  if (lexer.skip() && lexer.next !== CHAR.openBlock && atNextDeclaration(lexer)) {
    endOfLine(lexer, behind, 'a kind such as `llm openai`')
    return nothing(lexer)
  }
  const first = atValue(lexer) ? undefined : readName(lexer)
  if (first === undefined) {
    const dotted = /^\p{L}[\p{L}\p{N}_-]*[./:]\p{L}[\p{L}\p{N}_-]*(?=[ \t]*\{)/u.exec(lexer.restOfLine())?.[0]
    const hint =
      dotted === undefined
        ? 'only blocks with a kind stand outside: `name = kind { … }`'
        : `a blank stands between the words of a kind: \`${dotted.replace(/[./:]/, ' ')}\``
    expected(lexer, 'a kind such as `llm openai`', lexer.at, hint)
    if (lexer.next === CHAR.openBlock) return { kind: [], block: readBlock(reading) }
    skipToDeclaration(lexer)
    return nothing(lexer)
  }
  const second = lexer.skip() ? readSecondWord(lexer, false) : readName(lexer)
  const kind = second === undefined ? [first] : [first, second]
  const end = second?.end ?? first.end
  const newLine = lexer.skip() || lexer.text.slice(end, lexer.at).search(/[\r\n]/) >= 0
  if (lexer.next === CHAR.openBlock) return { kind, block: readBlock(reading) }
  const what = second === undefined ? 'another word of the kind, or `{`' : '`{`'
  if (newLine || lexer.atEnd) endOfLine(lexer, end, what)
  else expected(lexer, what)
  // Entries follow: then only the brace is missing.
  const isDeeper = (indentOf(lexer.text, lexer.at) ?? 0) > reading.indent
  const isEntry = isDeeper || !(atDeclaration(lexer.text, lexer.at) || atNextDeclaration(lexer))
  if (newLine ? isEntry && atEntry(lexer.text, lexer.at) : standsForBrace(reading)) {
    if (!newLine) lexer.at++
    return { kind, block: readBlock(reading, true) }
  }
  if (!newLine && passToBlock(lexer)) return { kind, block: readBlock(reading) }
  if (newLine && !lexer.atEnd && !atNextDeclaration(lexer)) skipToDeclaration(lexer)
  return nothing(lexer)
}

function nothing(lexer: Lexer): Pick<DeclarationNode, 'kind' | 'block'> {
  const block: BlockNode = { type: 'block', start: lexer.at, end: lexer.at, entries: [], broken: true }
  return { kind: [], block }
}

/**
 * Goes on behind a declaration with a mistake: where its braces were misjudged, what is left of it would only repeat that. Up to the next line
 * that is no deeper, and on which something begins.
 */
function resume(reading: Reading): void {
  const { lexer, indent } = reading
  if (!Object.values(balance(reading)).includes(true)) return
  for (;;) {
    lexer.skip()
    const { text, at } = lexer
    const margin = indentOf(text, at)
    if (lexer.atEnd) return
    if (margin !== undefined && margin <= indent && !isCloser(lexer.next)) return
    lexer.at = lexer.lineEnd()
  }
}

function isCloser(code: number): boolean {
  return code === CHAR.closeBlock || code === CHAR.closeList || code === CHAR.closeParen
}

/** True for `debug = true`: a value, and no kind that is called so. */
function atValue(lexer: Lexer): boolean {
  const before = lexer.at
  const word = lexer.text.slice(before, nameEnd(lexer.text, before))
  if (flagOf(word) === undefined && !isNull(word)) return false
  lexer.at += word.length
  lexer.skip()
  const goesOn =
    lexer.next === CHAR.openBlock || (nameEnd(lexer.text, lexer.at) > lexer.at && !atNextDeclaration(lexer))
  lexer.at = before
  return !goesOn
}

function readName(lexer: Lexer): WordNode | undefined {
  const start = lexer.at
  const end = nameEnd(lexer.text, start)
  if (end === start || bareEnd(lexer.text, start, false) !== end) return undefined
  lexer.at = end
  return { type: 'word', start, end, text: lexer.text.slice(start, end) }
}

/** What stands outside of all declarations and begins none. */
function stray(lexer: Lexer): void {
  const code = lexer.next
  if (code === CHAR.closeBlock || code === CHAR.closeList) {
    const span = { start: lexer.at, end: lexer.at + 1 }
    lexer.log.add(
      'stray-bracket',
      span,
      `found ${lexer.describe()}, expected a declaration such as \`name = kind { … }\``,
    )
    lexer.at++
    return
  }
  if (!/^[<>/*]/.test(lexer.restOfLine()) && atMisnamed(lexer.text, lexer.at)) {
    const quoted = code === CHAR.quote || code === CHAR.apostrophe
    const hint = quoted
      ? 'a name stands without quotes'
      : 'names begin with a letter or `_` and go on with letters, digits, `_` and `-`'
    expected(lexer, 'the name of a declaration', lexer.at, hint)
    passToBlock(lexer)
    skipBalanced(lexer)
    return
  }
  freeText(lexer, lexer.at)
}

function freeText(lexer: Lexer, start: number): void {
  const line = lexer.restOfLine(start).trimEnd()
  const hint = /^(?:\/\/|\/\*|--|;)/.test(line)
    ? 'comments begin with `#`'
    : line.includes('->')
      ? 'the key `to` says where output goes'
      : undefined
  const span = { start, end: start + line.length }
  lexer.log.add(
    'free-text',
    span,
    `found \`${clip(line)}\`, expected a declaration such as \`name = kind { … }\``,
    hint,
  )
  skipToDeclaration(lexer, true)
}

const WORDS = '[\\p{L}\\p{M}\\p{N}_-]+(?:[ \\t]+[\\p{L}\\p{M}\\p{N}_-]+)?[ \\t]*'
const HEADLESS = new RegExp(`^${WORDS}(?:=[ \\t]*${WORDS})?\\{`, 'u')

function noEquals(lexer: Lexer, name: WordNode, newLine: boolean): DeclarationNode | undefined {
  const rest = lexer.restOfLine()
  if (lexer.next !== CHAR.openBlock && (newLine || !HEADLESS.test(rest))) {
    lexer.at = name.start
    freeText(lexer, name.start)
    return undefined
  }
  const hint = rest.includes('=') ? 'a name is one word: `name = kind { … }`' : undefined
  expected(lexer, `\`=\` behind \`${clip(name.text)}\``, lexer.at, hint)
  passToBlock(lexer)
  skipBalanced(lexer)
  return { type: 'declaration', start: name.start, end: lexer.at, name, ...nothing(lexer) }
}

/** Passes the rest of a line up to its `{`; without one, up to the next declaration. */
function passToBlock(lexer: Lexer): boolean {
  const open = lexer.restOfLine().search(/[{#]/)
  if (open >= 0 && lexer.text.charCodeAt(lexer.at + open) === CHAR.openBlock) {
    lexer.at += open
    return true
  }
  if (!atNextDeclaration(lexer)) skipToDeclaration(lexer)
  return false
}

function atNextDeclaration(lexer: Lexer): boolean {
  const end = nameEnd(lexer.text, lexer.at)
  return end > lexer.at && /^[ \t]*=/.test(lexer.restOfLine(end))
}

function endOfLine(lexer: Lexer, at: number, what: string): void {
  const found = lexer.lineEnd(at) >= lexer.text.length ? 'the end of the file' : 'the end of the line'
  lexer.log.add('expected', { start: at, end: at }, `found ${found}, expected ${what}`)
}
