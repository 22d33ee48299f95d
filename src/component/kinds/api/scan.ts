// Just enough of the grammar of JavaScript and TypeScript to find where brackets, texts and comments end.

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

/** The offset behind the text, comment, template or regular expression that begins here; the same offset when none does. */
export function skipped(code: string, at: number): number {
  const two = code.slice(at, at + 2)
  if (two === '//') return endOr(code, code.indexOf('\n', at))
  if (two === '/*') return endOr(code, code.indexOf('*/', at + 2), 2)
  const quote = code[at]
  if (quote !== '"' && quote !== "'" && quote !== '`') return at
  for (let index = at + 1; index < code.length; index++) {
    if (code[index] === '\\') index++
    else if (quote === '`' && code.startsWith('${', index)) index = closing(code, index + 1)
    else if (code[index] === quote) return index + 1
  }
  return code.length
}

/** The offset of the bracket that closes the one here; the end of the text when none does. */
export function closing(code: string, open: number): number {
  const wanted = CLOSING[code[open] as string]
  for (let index = open + 1; index < code.length; ) {
    const next = skipped(code, index)
    if (next > index) {
      index = next
      continue
    }
    const char = code[index] as string
    if (char === wanted) return index
    index = char in CLOSING ? closing(code, index) + 1 : index + 1
  }
  return code.length
}

/** Cuts a text at a mark wherever it stands outside of brackets, texts and comments. `<` and `>` of types count as brackets. */
export function splitAt(code: string, mark: string): readonly string[] {
  const parts: string[] = []
  let start = 0
  let angles = 0
  for (let index = 0; index < code.length; ) {
    const next = skipped(code, index)
    if (next > index) {
      index = next
      continue
    }
    const char = code[index] as string
    if (char in CLOSING) {
      index = closing(code, index) + 1
      continue
    }
    if (char === '<') angles++
    // Not the arrow of a function.
    if (char === '>' && code[index - 1] !== '=' && angles > 0) angles--
    // Not `==` nor `=>`.
    const isMark = char === mark && (mark !== '=' || !'=>'.includes(code[index + 1] ?? ' '))
    if (isMark && angles === 0) {
      parts.push(code.slice(start, index))
      start = index + 1
    }
    index++
  }
  parts.push(code.slice(start))
  return parts
}

function endOr(code: string, found: number, length: number = 0): number {
  return found < 0 ? code.length : found + length
}
