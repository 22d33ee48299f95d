import { BusError } from '../kit/errors.ts'

/** Labels beside the data: `traceparent`, tenant, labels of the user. Values are texts. */
export type Headers = Readonly<Record<string, string>>

/** Most bytes of all names and values together. */
export const MAX_HEADER_BYTES = 16_384

/** The headers of a message without any; all such messages share them. */
export const NO_HEADERS: Headers = Object.freeze(Object.create(null) as Record<string, string>)

const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])

/** Headers that were checked and copied once, for many messages. */
const ready = new WeakSet<Headers>()

/** Headers that are put on many messages: checked, copied and frozen here, once. Throws as {@link freezeHeaders}. */
export function readyHeaders(given: Headers): Headers {
  const headers = freezeHeaders(given)
  ready.add(headers)
  return headers
}

/** A frozen copy of headers given by a user. Throws INVALID_MESSAGE for a wrong type, a forbidden name, or more than 16 KiB. */
export function freezeHeaders(given: Headers): Headers {
  if (given === NO_HEADERS || ready.has(given)) return given
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new BusError('INVALID_MESSAGE', '"headers" must be an object of texts', {
      details: { field: 'headers', allowed: 'an object of texts' },
    })
  }
  const headers = Object.create(null) as Record<string, string>
  let bytes = 0
  for (const [name, value] of Object.entries(given)) {
    if (FORBIDDEN.has(name) || typeof value !== 'string') {
      throw new BusError('INVALID_MESSAGE', `header "${name}" must be a text under an ordinary name`, {
        details: { field: `headers.${name}`, allowed: 'a text' },
      })
    }
    bytes += name.length + value.length
    headers[name] = value
  }
  // A character has at most three bytes: only long headers are measured exactly.
  if (bytes * 3 > MAX_HEADER_BYTES) bytes = bytesIn(headers)
  if (bytes > MAX_HEADER_BYTES) {
    throw new BusError('INVALID_MESSAGE', `headers have ${bytes} bytes; at most ${MAX_HEADER_BYTES} are allowed`, {
      details: { field: 'headers', bytes, allowed: MAX_HEADER_BYTES },
    })
  }
  return Object.freeze(headers)
}

function bytesIn(headers: Headers): number {
  return Object.entries(headers).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  )
}
