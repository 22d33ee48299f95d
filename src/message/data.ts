import { BusError } from '../kit/errors.ts'
import { MAX_DEPTH } from './freeze.ts'

// What JSON (and MessagePack) cannot say is written as an object with one name that starts with a single `$`. A name of the user
// that starts with `$` gets one `$` more, so the two cannot be confused:
//
//   $bytes      base64                      Uint8Array; MessagePack has bytes of its own
//   $typed      [kind, bytes]               other typed arrays, DataView, ArrayBuffer; little-endian
//   $date       milliseconds or null        Date; null for an invalid one
//   $number     NaN Infinity -Infinity -0   numbers that JSON lacks
//   $bigint     decimal digits              bigint
//   $map        [[key, value], …]           Map
//   $set        [value, …]                  Set
//   $undefined  true                        undefined in a list; a property that is undefined is left out
//   $text       JSON text                   text with lone surrogates; in JSON it is written as it is

/** How data is written: `json` for JSON text, `binary` for an encoding that has bytes of its own. */
export type DataForm = 'json' | 'binary'

/** Names that no object from outside may have. */
export const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

const KINDS = {
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
  Float32Array,
  Float64Array,
  DataView,
} as const
type Kind = keyof typeof KINDS

const ODD_NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '-0': -0,
}

type Place = (string | number)[]

/** The error for something in a received message that cannot be taken; `field` names the place. */
export function undecodable(field: string, fault: string, cause?: unknown): BusError {
  return new BusError('DECODE_FAILED', `"${field}" ${fault}`, { cause, details: { field } })
}

/**
 * The data as plain JSON values, with the tags above; nothing is shared with it that could be changed. Class instances, functions
 * and symbols are refused, never changed silently. Throws INVALID_PAYLOAD with the place, PAYLOAD_TOO_LARGE below 64 levels.
 */
export function packData(data: unknown, form: DataForm = 'json'): unknown {
  return pack(data, form, 0, ['data'])
}

/** The data that {@link packData} was given; objects are new and not frozen. Throws DECODE_FAILED with the place. */
export function unpackData(packed: unknown): unknown {
  return unpack(packed, 0, ['data'])
}

/** True when JSON text keeps the data as it is, so that no tag is needed. Never throws. */
export function isPlainJson(data: unknown, depth: number = 0): boolean {
  if (typeof data === 'number') return Number.isFinite(data) && !Object.is(data, -0)
  if (typeof data !== 'object' || data === null)
    return typeof data === 'string' || typeof data === 'boolean' || data === null
  if (depth >= MAX_DEPTH) return false
  if (Array.isArray(data))
    return Object.keys(data).length === data.length && data.every((one) => isPlainJson(one, depth + 1))
  if (!isPlainObject(data)) return false
  return Object.entries(data).every(([name, value]) => !FORBIDDEN_NAMES.has(name) && isPlainJson(value, depth + 1))
}

function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function refuse(place: Place, fault: string): never {
  const field = place.join('.')
  throw new BusError('INVALID_PAYLOAD', `"${field}" ${fault}`, { details: { field } })
}

function pack(value: unknown, form: DataForm, depth: number, place: Place): unknown {
  switch (typeof value) {
    case 'string':
      return form === 'json' || value.isWellFormed() ? value : { $text: JSON.stringify(value) }
    case 'number':
      if (Object.is(value, -0)) return { $number: '-0' }
      return Number.isFinite(value) ? value : { $number: String(value) }
    case 'object':
      return value === null ? null : packObject(value, form, depth, place)
    case 'boolean':
      return value
    case 'undefined':
      return { $undefined: true }
    case 'bigint':
      return { $bigint: value.toString() }
    default:
      return refuse(place, `is a ${typeof value}, which cannot be encoded`)
  }
}

function packObject(value: object, form: DataForm, depth: number, place: Place): unknown {
  if (depth >= MAX_DEPTH) {
    throw new BusError('PAYLOAD_TOO_LARGE', `the data has more than ${MAX_DEPTH} levels, or a cycle`, {
      details: { field: 'data', allowed: `${MAX_DEPTH} levels` },
    })
  }
  const inner = (one: unknown, step: string | number): unknown => {
    place.push(step)
    const packed = pack(one, form, depth + 1, place)
    place.pop()
    return packed
  }
  // Array.from also walks holes, which map would leave empty.
  if (Array.isArray(value)) return Array.from(value, inner)
  if (isPlainObject(value)) {
    const packed: Record<string, unknown> = {}
    for (const [name, one] of Object.entries(value)) {
      if (FORBIDDEN_NAMES.has(name)) refuse(place, `has the name "${name}", which no receiver takes`)
      if (!name.isWellFormed()) refuse(place, 'has a name with lone surrogates')
      if (one !== undefined) packed[name.startsWith('$') ? `$${name}` : name] = inner(one, name)
    }
    return packed
  }
  if (value instanceof Uint8Array) return packBytes(value, form)
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.getTime() }
  if (value instanceof Map) return { $map: Array.from(value, ([key, one], at) => [inner(key, at), inner(one, at)]) }
  if (value instanceof Set) return { $set: Array.from(value, inner) }
  if (value instanceof ArrayBuffer) return { $typed: ['ArrayBuffer', packBytes(new Uint8Array(value), form)] }
  const kind = ArrayBuffer.isView(value) ? kindOf(value) : undefined
  if (kind === undefined) return refuse(place, `is ${nameOf(value)}, which cannot be encoded; send plain data`)
  const { buffer, byteOffset, byteLength } = value as ArrayBufferView
  return { $typed: [kind, packBytes(new Uint8Array(buffer, byteOffset, byteLength), form)] }
}

