import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Part } from './part.ts'
import { PER_RECORD, seqOf } from './records.ts'

/** Which records hold the kept entries of a part: the sequence of the first bit, and the bits, deflated, as base64. */
export type Marks = readonly [first: number, bits: string]

const FASTEST = 1

/** The entries of a part that have records of their own; undefined for none. */
export function marksOf(part: Part): Marks | undefined {
  let first = 0
  let bits: Uint8Array | undefined
  for (let number = part.head; number < part.end; number++) {
    const offset = part.offsetAt(number)
    if (offset % PER_RECORD !== 0) continue
    if (bits === undefined) {
      first = seqOf(offset)
      bits = new Uint8Array(((seqOf(part.offsetAt(part.end - 1)) - first) >> 3) + 1)
    }
    const at = seqOf(offset) - first
    bits[at >> 3] = (bits[at >> 3] as number) | (1 << (at & 7))
  }
  if (bits === undefined) return undefined
  return [first, deflateRawSync(bits, { level: FASTEST }).toString('base64')]
}

/** The sequences that are marked and not among these, both ascending. */
export function missingOf([first, text]: Marks, seqs: Iterable<number>): number[] {
  const bits = inflateRawSync(Buffer.from(text, 'base64'))
  for (const seq of seqs) {
    const at = seq - first
    if (at >= 0 && at >> 3 < bits.length) bits[at >> 3] = (bits[at >> 3] as number) & ~(1 << (at & 7))
  }
  const missing: number[] = []
  for (const [index, byte] of bits.entries()) {
    if (byte === 0) continue
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) missing.push(first + index * 8 + bit)
  }
  return missing
}
