import { isDeepStrictEqual } from 'node:util'
import { shown } from '../../kit/check.ts'
import type { Env } from '../../kit/env.ts'
import { packData, undecodable, unpackData } from '../../message/data.ts'
import { cortexEventDialect, cortexTaskDialect } from '../../message/dialects/cortex.ts'
import { type Foreign, optionalText, textIn, timeIn } from '../../message/dialects/dialect.ts'
import { idFrom, mustBeClean, ORIGIN_HEADER } from '../../message/foreign.ts'
import type { Message } from '../../message/message.ts'
import type { Priority } from '../../message/priority.ts'
import { type MessageFields, restoreMessage } from '../../message/restore.ts'
import { formOf, HEARTBEAT_TOPIC } from './names.ts'

/** An entry of a stream as it lies there: names and texts. */
export type CortexFields = Readonly<Record<string, string>>

/** Where an entry lies. */
export interface CortexPlace {
  /** The key of the stream. */
  readonly stream: string
  /** The id that Redis gave it. */
  readonly entryId: string
}

/** An entry that was read as a message. */
export interface Decoded {
  readonly message: Message
  /** The name of the swarm of ours that wrote it; undefined for one of Cortex. */
  readonly by: string | undefined
}

/** Reads and writes entries. */
export interface CortexLayout {
  /** The fields of an entry that Cortex reads, and that {@link decode} reads back with nothing lost. */
  encode(message: Message): CortexFields
  /** Throws DECODE_FAILED naming the field. */
  decode(fields: CortexFields, place: CortexPlace): Decoded
}

/** What Cortex does not know of a message lies in this field of its entries, which Cortex overlooks. */
const OURS = 'swarmbus'
/** Fields that hold a number or JSON, although everything in an entry is text. */
const NUMBERS = new Set(['created', 'ttl', 'timestamp', 'retry_count', 'dead_at', 'duration_ms', 'confidence'])
const JSON_FIELDS = new Set(['payload', 'metadata', 'original_payload', 'details', 'blackboard'])
/** The words of Cortex for levels. */
const WORDS: Readonly<Record<Priority, string>> = {
  critical: 'critical',
  high: 'high',
  normal: 'normal',
  low: 'low',
  background: 'heartbeat',
}
/** A field alone under one of these names holds the whole object as JSON. */
const WRAPPERS = ['event', 'message', 'task', 'data']

const ENVELOPE = [
  ...(['id', 'topic', 'from', 'to', 'session', 'priority', 'time', 'expiresAt'] as const),
  ...(['correlationId', 'causationId', 'rootId', 'hops', 'replyTo', 'headers'] as const),
]

