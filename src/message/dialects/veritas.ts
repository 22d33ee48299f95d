import { shown } from '../../kit/check.ts'
import { agentTopic, BROADCAST_TOPIC } from '../address.ts'
import { undecodable } from '../data.ts'
import { idFrom, withoutOrigin } from '../foreign.ts'
import type { Message } from '../message.ts'
import { type Priority, priorityFrom } from '../priority.ts'
import { parseTopic } from '../topic.ts'
import {
  type Dialect,
  type DialectOptions,
  dialectOf,
  type Foreign,
  type Found,
  optionalObject,
  optionalText,
  plainOf,
  textIn,
  textsOf,
  timeIn,
} from './dialect.ts'

/** What a message of Veritas can be. */
export const VERITAS_TYPES = [
  'request',
  'response',
  'event',
  'broadcast',
  'context_share',
  'status_update',
  'error',
] as const
/** One of {@link VERITAS_TYPES}. */
export type VeritasType = (typeof VERITAS_TYPES)[number]

/** States of an agent of Veritas. */
export const VERITAS_STATUSES = ['idle', 'busy', 'error', 'offline', 'initializing'] as const
/** One of {@link VERITAS_STATUSES}. */
export type VeritasStatus = (typeof VERITAS_STATUSES)[number]

/** The recipient that means every agent: an empty list is refused. */
export const VERITAS_EVERYBODY = '*'

/** Seconds that a message lives when it does not say. */
const TTL_S = 300

/** LOW 0, NORMAL 1, HIGH 2, URGENT 3. */
const LEVELS: readonly Priority[] = ['low', 'normal', 'high', 'critical']
const NUMBER_OF: Readonly<Record<Priority, number>> = { critical: 3, high: 2, normal: 1, low: 0, background: 0 }

/** Who an agent is. */
export interface VeritasIdentity {
  readonly agent_id: string
  readonly agent_type?: string
  readonly agent_name?: string
  readonly capabilities?: readonly string[]
}

/** True when both are the same agent: by `agent_id` alone, whatever else they say. */
export function isSameAgent(one: VeritasIdentity, other: VeritasIdentity): boolean {
  return one.agent_id === other.agent_id
}

/** The header with all recipients, as a JSON list, when there is more than one. */
export const RECIPIENTS_HEADER = 'recipients'

/** The names that a message is addressed to: several for one that was read with several recipients. */
export function recipientsOf(message: Message): readonly string[] {
  const listed = message.headers[RECIPIENTS_HEADER]
  if (listed === undefined) return message.to === undefined ? [] : [message.to]
  try {
    const names: unknown = JSON.parse(listed)
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  } catch {
    // Somebody's own header of that name.
  }
  return message.to === undefined ? [] : [message.to]
}

/**
 * Messages of Veritas: `{message_id, sender, recipients, message_type, payload, metadata: {timestamp, priority, correlation_id,
 * reply_to, ttl_seconds, retry_count, headers}}`. One recipient is the agent's inbox; several are in {@link recipientsOf}, and the
 * topic is the first one's inbox. A broadcast must be said, by type or by the recipient `*`; an empty list is refused, except for
 * an event, which goes to `payload.topic`. `message_type` is the header `type`, `reply_to` the causation.
 */
export function veritasDialect(options: DialectOptions = {}): Dialect {
  return dialectOf({ name: 'veritas', find, fields }, options)
}

function find(object: Foreign, nowMs: number): Found {
  const type = textIn(object, 'message_type').toLowerCase()
  if (!(VERITAS_TYPES as readonly string[]).includes(type))
    throw undecodable('message_type', `is "${type}"; allowed: ${VERITAS_TYPES.join(', ')}`)
  const payload = optionalObject(object, 'payload')
  if (payload === undefined) throw undecodable('payload', `is ${shown(object.payload)}; allowed: an object`)
  const metadata = optionalObject(object, 'metadata') ?? {}
  const foreignId = optionalText(object, 'message_id')
  const names = namesIn(object, type)
  const time = timeIn(metadata, 'timestamp', 'metadata.timestamp') ?? nowMs
  const ttl = metadata.ttl_seconds ?? TTL_S
  if (typeof ttl !== 'number' || !(ttl > 0))
    throw undecodable('metadata.ttl_seconds', `is ${shown(ttl)}; allowed: seconds above 0`)
  const replyTo = optionalText(metadata, 'reply_to', 'metadata.reply_to')
  const headers = { ...textsOf(optionalObject(metadata, 'headers', 'metadata.headers')), type }
  return {
    foreignId,
    topic: topicOf(type, names, payload),
    from: nameOf(object.sender, 'sender'),
    to: names.length === 1 ? names[0] : undefined,
    data: payload,
    priority: levelOf(metadata.priority),
    correlationId: optionalText(metadata, 'correlation_id', 'metadata.correlation_id') ?? foreignId,
    causationId: replyTo === undefined ? undefined : idFrom('veritas', replyTo),
    time,
    expiresAt: Math.ceil(time + ttl * 1_000),
    headers: names.length > 1 ? { ...headers, [RECIPIENTS_HEADER]: JSON.stringify(names) } : headers,
  }
}

function nameOf(agent: unknown, place: string): string {
  if (typeof agent === 'string' && agent !== '') return agent
  if (typeof agent !== 'object' || agent === null)
    throw undecodable(place, `is ${shown(agent)}; allowed: an agent, or its id`)
  return textIn(agent as Foreign, 'agent_id', `${place}.agent_id`)
}

/** The recipients by name; none for a broadcast or an event. */
function namesIn(object: Foreign, type: string): readonly string[] {
  const list = object.recipients ?? []
  if (!Array.isArray(list)) throw undecodable('recipients', `is ${shown(list)}; allowed: a list of agents`)
  const names = list.map((one, index) => nameOf(one, `recipients.${index}`))
  if (type === 'broadcast' || names.includes(VERITAS_EVERYBODY)) return []
  if (names.length === 0 && type !== 'event') {
    throw undecodable('recipients', 'is empty; a message for everybody has the type "broadcast" or the recipient "*"')
  }
  return names
}

function topicOf(type: string, names: readonly string[], payload: Foreign): string {
  const [first] = names
  if (first !== undefined) return agentTopic(first)
  if (type !== 'event') return BROADCAST_TOPIC
  const topic = textIn(payload, 'topic', 'payload.topic')
  parseTopic(topic)
  return topic
}

function levelOf(value: unknown): Priority {
  return typeof value === 'number' ? (LEVELS[value] ?? 'normal') : priorityFrom(value)
}

function fields(message: Message, idOf: (id: string) => string): Record<string, unknown> {
  const { topic, expiresAt, time, headers } = message
  const type = headers.type ?? (topic === BROADCAST_TOPIC ? 'broadcast' : 'event')
  const names = recipientsOf(message)
  return {
    message_id: idOf(message.id),
    sender: { agent_id: message.from ?? '' },
    recipients: (topic === BROADCAST_TOPIC ? [VERITAS_EVERYBODY] : names).map((agent_id) => ({ agent_id })),
    message_type: type,
    payload: plainOf(message.data),
    metadata: {
      timestamp: new Date(time).toISOString(),
      priority: NUMBER_OF[message.priority],
      correlation_id: message.correlationId ?? idOf(message.id),
      reply_to: message.causationId === undefined ? null : idOf(message.causationId),
      ttl_seconds: expiresAt === undefined ? TTL_S : (expiresAt - time) / 1_000,
      retry_count: 0,
      headers: withoutOrigin(headers, 'type', RECIPIENTS_HEADER),
    },
  }
}
