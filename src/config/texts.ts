import type { TextNode, VariableNode } from './ast.ts'
import { MAX_DIAGNOSTICS } from './diagnostic-log.ts'
import { CHAR, isLineEnd, type Lexer } from './lexer.ts'
import { goesOn } from './words.ts'

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  0: '\0',
  '\\': '\\',
  '"': '"',
  "'": "'",
  '/': '/',
  $: '$',
}

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/y
const BARE_VARIABLE = /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))/y
/** As a text of its own it is meant to be a variable: `"$OPENAI_API_KEY"`. */
const NAMED = /^\$[A-Z][A-Z0-9_]+$/
/** `${NAME:-value}` and `$ NAME`, up to their end: what other languages write, or fingers. */
const ODD_VARIABLE = /\$(?:\{[^{}\r\n]*\}?|[ \t]+[A-Za-z_][A-Za-z0-9_]*(?=[ \t]*(?:[,}\]#\r\n]|$)))/y
/** Before a backslash: the beginning of a path of Windows. */
const DRIVE = /(?:^|[^A-Za-z0-9])[A-Za-z]:$/
const CODE_POINT = /u(?:([\da-fA-F]{4})|\{([\da-fA-F]{1,8})\})/y
/** Up to here a text is as it stands. */
const PLAIN = /[^"'\\\r\n$]+/y

/** Reads the text whose quote is next. An unclosed one ends with its line, and is an error. */
export function readText(lexer: Lexer): TextNode {
  const { text } = lexer
  const start = lexer.at
  const quote = text.charCodeAt(start)
  PLAIN.lastIndex = start + 1
  const end = PLAIN.test(text) ? PLAIN.lastIndex : start + 1
  // Most texts are plain; three quotes begin with an empty one.
  if (text.charCodeAt(end) !== quote || (end === start + 1 && text.charCodeAt(end + 1) === quote)) {
    return readPieces(lexer, start)
  }
  lexer.at = end + 1
  const parts = end === start + 1 ? [] : [text.slice(start + 1, end)]
  return checked({ type: 'text', start, end: end + 1, quote: quote === CHAR.quote ? '"' : "'", parts }, lexer)
}

function readPieces(lexer: Lexer, start: number): TextNode {
  const { text } = lexer
  const quote = text[start] as '"' | "'"
  const lines = text.startsWith(quote.repeat(3), start)
  const close = lines ? quote.repeat(3) : quote
  lexer.at += close.length
  // So that the first line may stand below the quotes.
  if (lines) passLineEnd(lexer)
  const parts: (string | VariableNode)[] = []
  let piece = ''
  let broken: true | undefined
  const flush = () => {
    if (piece !== '') parts.push(piece)
    piece = ''
  }
  for (;;) {
    PLAIN.lastIndex = lexer.at
    if (PLAIN.test(text)) {
      piece += text.slice(lexer.at, PLAIN.lastIndex)
      lexer.at = PLAIN.lastIndex
    }
    const code = lexer.next
    if (text.startsWith(close, lexer.at)) {
      lexer.at += close.length
      break
    }
    if (lexer.atEnd || (!lines && isLineEnd(code))) {
      unclosed(lexer, start, close)
      broken = true
      if (lines) lexer.endsInText = true
      else {
        const end = textEnd(text, start)
        // `{ a: "b` at the very end lacks the brace as well; the quote is told.
        if (lexer.atEnd && end === lexer.at) lexer.endsInText = true
        lexer.at = lexer.atEnd ? end : brokenEnd(lexer, start)
      }
      break
    }
    if (code === CHAR.backslash) {
      piece += readEscape(lexer)
    } else if (code === CHAR.dollar && quote === '"') {
      const variable = readInnerVariable(lexer)
      if (typeof variable === 'string') piece += variable
      else {
        flush()
        parts.push(variable)
      }
    } else {
      piece += passLineEnd(lexer) ? '\n' : text[lexer.at++]
    }
  }
  flush()
  const node = {
    type: 'text',
    start,
    end: lexer.at,
    quote,
    parts,
    ...(broken === undefined ? {} : { broken }),
  } as const
  return checked(lines ? { ...node, lines: true } : node, lexer)
}

function checked(node: TextNode, lexer: Lexer): TextNode {
  const [only] = node.parts
  if (node.parts.length === 1 && typeof only === 'string' && only.startsWith('$') && NAMED.test(only)) {
    lexer.log.add('quoted-variable', node, `the text \`${only}\` stays as it is`, `write ${only} without quotes`)
  }
  for (const part of node.parts) {
    if (typeof part !== 'string' || part.isWellFormed()) continue
    lexer.log.add('bad-escape', node, 'found half a surrogate pair, expected a whole character', 'write `\\u{…}`')
  }
  return node
}

/** Reads `$NAME` or `${NAME}` as a value of its own. */
export function readVariable(lexer: Lexer): VariableNode {
  const start = lexer.at
  BARE_VARIABLE.lastIndex = start
  const match = BARE_VARIABLE.exec(lexer.text)
  lexer.at = match === null ? start + 1 : BARE_VARIABLE.lastIndex
  const end = lexer.at
  while (!lexer.atEnd && (goesOn(lexer.text, lexer.at) || lexer.next === CHAR.dollar)) lexer.at++
  const name = match?.[1] ?? match?.[2] ?? ''
  if (match === null) {
    ODD_VARIABLE.lastIndex = start
    const odd = ODD_VARIABLE.exec(lexer.text)?.[0]
    if (odd !== undefined) lexer.at = start + odd.length
    const hint = odd?.startsWith('${')
      ? 'between the braces stands a name and nothing else; a default goes into a file .env'
      : undefined
    lexer.log.add('bad-variable', { start, end }, `found ${lexer.describe(end)} behind \`$\`, expected a name`, hint)
  } else if (lexer.at > end) {
    const rest = lexer.text.slice(end, lexer.at)
    lexer.log.add(
      'bad-variable',
      { start: end, end: lexer.at },
      `found ${lexer.describe(end)} right behind \`$${name}\`, expected the end of the value`,
      `write "\${${name}}${rest}"`,
    )
  }
  // Without a name there is nothing to look up, and nothing more to tell.
  return { type: 'variable', start, end: lexer.at, name: lexer.at > end ? '' : name }
}

function readInnerVariable(lexer: Lexer): VariableNode | string {
  const start = lexer.at
  VARIABLE.lastIndex = start
  const match = VARIABLE.exec(lexer.text)
  if (match !== null) {
    lexer.at = VARIABLE.lastIndex
    return { type: 'variable', start, end: lexer.at, name: match[1]! }
  }
  lexer.at++
  if (lexer.text[lexer.at] === '{') {
    const span = { start, end: lexer.at + 1 }
    lexer.log.add('odd-variable', span, `found \`\${\` without a name and \`}\`: it stays as it is`, 'write `\\${`')
  }
  return '$'
}

function readEscape(lexer: Lexer): string {
  const start = lexer.at++
  if (passLineEnd(lexer)) return ''
  const char = lexer.text[lexer.at] ?? ''
  const plain = ESCAPES[char]
  if (plain !== undefined) {
    // `C:\temp`
    if (/[a-z]/.test(char) && DRIVE.test(lexer.text.slice(Math.max(0, start - 3), start))) {
      const span = { start, end: start + 2 }
      lexer.log.add(
        'path-escape',
        span,
        `\`\\${char}\` is read as an escape, in what looks like a path`,
        'write `\\\\`',
      )
    }
    lexer.at++
    return plain
  }
  CODE_POINT.lastIndex = lexer.at
  const match = CODE_POINT.exec(lexer.text)
  if (match !== null) {
    lexer.at = CODE_POINT.lastIndex
    const point = Number.parseInt((match[1] ?? match[2])!, 16)
    if (point <= 0x10ffff) return match[1] === undefined ? String.fromCodePoint(point) : String.fromCharCode(point)
    const span = { start, end: lexer.at }
    lexer.log.add('bad-escape', span, `found \`\\${match[0]}\`, expected a code point up to 10FFFF`)
    return '\ufffd'
  }
  const span = { start, end: start + 1 }
  lexer.log.add('unknown-escape', span, 'found a backslash that begins no escape: it stays as it is', 'write `\\\\`')
  return '\\'
}

/** Passes LF, CR LF or CR. */
function passLineEnd(lexer: Lexer): boolean {
  if (lexer.take(CHAR.cr)) {
    lexer.take(CHAR.lf)
    return true
  }
  return lexer.take(CHAR.lf)
}

/** Where the text that begins here ends, without reading it: for whoever only passes it. */
export function textEnd(text: string, start: number): number {
  const quote = text[start]!
  const lines = text.startsWith(quote.repeat(3), start)
  const close = lines ? quote.repeat(3) : quote
  for (let at = start + close.length; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === CHAR.backslash)
      at += text.charCodeAt(at + 1) === CHAR.cr && text.charCodeAt(at + 2) === CHAR.lf ? 2 : 1
    else if (!lines && isLineEnd(code)) return beforeClosers(text, start + 1, at)
    else if (code === quote.charCodeAt(0) && text.startsWith(close, at)) return at + close.length
  }
  return lines ? text.length : beforeClosers(text, start + 1, text.length)
}

// In `{ a: "b }` the brace closes the block, not the text: taking it for text would report the block as well.
function beforeClosers(text: string, start: number, end: number): number {
  const content = text.slice(start, end)
  const closers = /[\s,}\]]*(?:[}\]][ \t]*#.*)?$/.exec(content)![0]
  if (!/[}\]]/.test(closers) || /[{[]/.test(content)) return end
  return end - closers.length
}

