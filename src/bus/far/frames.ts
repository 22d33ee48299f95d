import { aFlag, anObject, aText, oneOf, type Rule, shown, whole } from '../../kit/check.ts'
import { BusError } from '../../kit/errors.ts'
import { fromJson, toJson } from '../../message/codec.ts'
import { unpackData } from '../../message/data.ts'
import type { Envelope } from '../../message/message.ts'
import type { Clocks } from '../../message/restore.ts'
import type { AskKind } from './side.ts'

// What processes say to each other: one JSON object a frame, with its kind in `t` and its sender in `from`. Everything that comes in
// is checked field by field: whoever reaches the broker can write anything.

/** The version of the frames; others are refused. */
const VERSION = 1

/** Most bytes of one frame: 2 MiB for a message, and what goes beside it. */
export const MAX_FRAME_BYTES = 2_097_152 + 65_536

/** Frames for every process travel here. */
export const ALL_TOPIC = '_sb.all'

/** Frames for one process. */
export function topicOf(id: string): string {
  return `_sb.to.${id}`
}

/** One frame that was read, with its fields as they came; those of messages are read apart. */
export interface Frame {
  readonly type: FrameType
  readonly from: string
  readonly fields: Readonly<Record<string, unknown>>
}

type FrameType =
  /** What the sender is interested in: all of it, or what changed. */
  | 'here'
  /** It lives. */
  | 'beat'
  /** Asks for all of `here`. */
  | 'sync'
  | 'bye'
  | 'message'
  | 'answer'
  /** A process is done with a message that it was asked about. */
  | 'done'
  | 'part'
  | 'end'
  /** So many parts may be sent in all. */
  | 'credit'
  | 'cancel'
  /** Asks for the chunks of a stream. */
  | 'read'
  /** What those who keep messages say to each other. */
  | 'kept'

const ID: Rule = { allowed: '24 hex digits', ok: (value) => typeof value === 'string' && /^[0-9a-f]{24}$/.test(value) }
const list: Rule = { allowed: 'a list', ok: Array.isArray }
const count = whole(0)
const object: Rule = { allowed: anObject.allowed, ok: (value) => anObject.ok(value) && !Array.isArray(value) }
const aName: Rule = {
  allowed: 'a text of 1 to 256 characters',
  ok: (value) => aText.ok(value) && `${value}`.length <= 256,
}
const optional = (rule: Rule): Rule => ({ allowed: rule.allowed, ok: (value) => value === undefined || rule.ok(value) })

const KINDS: readonly AskKind[] = ['one', 'many', 'stream']

const FIELDS: Readonly<Record<FrameType, Readonly<Record<string, Rule>>>> = {
  here: {
    name: aName,
    epoch: count,
    ms: optional(count),
    base: count,
    seq: count,
    full: aFlag,
    last: aFlag,
    add: list,
    gone: list,
    ask: aFlag,
    peers: list,
  },
  beat: { epoch: count, seq: count, ms: optional(count) },
  sync: {},
  bye: {},
  message: {
    m: object,
    left: optional(count),
    groups: object,
    names: object,
    everyone: optional(list),
    kept: optional(aFlag),
    ask: optional(oneOf(KINDS)),
    re: optional(aName),
    chain: optional(list),
  },
  answer: { m: object },
  done: { re: aName, how: oneOf(['handled', 'failed', 'none']), error: optional(object), reports: optional(list) },
  part: { re: aName, n: count },
  end: { re: aName, n: count },
  credit: { re: aName, n: count },
  cancel: { re: aName, error: optional(object) },
  read: { re: aName, stream: aName, start: count },
  kept: { k: object },
}

/** A frame as bytes. Throws PAYLOAD_TOO_LARGE. */
export function writeFrame(type: FrameType, from: string, fields: object): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify({ v: VERSION, t: type, from, ...fields }))
  if (bytes.length <= MAX_FRAME_BYTES) return bytes
  throw new BusError('PAYLOAD_TOO_LARGE', `a frame has ${bytes.length} bytes; allowed: ${MAX_FRAME_BYTES}`, {
    details: { field: 'frame', bytes: bytes.length, allowed: MAX_FRAME_BYTES },
  })
}

/** Reads a frame. Throws DECODE_FAILED with the field. */
export function readFrame(bytes: Uint8Array): Frame {
  if (bytes.length > MAX_FRAME_BYTES) refuse('frame', `has ${bytes.length} bytes; allowed: ${MAX_FRAME_BYTES}`)
  let read: unknown
  try {
    read = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new BusError('DECODE_FAILED', 'a frame is no JSON', { cause, details: { field: 'frame' } })
  }
  if (!object.ok(read)) refuse('frame', `is ${shown(read)}; allowed: an object`)
  const fields = read as Record<string, unknown>
  if (fields.v !== VERSION) refuse('v', `is ${shown(fields.v)}; this version reads ${VERSION}`)
  const { t: type, from } = fields
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type)) refuse('t', `is ${shown(type)}, no kind of frame`)
  if (!ID.ok(from)) refuse('from', `is ${shown(from)}; allowed: ${ID.allowed}`)
  for (const [name, rule] of Object.entries(FIELDS[type as FrameType])) {
    if (!rule.ok(fields[name])) refuse(name, `is ${shown(fields[name])}; allowed: ${rule.allowed}`)
  }
  return { type: type as FrameType, from: from as string, fields }
}

function refuse(field: string, fault: string): never {
  throw new BusError('DECODE_FAILED', `a frame of another process: "${field}" ${fault}`, { details: { field } })
}

/** The message as plain values, for a frame. Throws INVALID_PAYLOAD, INVALID_MESSAGE. */
export function packed(message: Envelope): object {
  return toJson(message)
}

/** The message of a frame, frozen. Throws DECODE_FAILED. */
export function messageOf(fields: Frame['fields'], clocks: Clocks): Envelope {
  return fromJson(fields.m, clocks) as Envelope
}

/** The data of a part. Throws DECODE_FAILED. */
export function partOf(fields: Frame['fields']): unknown {
  return fields.data === undefined ? undefined : unpackData(fields.data)
}

/** The texts of a list; anything else in it is left out. */
export function textsOf(value: unknown, most: number = 100_000): readonly string[] {
  return Array.isArray(value) ? value.slice(0, most).filter((one) => typeof one === 'string' && one !== '') : []
}

/** The texts of an object by name; anything else in it is left out. */
export function pairsOf(value: unknown): ReadonlyMap<string, string> {
  const pairs = Object.entries(value as object).filter(([, one]) => typeof one === 'string')
  return new Map(pairs as [string, string][])
}
