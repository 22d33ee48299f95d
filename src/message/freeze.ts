import { BusError, isBusError } from '../kit/errors.ts'

// Hot path: freezing a small object costs about 40 ns, of which Object.freeze itself is 30.

/** Deepest data that may be published. */
export const MAX_DEPTH = 64

const objectPrototype = Object.prototype
const arrayPrototype = Array.prototype

/** Bounds every walk, so that data whose parts are shared over and over does not take for ever. */
const MOST_BYTES = 0x3fff_ffff

/** True once {@link freezeData} met something that cannot be frozen (bytes, Map, Set, Date): recipients need copies. Reset by the reader. */
export const met: { loose: boolean } = { loose: false }

/**
 * Freezes plain objects, arrays and class instances in depth, as far as their enumerable properties reach, and returns their size:
 * about as many bytes as the data has as JSON (characters of texts and names, 8 for each other value). What cannot be frozen sets
 * `met.loose`. Throws INVALID_PAYLOAD for what refuses to be looked at, PAYLOAD_TOO_LARGE below 64 levels and as soon as the size
 * exceeds `maxBytes` (what was met until then stays frozen).
 */
export function freezeData(data: unknown, maxBytes: number = MOST_BYTES): number {
  if (typeof data !== 'object' || data === null) return typeof data === 'string' ? data.length : 8
  try {
    return walk(data, 0, maxBytes < MOST_BYTES ? maxBytes : MOST_BYTES)
  } catch (error) {
    if (error === TOO_LARGE) {
      throw new BusError('PAYLOAD_TOO_LARGE', `the data has more than ${maxBytes} bytes`, {
        details: { field: 'data', allowed: maxBytes },
      })
    }
    if (isBusError(error)) throw error
    throw new BusError('INVALID_PAYLOAD', 'the data refuses to be read or frozen', { cause: error })
  }
}

/** As {@link freezeData}, with both findings; for where a few nanoseconds do not count. */
export function freezeAndLook(data: unknown, maxBytes?: number): { readonly bytes: number; readonly loose: boolean } {
  try {
    const bytes = freezeData(data, maxBytes)
    return { bytes, loose: met.loose }
  } finally {
    met.loose = false
  }
}

/** Thrown inside a walk; outside it becomes an error that names the bound. */
const TOO_LARGE = Symbol('too large')

/** The bytes of an object with all it holds; `left` is what it may have. */
function walk(value: object, depth: number, left: number): number {
  const prototype = Object.getPrototypeOf(value)
  let bytes = 2
  if (prototype === objectPrototype || prototype === null) {
    Object.freeze(value)
    for (const name in value) {
      const inner = (value as Record<string, unknown>)[name]
      bytes += name.length + 3
      if (typeof inner === 'string') bytes += inner.length + 2
      else if (typeof inner === 'object' && inner !== null) bytes += deeper(inner, depth, left - bytes)
      else bytes += 8
    }
  } else if (prototype === arrayPrototype) {
    Object.freeze(value)
    const list = value as unknown[]
    for (let index = 0; index < list.length; index++) bytes += 1 + weigh(list[index], depth, left - bytes)
  } else bytes = walkExotic(value, depth, left)
  // Parts that are shared count each time they are met, as in JSON.
  if (bytes > left) throw TOO_LARGE
  return bytes
}

function deeper(value: object, depth: number, left: number): number {
  if (depth + 1 >= MAX_DEPTH) {
    throw new BusError('PAYLOAD_TOO_LARGE', `the data has more than ${MAX_DEPTH} levels, or a cycle`, {
      details: { field: 'data', allowed: `${MAX_DEPTH} levels` },
    })
  }
  if (left < 0) throw TOO_LARGE
  return walk(value, depth + 1, left)
}

function weigh(value: unknown, depth: number, left: number): number {
  if (typeof value === 'string') return value.length + 2
  return typeof value === 'object' && value !== null ? deeper(value, depth, left) : 8
}

function walkExotic(value: object, depth: number, left: number): number {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    met.loose = true
    return value.byteLength
  }
  if (value instanceof Date) {
    met.loose = true
    return 26
  }
  let bytes = 2
  if (value instanceof Map || value instanceof Set) {
    met.loose = true
    for (const [key, inner] of value.entries()) {
      bytes += weigh(key, depth, left - bytes)
      if (inner !== key) bytes += weigh(inner, depth, left - bytes)
    }
    return bytes
  }
  Object.freeze(value)
  for (const [name, slot] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    bytes += name.length + 3
    if ('value' in slot) bytes += weigh(slot.value, depth, left - bytes)
  }
  return bytes
}

/** A copy of data of one's own. Throws INVALID_PAYLOAD for what cannot be copied (functions, open handles). */
export function copyData<T>(data: T): T {
  if (typeof data !== 'object' || data === null) return data
  try {
    return structuredClone(data)
  } catch (error) {
    throw new BusError('INVALID_PAYLOAD', 'the data cannot be copied', { cause: error })
  }
}
