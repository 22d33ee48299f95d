import type { Env } from '../../kit/env.ts'

/** First bytes of all that a wire publishes: a mark, and the version of what follows. */
const MARK = Buffer.from([0x53, 0x42, 1])
const ORIGIN_BYTES = 8
const HEAD_BYTES = MARK.length + ORIGIN_BYTES

/** What all frames of one wire begin with: the mark, and which wire it is. */
export function makeHead(env: Env): Buffer {
  const origin = Array.from({ length: ORIGIN_BYTES }, () => Math.floor(env.random() * 256))
  return Buffer.concat([MARK, Buffer.from(origin)])
}

/** The frame with its head; a copy. */
export function packFrame(head: Buffer, frame: Uint8Array): Buffer {
  return Buffer.concat([head, frame])
}

/** The head and the frame; undefined for what no wire published. */
export function unpackFrame(bytes: Buffer): { readonly head: Buffer; readonly frame: Buffer } | undefined {
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, MARK.length).equals(MARK)) return undefined
  return { head: bytes.subarray(0, HEAD_BYTES), frame: bytes.subarray(HEAD_BYTES) }
}

/** The text as a glob of Redis that fits only it. */
export function literalGlob(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&')
}

/** A glob of Redis that fits at least the topics of the pattern: its `*` means any characters, dots too. */
export function widerGlob(tokens: readonly string[]): string {
  return tokens.map((token) => (token === '*' || token === '>' ? '*' : literalGlob(token))).join('.')
}