/** The layout of Cortex's entries, written in the name of a swarm. */
export function cortexLayout(name: string, env: Env): CortexLayout {
  const tasks = cortexTaskDialect({ env })
  const events = cortexEventDialect({ env })

  function plain(object: Foreign, { stream, entryId }: CortexPlace): Message {
    const id = idFrom('cortex.entry', `${stream} ${entryId}`)
    if (Object.hasOwn(object, 'original_type')) return dead(object, id)
    if (Object.hasOwn(object, 'event_type')) return renamed(events.read(object), id)
    if (Object.hasOwn(object, 'agent') && Object.hasOwn(object, 'status')) return heartbeat(object, id)
    // An event of the brain says its kind as a task does, but has a time of its own and nobody who made it.
    if (Object.hasOwn(object, 'timestamp') && !Object.hasOwn(object, 'from')) return brain(object, id)
    const task = tasks.read(object)
    return optionalText(object, 'id') === undefined ? renamed(task, id) : task
  }

  /** The same under an id that follows from its place, so that an entry that is read twice is one message. */
  function renamed(message: Message, id: string): Message {
    const origin = message.headers[ORIGIN_HEADER]
    const headers =
      origin === undefined
        ? message.headers
        : { ...message.headers, [ORIGIN_HEADER]: JSON.stringify({ ...(JSON.parse(origin) as object), id }) }
    return restoreMessage({ ...message, id, rootId: id, headers }, env)
  }

  function heartbeat(object: Foreign, id: string): Message {
    const { agent: _agent, timestamp: _timestamp, ...data } = object
    const time = timeIn(object, 'timestamp') ?? env.wallMs()
    return restoreMessage(
      { id, topic: HEARTBEAT_TOPIC, from: optionalText(object, 'agent'), data, priority: 'background', time },
      env,
    )
  }

  function brain(object: Foreign, id: string): Message {
    const { id: own, type: _type, timestamp: _timestamp, ...data } = object
    const time = timeIn(object, 'timestamp') ?? env.wallMs()
    const given = typeof own === 'string' && own !== '' ? idFrom('cortex.event', own) : id
    return restoreMessage({ id: given, topic: textIn(object, 'type'), data, time }, env)
  }

  function dead(object: Foreign, id: string): Message {
    const own = Object.entries(object).flatMap(([field, value]) =>
      field.startsWith('original_') ? [[field.slice('original_'.length), value]] : [],
    )
    const { error, retry_count: retries } = object
    const data = { original: Object.fromEntries(own) as object, error, retries, reason: object.reason }
    const from = optionalText(object, 'original_from')
    const time = timeIn(object, 'dead_at') ?? env.wallMs()
    return restoreMessage({ id, topic: 'tasks.dlq', from, data: JSON.parse(JSON.stringify(data)), time }, env)
  }

  function typed(fields: CortexFields): Foreign {
    const entries = Object.entries(fields).filter(([field]) => field !== OURS)
    const [only] = entries
    if (entries.length === 1 && only !== undefined && WRAPPERS.includes(only[0])) {
      const inner = fromJson(only[1])
      if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) return inner as Foreign
    }
    return Object.fromEntries(entries.map(([field, text]) => [field, typedValue(field, text)]))
  }

  function textsOf(message: Message): Record<string, string> {
    const form = formOf(message)
    if (form === 'heartbeat') {
      const { status, metadata = {} } = isObject(message.data) ? message.data : { metadata: message.data }
      return flat({
        agent: message.from ?? '',
        status: typeof status === 'string' ? status : 'healthy',
        timestamp: Math.floor(message.time / 1_000),
        metadata: packData(metadata ?? {}),
      })
    }
    if (form === 'event') return flat(packData(events.write(message)) as Foreign)
    const object = packData(tasks.write(message)) as Record<string, unknown>
    // Their reader takes only whole seconds, a level by its word, and a payload that is an object.
    if (typeof object.created === 'number') object.created = Math.floor(object.created)
    if (typeof object.priority === 'number') object.priority = WORDS[message.priority]
    if (object.payload !== undefined && !isObject(object.payload)) object.payload = { content: object.payload }
    if (message.headers.type === undefined && message.topic.startsWith('agent.')) object.type = 'message'
    return flat(object)
  }

  return Object.freeze({
    encode(message: Message): CortexFields {
      const fields = textsOf(message)
      const back = plain(typed(fields), { stream: '', entryId: '' })
      const rest = ENVELOPE.filter((field) => !isDeepStrictEqual(message[field], back[field]))
      const ours: Record<string, unknown> = { by: name }
      for (const field of rest) ours[field] = message[field] ?? null
      if (!isDeepStrictEqual(message.data, back.data)) ours.data = [packData(message.data)]
      return { ...fields, [OURS]: JSON.stringify(ours) }
    },
    decode(fields: CortexFields, place: CortexPlace): Decoded {
      const message = plain(typed(fields), place)
      const ours = oursOf(fields[OURS])
      if (ours === undefined) return { message, by: undefined }
      const { by, data, ...rest } = ours
      const changed = Object.entries(rest).map(([field, value]) => [field, value ?? undefined])
      const found = { ...(message as MessageFields), ...Object.fromEntries(changed) } as MessageFields
      const restored = Array.isArray(data) ? { ...found, data: unpackData(data[0]) } : found
      return { message: restoreMessage(restored, env), by: typeof by === 'string' ? by : undefined }
    },
  })
}

/** What of ours lies in an entry. Anybody may have written it: only what is an envelope's is taken, and that is checked. */
function oursOf(text: string | undefined): Record<string, unknown> | undefined {
  const value = text === undefined ? undefined : fromJson(text)
  if (!isObject(value)) return undefined
  mustBeClean(value, OURS)
  const allowed = new Set<string>([...ENVELOPE, 'by', 'data'])
  return Object.fromEntries(Object.entries(value).filter(([field]) => allowed.has(field)))
}

function typedValue(field: string, text: string): unknown {
  if (NUMBERS.has(field)) return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
  // A level by its number, written as text.
  if (field === 'priority') return /^[0-4]$/.test(text) ? Number(text) : text
  if (!JSON_FIELDS.has(field)) return text
  const value = fromJson(text)
  if (value === undefined && field === 'payload' && /^\s*[{[]/.test(text)) {
    throw undecodable(field, `is ${shown(text)}; allowed: JSON`)
  }
  return value === undefined ? text : value
}

function flat(object: Foreign): Record<string, string> {
  const entries = Object.entries(object).flatMap(([field, value]) => {
    if (value === undefined) return []
    const isPlain = typeof value === 'string' && !JSON_FIELDS.has(field)
    return [[field, isPlain ? value : JSON.stringify(value)]]
  })
  return Object.fromEntries(entries) as Record<string, string>
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