function kindOf(view: ArrayBufferView): Kind | undefined {
  return (Object.keys(KINDS) as Kind[]).find((kind) => view instanceof KINDS[kind])
}

function nameOf(value: object): string {
  const maker = (value as { constructor?: { name?: unknown } }).constructor
  return typeof maker?.name === 'string' && maker.name !== ''
    ? `an instance of ${maker.name}`
    : 'an object with a prototype'
}

function packBytes(bytes: Uint8Array, form: DataForm): unknown {
  if (form === 'binary') return Uint8Array.from(bytes)
  return { $bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') }
}

function unpack(packed: unknown, depth: number, place: Place): unknown {
  if (typeof packed !== 'object' || packed === null) return packed
  if (depth >= MAX_DEPTH) throw undecodable('data', `has more than ${MAX_DEPTH} levels`)
  if (packed instanceof Uint8Array) return Uint8Array.from(packed)
  if (Array.isArray(packed)) return unpackList(packed, depth, place)
  if (!isPlainObject(packed)) throw undecodable(place.join('.'), 'is no plain data')
  const names = Object.keys(packed)
  const first = names[0] ?? ''
  const own = packed as Record<string, unknown>
  if (first.startsWith('$') && !first.startsWith('$$')) {
    if (names.length > 1) throw undecodable(place.join('.'), `has other names beside the tag "${first}"`)
    return unpackTag(first, own[first], depth, place)
  }
  const data: Record<string, unknown> = {}
  for (const name of names) {
    if (FORBIDDEN_NAMES.has(name)) throw undecodable([...place, name].join('.'), 'is a forbidden name')
    if (name.startsWith('$') && !name.startsWith('$$'))
      throw undecodable([...place, name].join('.'), 'is a tag beside other names')
    const plain = name.startsWith('$') ? name.slice(1) : name
    place.push(plain)
    data[plain] = unpack(own[name], depth + 1, place)
    place.pop()
  }
  return data
}

function unpackList(list: readonly unknown[], depth: number, place: Place): unknown[] {
  return list.map((one, index) => {
    place.push(index)
    const data = unpack(one, depth + 1, place)
    place.pop()
    return data
  })
}

function unpackTag(tag: string, value: unknown, depth: number, place: Place): unknown {
  const wrong = (): BusError => undecodable(place.join('.'), `has a wrong value for the tag "${tag}"`)
  switch (tag) {
    case '$bytes':
      return bytesOf(value, wrong)
    case '$typed':
      return typedOf(value, wrong)
    case '$date':
      if (value === null) return new Date(Number.NaN)
      if (typeof value !== 'number' || Number.isNaN(new Date(value).getTime())) throw wrong()
      return new Date(value)
    case '$number':
      if (typeof value !== 'string' || !Object.hasOwn(ODD_NUMBERS, value)) throw wrong()
      return ODD_NUMBERS[value]
    case '$bigint':
      if (typeof value !== 'string' || !/^-?(0|[1-9]\d*)$/.test(value)) throw wrong()
      return BigInt(value)
    case '$text':
      return textOf(value, wrong)
    case '$undefined':
      if (value !== true) throw wrong()
      return undefined
    case '$set':
      if (!Array.isArray(value)) throw wrong()
      return new Set(unpackList(value, depth, place))
    case '$map':
      if (!Array.isArray(value) || !value.every((pair) => Array.isArray(pair) && pair.length === 2)) throw wrong()
      return new Map(value.map((pair: unknown[]) => unpackList(pair, depth, place) as [unknown, unknown]))
    default:
      throw undecodable(place.join('.'), `has the unknown tag "${tag}"`)
  }
}

function textOf(value: unknown, wrong: () => BusError): string {
  try {
    const text: unknown = JSON.parse(value as string)
    if (typeof text === 'string') return text
  } catch {
    // Reported below, with the place.
  }
  throw wrong()
}

function bytesOf(value: unknown, wrong: () => BusError): Uint8Array {
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (typeof value !== 'string') throw wrong()
  const bytes = Buffer.from(value, 'base64')
  // Buffer skips what is no base64; only the one exact writing is taken.
  if (bytes.toString('base64') !== value) throw wrong()
  return Uint8Array.from(bytes)
}

function typedOf(value: unknown, wrong: () => BusError): unknown {
  if (!Array.isArray(value) || value.length !== 2) throw wrong()
  const [kind, packed] = value as [unknown, unknown]
  const raw = packed instanceof Uint8Array ? packed : (packed as { $bytes?: unknown } | null)?.$bytes
  const { buffer } = bytesOf(raw, wrong)
  if (kind === 'ArrayBuffer') return buffer
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind)) throw wrong()
  const maker = KINDS[kind as Kind]
  if ('BYTES_PER_ELEMENT' in maker && buffer.byteLength % maker.BYTES_PER_ELEMENT !== 0) throw wrong()
  return new (maker as new (buffer: ArrayBuffer) => unknown)(buffer as ArrayBuffer)
}
