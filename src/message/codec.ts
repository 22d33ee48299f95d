import { anObject, checkOptions, shown, whole } from '../kit/check.ts'
import { systemEnv } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { type DataForm, FORBIDDEN_NAMES, packData, undecodable, unpackData } from './data.ts'
import type { Message } from './message.ts'
import { type Clocks, FIELD_RULES, type MessageFields, restoreMessage } from './restore.ts'

/** Writes messages as bytes and reads them back. Every codec keeps the same content. */
export interface Codec {
  readonly name: string
  /** Media type of the bytes. */
  readonly contentType: string
  /**
   * The message with every field of its envelope. Throws INVALID_PAYLOAD with the place of data that cannot be encoded,
   * INVALID_MESSAGE for texts with lone surrogates, PAYLOAD_TOO_LARGE above `maxBytes`.
   */
  encode(message: Message): Uint8Array
  /** A message that a bus can take: deeply frozen, its deadline counted from now. Throws DECODE_FAILED with field or position. */
  decode(bytes: Uint8Array): Message
}

/** Limits and clocks of a codec. */
export interface CodecOptions {
  /** Most bytes of one encoded message. Default 2 MiB: 1 MiB of data, in base64, with its envelope. */
  readonly maxBytes?: number
  /** Where the time comes from that deadlines are counted from. Default: the clocks of this process. */
  readonly env?: Clocks
}

/** The version of the form; another one is refused. */
export const CODEC_VERSION = 1

const MAX_BYTES = 2_097_152

/** A message as plain JSON values. Fields that are undefined, an own root, 0 hops and empty headers are left out. */
export interface JsonMessage {
  readonly v: typeof CODEC_VERSION
  readonly id: string
  readonly topic: string
  /** Left out for `undefined`. What JSON lacks is tagged: bytes, Date, bigint, Map, Set, NaN … */
  readonly data?: unknown
  readonly priority: string
  readonly time: number
  readonly from?: string
  readonly to?: string
  readonly session?: string
  readonly expiresAt?: number
  readonly correlationId?: string
  readonly causationId?: string
  readonly rootId?: string
  readonly hops?: number
  readonly replyTo?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** The message as an object that JSON keeps without loss. Throws as {@link Codec.encode} does, but knows no size. */
export function toJson(message: Message): JsonMessage {
  return packMessage(message, 'json')
}

/** The message that {@link toJson} was given; the object is left as it is. Throws DECODE_FAILED naming the field. */
export function fromJson(object: unknown, clocks: Clocks = systemEnv()): Message {
  return unpackMessage(object, clocks)
}

/** Messages as JSON text in UTF-8. Throws INVALID_OPTION. */
export function jsonCodec(options: CodecOptions = {}): Codec {
  return sizedCodec('json', 'application/json', options, {
    write: (message) => new TextEncoder().encode(JSON.stringify(packMessage(message, 'json'))),
    read(bytes) {
      try {
        return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)) as unknown
      } catch (error) {
        throw new BusError('DECODE_FAILED', `malformed JSON: ${(error as Error).message}`, { cause: error })
      }
    },
  })
}

/** What a codec is made of: an encoding of plain values. */
export interface Encoding {
  write(message: Message): Uint8Array
  /** Throws DECODE_FAILED for malformed bytes. */
  read(bytes: Uint8Array): unknown
}

/** A codec from an encoding: adds the options, the size limit, and the reading of the envelope. Throws INVALID_OPTION. */
export function sizedCodec(name: string, contentType: string, options: CodecOptions, encoding: Encoding): Codec {
  checkOptions(`${name}Codec`, options, { maxBytes: whole(64), env: anObject })
  const { maxBytes = MAX_BYTES, env = systemEnv() } = options
  const details = (bytes: number): { details: object } => ({ details: { field: 'bytes', bytes, allowed: maxBytes } })
  return Object.freeze({
    name,
    contentType,
    encode(message: Message): Uint8Array {
      const bytes = encoding.write(message)
      if (bytes.length <= maxBytes) return bytes
      const text = `the message "${message.topic}" has ${bytes.length} bytes as ${name}; allowed: ${maxBytes}`
      throw new BusError('PAYLOAD_TOO_LARGE', text, details(bytes.length) as { details: Record<string, unknown> })
    },
    decode(bytes: Uint8Array): Message {
      if (!(bytes instanceof Uint8Array)) throw undecodable('bytes', `is ${shown(bytes)}; allowed: a Uint8Array`)
      if (bytes.length > maxBytes) throw undecodable('bytes', `has a length of ${bytes.length}; allowed: ${maxBytes}`)
      return unpackMessage(encoding.read(bytes), env)
    },
  })
}

/** The message as plain values in one of the two forms of data. */
export function packMessage(message: Message, form: DataForm): JsonMessage {
  const packed: Record<string, unknown> = { v: CODEC_VERSION, id: message.id, topic: message.topic }
  if (message.data !== undefined) packed.data = packData(message.data, form)
  for (const field of FIELDS) {
    const value = message[field]
    if (value === undefined || packed[field] !== undefined) continue
    if (field === 'rootId' && value === message.id) continue
    if (field === 'hops' && value === 0) continue
    if (field === 'headers') {
      if (Object.keys(message.headers).length > 0) packed[field] = packHeaders(message.headers)
      continue
    }
    if (typeof value === 'string') mustBeWellFormed(field, value)
    packed[field] = value
  }
  return packed as unknown as JsonMessage
}

const FIELDS = Object.keys(FIELD_RULES) as readonly Exclude<keyof MessageFields, 'data'>[]
const KNOWN = new Set<string>(['v', 'data', ...FIELDS])

function packHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  for (const [name, value] of Object.entries(headers)) {
    mustBeWellFormed(`headers.${name}`, name)
    mustBeWellFormed(`headers.${name}`, value)
  }
  return { ...headers }
}

function mustBeWellFormed(field: string, text: string): void {
  if (text.isWellFormed()) return
  throw new BusError('INVALID_MESSAGE', `"${field}" has lone surrogates, which UTF-8 cannot carry`, {
    details: { field },
  })
}

function unpackMessage(packed: unknown, clocks: Clocks): Message {
  if (typeof packed !== 'object' || packed === null || Array.isArray(packed)) {
    throw undecodable('message', `is ${shown(packed)}; allowed: an object`)
  }
  const fields = packed as Readonly<Record<string, unknown>>
  if (fields.v !== CODEC_VERSION) {
    throw undecodable('v', `is ${shown(fields.v)}; this version reads ${CODEC_VERSION}`)
  }
  for (const name of Object.keys(fields)) {
    if (KNOWN.has(name)) continue
    throw undecodable(name, FORBIDDEN_NAMES.has(name) ? 'is a forbidden name' : 'is no field of a message')
  }
  const data = unpackData(fields.data)
  const known = fields as unknown as MessageFields
  return restoreMessage(data === known.data ? known : { ...known, data }, clocks)
}
