import { stripVTControlCharacters } from 'node:util'

// What controls a terminal, or turns the direction of text: whatever comes out of a log was written by somebody else.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** The text on one line, without anything that moves a terminal's cursor, colours it or turns its direction. */
export function oneLine(text: string): string {
  return stripVTControlCharacters(text).replace(CONTROLS, (char) =>
    char === '\n' || char === '\t' || char === '\r' ? ' ' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u
const NO_WIDTH = /\p{Mn}|\p{Me}|\p{Cf}/u

/** How many columns of a terminal a text takes, colours not counted. */
export function widthOf(text: string): number {
  let width = 0
  for (const char of stripVTControlCharacters(text)) width += widthOfChar(char)
  return width
}

function widthOfChar(char: string): number {
  if (char.charCodeAt(0) < 0x300) return 1
  return NO_WIDTH.test(char) ? 0 : WIDE.test(char) ? 2 : 1
}

/** The text in at most so many columns; what does not fit ends in an ellipsis. For text without colours. */
export function cut(text: string, columns: number): string {
  if (text.length <= columns && widthOf(text) <= columns) return text
  let width = 0
  let kept = ''
  for (const char of text) {
    width += widthOfChar(char)
    if (width > columns - 1) break
    kept += char
  }
  return columns < 1 ? '' : `${kept}…`
}

/** The text filled up to so many columns. */
export function pad(text: string, columns: number, side: 'left' | 'right' = 'right'): string {
  const fill = ' '.repeat(Math.max(0, columns - widthOf(text)))
  return side === 'right' ? text + fill : fill + text
}

/** A wall-clock time as local ISO text with milliseconds, as `--from` and `--since` read it. */
export function localTime(wallMs: number): string {
  const date = new Date(wallMs)
  const two = (value: number, digits = 2): string => String(value).padStart(digits, '0')
  const day = `${two(date.getFullYear(), 4)}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`
}

/** Bytes as people read them: `512 B`, `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** A span of time as people read it: `85 ms`, `1.2 s`, `3 min 5 s`. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** `1 message`, `2 messages`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
