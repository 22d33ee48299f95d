import type { Message } from '../message/message.ts'

/** What the fields of an envelope take, about. */
const ENVELOPE_BYTES = 120

/** About the bytes of a message as JSON. Changes nothing, and never throws. */
export function sizeOf(message: Message): number {
  return ENVELOPE_BYTES + message.topic.length + weigh(message.data, 0)
}

function weigh(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value !== 'object' || value === null) return 8
  // Deeper than a message may be: whatever comes there, the sum stays finite.
  if (depth > 64) return 8
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength
  let bytes = 2
  if (Array.isArray(value)) {
    for (const inner of value) bytes += weigh(inner, depth + 1) + 1
    return bytes
  }
  if (value instanceof Map || value instanceof Set) {
    for (const [key, inner] of value.entries()) bytes += weigh(key, depth + 1) + weigh(inner, depth + 1)
    return bytes
  }
  for (const name in value) bytes += name.length + 3 + weigh((value as Record<string, unknown>)[name], depth + 1)
  return bytes
}