const MOST_LINES = 50
/** An entry, a declaration, or the end of a block. */
const NOT_TEXT =
  /^[ \t]*(?:[}\]]|[\p{L}_][\p{L}\p{N}_-]*[ \t]*[:=][ \t]*(?:["'[{$]|\p{L}[\p{L}\p{N}_-]*(?:[ \t]+\p{L}[\p{L}\p{N}_-]*)?[ \t]*[{,]?[ \t]*$|\d))/u

/**
 * Where reading goes on behind a text that is not closed on its line: behind its quote if that stands on one of the next lines, with nothing
 * between them that looks like an entry; else at the end of the line.
 */
function brokenEnd(lexer: Lexer, start: number): number {
  const { text } = lexer
  const quote = text[start]!
  let at = lexer.at
  const most = lexer.log.errors > MAX_DIAGNOSTICS ? 0 : MOST_LINES
  for (let count = 0; count < most && at < text.length; count++) {
    while (isLineEnd(text.charCodeAt(at))) at++
    const end = lexer.lineEnd(at)
    const line = text.slice(at, end)
    if (NOT_TEXT.test(line)) break
    const [behind = '', ...more] = line.split(quote).slice(1)
    if (line.includes(quote)) {
      return more.length === 0 && /^[\s,}\]]*(?:#.*)?$/.test(behind) ? end - behind.length : textEnd(text, start)
    }
    at = end
  }
  return textEnd(text, start)
}

function unclosed(lexer: Lexer, start: number, close: string): void {
  const what = lexer.atEnd ? 'the end of the file' : 'the end of the line'
  const hint =
    close.length === 1 ? `a text of several lines stands between ${close.repeat(3)} and ${close.repeat(3)}` : undefined
  lexer.log.add(
    'unclosed-text',
    { start, end: lexer.at },
    `found ${what}, expected \`${close}\` to close the text`,
    hint,
  )
}
