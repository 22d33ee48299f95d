// Which characters make words, and what a bare word is. Written for the machine: every character of a file passes here.

/** Space, tab, line ends, and the other blanks that editors and web pages leave behind. */
const BLANK = 1
/** Begins a name. */
const START = 2
/** Goes on in a name. */
const NAME = 4
/** Goes on in a bare word: what names, numbers, paths, urls and model names are made of. */
const BARE = 8

const ASCII = new Uint8Array(128)
for (const char of ' \t\r\n\f\v') ASCII[char.charCodeAt(0)] = BLANK
for (const char of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_')
  ASCII[char.charCodeAt(0)] = START | NAME | BARE
for (const char of '0123456789-') ASCII[char.charCodeAt(0)] = NAME | BARE
for (const char of './\\~@%+*?&!') ASCII[char.charCodeAt(0)] = BARE

const COLON = 0x3a
const EQUALS = 0x3d
const QUESTION = 0x3f

/** True for white space. */
export function isBlank(code: number): boolean {
  if (code < 128) return (ASCII[code]! & BLANK) !== 0
  return !Number.isNaN(code) && /\s/.test(String.fromCharCode(code))
}

// The loops below go through every character of a file, mostly before they are compiled: so they call nothing for what is plain.

/** Where the name that begins here ends; `at` itself when none does. */
export function nameEnd(text: string, at: number): number {
  if ((classAt(text, at) & START) === 0) return at
  for (let end = at; ; ) {
    const code = text.charCodeAt(end)
    if (code < 128) {
      if ((ASCII[code]! & NAME) === 0) return end
      end++
    } else {
      if ((classAt(text, end) & NAME) === 0) return end
      end += widthAt(text, end)
    }
  }
}

/**
 * Where the bare word that begins here ends; `at` itself when none does. With `value`, a `:` belongs to it when the word goes on behind it
 * (`llama3:8b`), and a `=` behind a `?` (`https://x/?a=b`). `name` is where the name ends that it begins with.
 */
export function bareEnd(text: string, at: number, value: boolean, name = at): number {
  let query = false
  for (let end = name; ; ) {
    const code = text.charCodeAt(end)
    if (code < 128 && (ASCII[code]! & BARE) !== 0) {
      if (code === QUESTION) query = true
      end++
    } else if (code >= 128 && (classAt(text, end) & BARE) !== 0) {
      end += widthAt(text, end)
    } else if (value && end > at && (code === COLON || (code === EQUALS && query)) && goesOn(text, end + 1)) {
      end++
    } else {
      return end
    }
  }
}

/** True when a bare word could go on here. */
export function goesOn(text: string, at: number): boolean {
  return (classAt(text, at) & BARE) !== 0
}

function classAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code < 128) return ASCII[code]!
  return code >= 128 ? classOfWide(text.codePointAt(at)!) : 0
}

function widthAt(text: string, at: number): number {
  return text.charCodeAt(at) < 0x10000 && text.codePointAt(at)! > 0xffff ? 2 : 1
}

function classOfWide(point: number): number {
  const char = String.fromCodePoint(point)
  if (/\p{L}/u.test(char)) return START | NAME | BARE
  return /[\p{M}\p{N}]/u.test(char) ? NAME | BARE : 0
}

const NUMBER =
  /^[+-]?(?:0[xX][\da-fA-F]+(?:_[\da-fA-F]+)*|0[oO][0-7]+(?:_[0-7]+)*|0[bB][01]+(?:_[01]+)*|(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d*(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?)$/

/** The number that a bare word is, as in Python: `1_000`, `-2.5e3`, `0x1F`, `.5`; undefined when it is none (`007`, `1.2.3`, `30s`). */
export function numberOf(word: string): number | undefined {
  if (!NUMBER.test(word)) return undefined
  const digits = word.replaceAll('_', '')
  const sign = digits.startsWith('-') ? -1 : 1
  // Number() knows no sign before 0x.
  return sign * Number(digits.replace(/^[+-]/, ''))
}

/** `true` and `false` in any case. */
export function flagOf(word: string): boolean | undefined {
  if (word.length !== 4 && word.length !== 5) return undefined
  const lower = word.toLowerCase()
  return lower === 'true' ? true : lower === 'false' ? false : undefined
}

/** True for `null` and `None` in any case. */
export function isNull(word: string): boolean {
  if (word.length !== 4) return false
  const lower = word.toLowerCase()
  return lower === 'null' || lower === 'none'
}

/** True for a word that may stand bare as a text: it has a letter or a digit, or is one of the short paths. */
export function isBareText(word: string): boolean {
  return /[\p{L}\p{N}]/u.test(word)
    ? !word.startsWith('//')
    : ['.', '..', './', '../', '/', '~', '~/', '*'].includes(word)
}
