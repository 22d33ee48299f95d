import { shown } from '../../kit/check.ts'
import { systemEnv } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import { isPlainJson, packData, undecodable, unpackData } from '../data.ts'
import { idFrom, mustBeClean } from '../foreign.ts'
import type { Message } from '../message.ts'
import { type Clocks, FIELD_RULES, MAX_TIME, type MessageFields, restoreMessage } from '../restore.ts'

// CloudEvents 1.0.2 (github.com/cloudevents/spec). What its attributes cannot say lies in the extension `swarmbus`.

/** An event in the JSON format of CloudEvents 1.0; further names are extension attributes. */
export interface CloudEvent {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject?: string
  /** RFC 3339. */
  readonly time?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  readonly data?: unknown
  readonly data_base64?: string
  readonly [extension: string]: unknown
}

/** How messages are written as events. */
export interface CloudEventOptions {
  /** `source` of messages without `from`: a URI reference. Default `swarmbus`. */
  readonly source?: string
}

/** How events are read as messages. */
export interface FromCloudEventOptions {
  /** Topic of events that no swarmbus wrote. Default: their `type`. */
  readonly topic?: string
  /** Where the time comes from that deadlines are counted from. Default: the clocks of this process. */
  readonly env?: Clocks
}

/** Which extension attribute carries which field. Names are lower-case letters and digits, at most 20 (section 3, "Naming conventions"). */
export const CLOUD_EVENT_EXTENSIONS = {
  to: 'recipient',
  session: 'session',
  priority: 'priority',
  expiresAt: 'expirytime',
  correlationId: 'correlationid',
  causationId: 'causationid',
  rootId: 'rootid',
  hops: 'hops',
  replyTo: 'replyto',
} as const satisfies Partial<Record<keyof MessageFields, string>>

/** The extension attribute with what the others cannot say. */
const REST = 'swarmbus'
const CORE = [
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'data',
  'data_base64',
]
const RESERVED = new Set<string>([...CORE, REST, ...Object.values(CLOUD_EVENT_EXTENSIONS)])
const EXTENSIONS = Object.entries(CLOUD_EVENT_EXTENSIONS) as [keyof typeof CLOUD_EVENT_EXTENSIONS, string][]
const JSON_TYPE = 'application/json'
const BYTES_TYPE = 'application/octet-stream'

interface Rest {
  /** True when the data has the tags of `data.ts`. */
  tagged?: true
  /** Fields whose attribute says something else, or that have none; null for undefined. */
  fields?: Record<string, unknown>
  headers?: Record<string, string>
}

/** True for a media type whose body is JSON. */
export function isJsonType(type: string): boolean {
  return /^[^;]*[/+]json\s*(;|$)/i.test(type)
}

/**
 * The message as an event: `type` is the header `type` or the topic, `subject` the topic (or the header `subject`), `source` the
 * sender. Headers with a fitting name are extension attributes. Throws INVALID_PAYLOAD as codecs do, INVALID_OPTION for a bad source.
 */
export function toCloudEvent(message: Message, options: CloudEventOptions = {}): CloudEvent {
  const { source = 'swarmbus' } = options
  if (!isSource(source)) {
    throw new BusError('INVALID_OPTION', `toCloudEvent: "source" is ${shown(source)}; allowed: a URI reference`, {
      details: { field: 'source', value: shown(source), allowed: 'a URI reference' },
    })
  }
  const event: Record<string, unknown> = {
    specversion: '1.0',
    id: message.id,
    time: new Date(message.time).toISOString(),
  }
  const fields: Record<string, unknown> = {}
  const headers: Record<string, string> = {}
  putSource(event, fields, message, source)
  putName(event, fields, message)
  for (const [field, name] of EXTENSIONS) {
    const value = message[field]
    if (value === undefined || (field === 'rootId' && value === message.id) || (field === 'hops' && value === 0))
      continue
    if (field === 'expiresAt' && (value as number) <= MAX_TIME) event[name] = new Date(value as number).toISOString()
    else if (field === 'hops' || isText(value)) event[name] = value
    else fields[field] = value
  }
  const tagged = putData(event, message)
  for (const [name, value] of Object.entries(message.headers)) {
    // What reading will find anyway need not be said twice.
    if (/^[a-z0-9]{1,20}$/.test(name) && !RESERVED.has(name) && isText(value)) event[name] = value
    else if (!impliedHeader(event, name, value, fields.topic ?? message.topic, message.data)) headers[name] = value
  }
  const rest: Rest = {}
  if (tagged) rest.tagged = true
  if (Object.keys(fields).length > 0) rest.fields = fields
  if (Object.keys(headers).length > 0) rest.headers = headers
  event[REST] = restText(rest)
  return event as unknown as CloudEvent
}

