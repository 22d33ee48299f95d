// Cuts a stream of bytes into lines without ever holding more than one line of bounded length.

import { isUtf8 } from 'node:buffer'

/** Longest line that is kept, in bytes. */
export const MAX_LINE_BYTES = 1_048_576

/** One line of the input; a line that cannot be used has a fault instead of a text. */
export type Line = { readonly number: number } & (
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'fault'; readonly fault: string }
)

/** The lines of a stream, each once, in order. What is above the limit is counted and thrown away as it comes. */
export async function* linesOf(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<Line, void, undefined> {
  let parts: Uint8Array[] = []
  let bytes = 0
  let number = 0
  const add = (part: Uint8Array): void => {
    bytes += part.length
    if (bytes > maxBytes) parts = []
    else if (part.length > 0) parts.push(part)
  }
  const end = (): Line => {
    const line = lineOf(++number, parts, bytes, maxBytes)
    parts = []
    bytes = 0
    return line
  }
  for await (const chunk of source) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, at))
      from = at + 1
      yield end()
    }
    // A copy, so that a short rest does not keep the whole chunk alive.
    add(chunk.slice(from))
  }
  if (bytes > 0) yield end()
}

function lineOf(number: number, parts: readonly Uint8Array[], bytes: number, maxBytes: number): Line {
  if (bytes > maxBytes) {
    const fault = `it has ${bytes} bytes; at most ${maxBytes} (1 MiB) are taken; split it, or name a file in the task`
    return { number, type: 'fault', fault }
  }
  const whole = Buffer.concat(parts)
  if (!isUtf8(whole)) return { number, type: 'fault', fault: 'it is not UTF-8; convert it' }
  const text = whole.toString('utf8')
  return { number, type: 'text', text: number === 1 && text.startsWith('\ufeff') ? text.slice(1) : text }
}
