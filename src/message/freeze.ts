import { BusError, isBusError } from '../kit/errors.ts'

// Hot path: freezing a small object costs about 40 ns, of which Object.freeze itself is 30.

/** Deepest data that may be published. */
export const MAX_DEPTH = 64

const objectPrototype = Object.prototype
const arrayPrototype = Array.prototype

/** What {@link freezeData} found. Reused: read it before the next call. */
export const frozen = {
  /** About as many bytes as the data has as JSON: characters of texts and names, 8 for each other value. */
  bytes: 0,
  /** Holds something that cannot be frozen (bytes, Map, Set, Date): recipients need copies. */
  loose: false,
}

let total = 0
let limit = 0

/**
 * Freezes plain objects, arrays and class instances in depth, as far as their enumerable properties reach, and measures them; the
 * findings are in {@link frozen}. Throws INVALID_PAYLOAD for what refuses to be looked at, PAYLOAD_TOO_LARGE below 64 levels and as soon
 * as the measure exceeds `maxBytes` (what was met until then stays frozen).
 */
export function freezeData(data: unknown, maxBytes: number = Number.POSITIVE_INFINITY): void {
  frozen.loose = false
  if (typeof data !== 'object' || data === null) {
    frozen.bytes = typeof data === 'string' ? data.length : 8
    return
  }
  total = 0
  limit = maxBytes
  try {
    walk(data, 0)
  } catch (error) {
    if (isBusError(error)) throw error
    throw new BusError('INVALID_PAYLOAD', 'the data refuses to be read or frozen', { cause: error })
  }
  frozen.bytes = total
}

/** Bytes of leaves are added up in locals, once an object to `total`: module variables are dear in the hot path. */
function walk(value: object, depth: number): void {
  const prototype = Object.getPrototypeOf(value)
  let bytes = 2
  if (prototype === objectPrototype || prototype === null) {
    Object.freeze(value)
    for (const name in value) {
      const inner = (value as Record<string, unknown>)[name]
      bytes += name.length + 3
      if (typeof inner === 'string') bytes += inner.length + 2
      else if (typeof inner === 'object' && inner !== null) deeper(inner, depth)
      else bytes += 8
    }
  } else if (prototype === arrayPrototype) {
    Object.freeze(value)
    const list = value as unknown[]
    for (let index = 0; index < list.length; index++) {
      const inner = list[index]
      bytes++
      if (typeof inner === 'string') bytes += inner.length + 2
      else if (typeof inner === 'object' && inner !== null) deeper(inner, depth)
      else bytes += 8
    }
  } else bytes = walkExotic(value, depth)
  total += bytes
  // Parts that are shared count each time they are met, as in JSON: without a bound, walking them could take for ever.
  if (total > limit) {
    throw new BusError('PAYLOAD_TOO_LARGE', `the data has more than ${limit} bytes`, {
      details: { field: 'data', bytes: total, allowed: limit },
    })
  }
}

function deeper(value: object, depth: number): void {
  if (depth + 1 >= MAX_DEPTH) {
    throw new BusError('PAYLOAD_TOO_LARGE', `the data has more than ${MAX_DEPTH} levels, or a cycle`, {
      details: { field: 'data', allowed: `${MAX_DEPTH} levels` },
    })
  }
  walk(value, depth + 1)
}

function weigh(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value !== 'object' || value === null) return 8
  deeper(value, depth)
  return 0
}

function walkExotic(value: object, depth: number): number {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    frozen.loose = true
    return value.byteLength
  }
  let bytes = 2
  if (value instanceof Map || value instanceof Set) {
    frozen.loose = true
    for (const [key, inner] of value.entries()) bytes += weigh(key, depth) + (inner === key ? 0 : weigh(inner, depth))
  } else if (value instanceof Date) {
    frozen.loose = true
    bytes = 26
  } else {
    Object.freeze(value)
    for (const [name, slot] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
      bytes += name.length + 3 + ('value' in slot ? weigh(slot.value, depth) : 0)
    }
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