/**
 * The message of an event. Of an event that no swarmbus wrote, `source` is the sender, unknown attributes become headers (as text), and
 * an id that is no UUID is kept in the header `ceid`. Throws DECODE_FAILED naming the attribute.
 */
export function fromCloudEvent(event: unknown, options: FromCloudEventOptions = {}): Message {
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    throw undecodable('event', `is ${shown(event)}; allowed: an object`)
  mustBeClean(event, 'event')
  const given = event as Readonly<Record<string, unknown>>
  if (given.specversion !== '1.0') throw undecodable('specversion', `is ${shown(given.specversion)}; allowed: "1.0"`)
  for (const name of ['id', 'source', 'type']) mustBeText(given, name)
  for (const name of ['subject', 'time', 'datacontenttype', 'dataschema'])
    if (given[name] !== undefined) mustBeText(given, name)
  const { env = systemEnv() } = options
  const rest = restOf(given[REST])
  const [id, source, type] = [given.id as string, given.source as string, given.type as string]
  const subject = given.subject as string | undefined
  const data = dataOf(given, rest)
  const headers: Record<string, string> = {}
  const fields: Record<string, unknown> = { from: source }
  const topic =
    rest === undefined ? (options.topic ?? type) : ((rest.fields?.topic as string | undefined) ?? subject ?? type)
  if (type !== topic) headers.type = type
  if (subject !== undefined && subject !== topic) headers.subject = subject
  const contentType = given.datacontenttype as string | undefined
  if (contentType !== undefined && contentType !== defaultType(data)) headers.datacontenttype = contentType
  const time = given.time === undefined ? Math.floor(env.wallMs()) : timeOf('time', given.time)
  readAttributes(given, rest !== undefined, fields, headers)
  const own = idFrom(`cloudevents ${source}`, id)
  if (own !== id) headers.ceid = id
  const said = Object.fromEntries(Object.entries(rest?.fields ?? {}).map(([name, value]) => [name, value ?? undefined]))
  const all = { ...fields, id: own, topic, time, ...said, headers: { ...headers, ...rest?.headers }, data }
  return restoreMessage(all as MessageFields, env)
}

function putSource(
  event: Record<string, unknown>,
  fields: Record<string, unknown>,
  message: Message,
  source: string,
): void {
  const { from } = message
  const foreignId = message.headers.ceid
  if (from === undefined) fields.from = null
  else if (!isSource(from)) fields.from = from
  event.source = from === undefined ? source : isSource(from) ? from : encodeURIComponent(from.toWellFormed())
  if (foreignId !== undefined && isText(foreignId) && idFrom(`cloudevents ${event.source}`, foreignId) === message.id) {
    event.id = foreignId
  }
}

function putName(event: Record<string, unknown>, fields: Record<string, unknown>, message: Message): void {
  const { topic } = message
  const { type, subject, dataschema } = message.headers
  event.type = isText(type) ? type : topic
  event.subject = isText(subject) ? subject : topic
  if (event.subject !== topic) fields.topic = topic
  if (dataschema !== undefined && isText(dataschema) && URL.canParse(dataschema)) event.dataschema = dataschema
}

/** Puts the data in; true when it is tagged. */
function putData(event: Record<string, unknown>, message: Message): boolean {
  const { data } = message
  if (data === undefined) return false
  const wanted = message.headers.datacontenttype
  event.datacontenttype = wanted !== undefined && isText(wanted) && fitsType(wanted, data) ? wanted : defaultType(data)
  if (data instanceof Uint8Array) {
    event.data_base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
    return false
  }
  const plain = isPlainJson(data)
  event.data = plain ? data : packData(data)
  return !plain
}

