import { anObject, aText, oneOf, type Rule, shown, whole } from '../kit/check.ts'
import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { undecodable } from './data.ts'
import { freezeAndLook } from './freeze.ts'
import { freezeHeaders, type Headers } from './headers.ts'
import { isMessageId, type MessageId } from './ids.ts'
import { Envelope, type Message } from './message.ts'
import { PRIORITIES, type Priority } from './priority.ts'
import { parseTopic } from './topic.ts'

/** The last millisecond of the year 9999: times up to here have a form in RFC 3339. */
export const MAX_TIME = 253_402_300_799_999

/** The two clocks that a received message needs; every {@link Env} has them. */
export type Clocks = Pick<Env, 'wallMs' | 'monotonicMs'>

/** Everything a message says, as it came from outside; nothing of it has been checked yet. */
export interface MessageFields {
  readonly id: string
  readonly topic: string
  readonly data: unknown
  /** Wall-clock milliseconds. */
  readonly time: number
  /** Default `normal`. */
  readonly priority?: Priority | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly session?: string | undefined
  /** Wall-clock milliseconds. */
  readonly expiresAt?: number | undefined
  readonly correlationId?: string | undefined
  readonly causationId?: string | undefined
  /** Default: the message's own id. */
  readonly rootId?: string | undefined
  /** Default 0. */
  readonly hops?: number | undefined
  readonly replyTo?: string | undefined
  readonly headers?: Headers | undefined
}

const anId: Rule = { allowed: 'an id in the form of a UUID', ok: isMessageId }

/** The fields of an envelope besides `data`, with what each may be. */
export const FIELD_RULES: Readonly<Record<Exclude<keyof MessageFields, 'data'>, Rule>> = {
  id: anId,
  topic: aText,
  time: whole(0, MAX_TIME),
  priority: oneOf(PRIORITIES),
  from: aText,
  to: aText,
  session: aText,
  expiresAt: { allowed: 'whole milliseconds ≥ 0', ok: (value) => Number.isInteger(value) && (value as number) >= 0 },
  correlationId: aText,
  causationId: anId,
  rootId: anId,
  hops: whole(0, 1_000),
  replyTo: aText,
  headers: anObject,
}

const REQUIRED = new Set(['id', 'topic', 'time'])
const CHECKS = Object.entries(FIELD_RULES).map(([field, rule]) => ({
  field: field as keyof MessageFields,
  rule,
  isRequired: REQUIRED.has(field),
}))
/** The topic that was looked at last, and is one: messages of one topic come one after the other. */
let goodTopic: string | undefined

/**
 * Makes a message of the bus from what came from outside: checked, deeply frozen, with a deadline on the monotonic clock. The data
 * must be the caller's own: it is frozen in place. An `expiresAt` that has passed gives a message that has expired, not an error.
 * Throws DECODE_FAILED naming the field.
 */
export function restoreMessage(fields: MessageFields, clocks: Clocks): Message {
  for (const { field, rule, isRequired } of CHECKS) {
    const value = fields[field]
    if (value === undefined && !isRequired) continue
    if (!rule.ok(value)) throw undecodable(field, `is ${shown(value)}; allowed: ${rule.allowed}`)
  }
  const { topic, replyTo, headers, expiresAt } = fields
  if (topic !== goodTopic) {
    checked('topic', () => parseTopic(topic))
    goodTopic = topic
  }
  if (replyTo !== undefined) checked('replyTo', () => parseTopic(replyTo))
  const { loose } = checked('data', () => freezeAndLook(fields.data))
  const nowMs = clocks.monotonicMs()
  const message = new Envelope(
    fields.id as MessageId,
    topic,
    fields.data,
    fields.priority ?? 'normal',
    fields.time,
    nowMs,
  )
  if (loose) Envelope.setLoose(message)
  message.from = fields.from
  message.to = fields.to
  message.session = fields.session
  message.correlationId = fields.correlationId
  message.causationId = fields.causationId as MessageId | undefined
  message.rootId = (fields.rootId ?? fields.id) as MessageId
  message.hops = fields.hops ?? 0
  message.replyTo = replyTo
  if (headers !== undefined) message.headers = checked('headers', () => freezeHeaders(headers))
  if (expiresAt !== undefined) {
    // The wall clock is asked once, here: from now on a step of it moves nothing.
    Envelope.setDeadline(message, nowMs + (expiresAt - clocks.wallMs()))
    message.expiresAt = expiresAt
  }
  return message
}

function checked<T>(field: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof BusError)) throw error
    throw undecodable(typeof error.details.field === 'string' ? error.details.field : field, error.message, error)
  }
}
