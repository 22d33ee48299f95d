import { BusError } from '../kit/errors.ts'

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

/**
 * Freezes plain objects, arrays and class instances in depth and measures them; the findings are in {@link frozen}.
 * Accessors are not called. Throws INVALID_PAYLOAD for what refuses to be looked at, PAYLOAD_TOO_LARGE below 64 levels.
 */
export function freezeData(data: unknown): void {
  frozen.loose = false
  frozen.bytes = 0
  if (typeof data !== 'object' || data === null) {
    frozen.bytes = typeof data === 'string' ? data.length : 8
    return
  }
  try {
    frozen.bytes = walk(data, 0)
  } catch (error) {
    if (error instanceof BusError) throw error
    throw new BusError('INVALID_PAYLOAD', 'the data refuses to be read or frozen', { cause: error })
  }
}

function walk(value: object, depth: number): number {
  if (depth >= MAX_DEPTH) {
    throw new BusError('PAYLOAD_TOO_LARGE', `the data has more than ${MAX_DEPTH} levels, or a cycle`, {
      details: { field: 'data', allowed: `${MAX_DEPTH} levels` },
    })
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype === objectPrototype || prototype === null) return walkNames(value, depth)
  if (prototype === arrayPrototype) {
    Object.freeze(value)
    const list = value as unknown[]
    let bytes = 2
    for (let index = 0; index < list.length; index++) bytes += weigh(list[index], depth) + 1
    return bytes
  }
  return walkExotic(value, depth)
}

function walkNames(value: object, depth: number): number {
  Object.freeze(value)
  let bytes = 2
  for (const name in value) bytes += name.length + 3 + weigh((value as Record<string, unknown>)[name], depth)
  return bytes
}

function weigh(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value === 'object' && value !== null) return walk(value, depth + 1)
  return 8
}

function walkExotic(value: object, depth: number): number {
  if (ArrayBuffer.isView(value)) {
    frozen.loose = true
    return value.byteLength
  }
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    frozen.loose = true
    return value.byteLength
  }
  if (value instanceof Map || value instanceof Set) {
    frozen.loose = true
    let bytes = 2
    for (const [key, inner] of value.entries()) bytes += weigh(key, depth) + (inner === key ? 0 : weigh(inner, depth))
    return bytes
  }
  if (value instanceof Date) {
    frozen.loose = true
    return 26
  }
  Object.freeze(value)
  let bytes = 2
  for (const [name, slot] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    bytes += name.length + 3 + ('value' in slot ? weigh(slot.value, depth) : 0)
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