function defaultType(data: unknown): string {
  return data instanceof Uint8Array ? BYTES_TYPE : JSON_TYPE
}

// RFC 9110, section 8.3.1, without comments and quoted parameters.
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+(?:; ?[\w.+-]+=[\w.+-]+)*$/

/** Whether an HTTP body of that type gives the same data back. */
function fitsType(type: string, data: unknown): boolean {
  if (!MEDIA_TYPE.test(type)) return false
  const isText = /^text\//i.test(type)
  if (data instanceof Uint8Array) return !isText && !isJsonType(type)
  return isJsonType(type) || (isText && typeof data === 'string' && data.isWellFormed())
}

/** True when reading the event finds the header without being told. */
function impliedHeader(
  event: Record<string, unknown>,
  name: string,
  value: string,
  topic: unknown,
  data: unknown,
): boolean {
  if (name === 'type' || name === 'subject') return event[name] === value && value !== topic
  if (name === 'datacontenttype') return event[name] === value && value !== defaultType(data)
  if (name === 'ceid') return event.id === value
  return name === 'dataschema' && event[name] === value
}

function readAttributes(
  given: Readonly<Record<string, unknown>>,
  ours: boolean,
  fields: Record<string, unknown>,
  headers: Record<string, string>,
): void {
  for (const [name, value] of Object.entries(given)) {
    if ((CORE.includes(name) && name !== 'dataschema') || name === REST || value === null || value === undefined)
      continue
    if (name !== 'dataschema' && !/^[a-z0-9]+$/.test(name)) throw undecodable(name, 'is no name of an attribute')
    if (typeof value === 'object') throw undecodable(name, `is ${shown(value)}; allowed: a text, number or truth value`)
    const field = EXTENSIONS.find(([, extension]) => extension === name)?.[0]
    const read = field === 'expiresAt' ? timeOf(name, value) : field === 'hops' ? Number(value) : value
    if (field !== undefined && (ours || FIELD_RULES[field].ok(read))) fields[field] = read
    else headers[name] = String(value)
  }
}

function dataOf(given: Readonly<Record<string, unknown>>, rest: Rest | undefined): unknown {
  const base64 = given.data_base64
  if (base64 === undefined) return rest?.tagged === true ? unpackData(given.data) : structuredClone(given.data)
  if (given.data !== undefined) throw undecodable('data_base64', 'stands beside "data"; allowed: one of them')
  return unpackData({ $bytes: base64 })
}

// `1`, or `1.` and JSON in base64url: letters that no HTTP binding escapes, for not all of them undo it.
function restText(rest: Rest): string {
  return Object.keys(rest).length === 0 ? '1' : `1.${Buffer.from(JSON.stringify(rest)).toString('base64url')}`
}

function restOf(text: unknown): Rest | undefined {
  if (text === undefined) return undefined
  if (text === '1') return {}
  try {
    const coded = /^1\.([\w-]+)$/.exec(text as string)?.[1] ?? ''
    const rest = JSON.parse(Buffer.from(coded, 'base64url').toString()) as Rest
    mustBeClean(rest, REST)
    if (isRecord(rest) && isRecord(rest.fields ?? {}) && isRecord(rest.headers ?? {})) return rest
  } catch (error) {
    throw undecodable(REST, 'is not of this version', error)
  }
  throw undecodable(REST, 'is not of this version')
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mustBeText(given: Readonly<Record<string, unknown>>, name: string): void {
  if (typeof given[name] !== 'string' || given[name] === '')
    throw undecodable(name, `is ${shown(given[name])}; allowed: a non-empty text`)
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

function timeOf(name: string, value: unknown): number {
  const ms = typeof value === 'string' && RFC_3339.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) throw undecodable(name, `is ${shown(value)}; allowed: a time as in RFC 3339`)
  return ms
}

function isSource(text: string): boolean {
  return typeof text === 'string' && /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?[A-Za-z0-9\-._~/@]+$/.test(text)
}

// Section 2.4, "Type system": no control characters, no noncharacters, no lone surrogates.
const UNFIT = /[\p{Cc}\p{Noncharacter_Code_Point}\p{Cs}]/u

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !UNFIT.test(value)
}
