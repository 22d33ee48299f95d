import { checkOption, oneOf, shown } from '../../kit/check.ts'
import { systemEnv } from '../../kit/env.ts'
import { agentTopic } from '../address.ts'
import { undecodable } from '../data.ts'
import {
  DELIVERY_MODE_HEADER,
  DELIVERY_MODES,
  type DeliveryMode,
  deliveryModeOf,
  MAX_RETRIES_HEADER,
  maxRetriesOf,
} from '../delivery-mode.ts'
import { withoutOrigin } from '../foreign.ts'
import { IdMaker, isMessageId } from '../ids.ts'
import type { Message } from '../message.ts'
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
import { isPlainForm, plainGrammar, unmarked } from './woodwork-plain.ts'

/** How a message of Woodwork travels. */
export const WOODWORK_PATTERNS = ['point_to_point', 'publish_subscribe', 'stream'] as const
/** One of {@link WOODWORK_PATTERNS}. */
export type WoodworkPattern = (typeof WOODWORK_PATTERNS)[number]

/** How often a message of Woodwork may be handled. */
export const WOODWORK_MODES = ['at_most_once', 'at_least_once', 'exactly_once'] as const
/** One of {@link WOODWORK_MODES}. */
export type WoodworkMode = (typeof WOODWORK_MODES)[number]

/** Seconds that a message lives when it does not say. */
export const WOODWORK_TTL_S = 300
/** Retries of a message that states none. */
export const WOODWORK_MAX_RETRIES = 3

/** How messages of Woodwork are written. */
export interface WoodworkOptions extends DialectOptions {
  /** `envelope` (default), or `plain` for code of its simple bus. Both are read, whichever is written. */
  readonly form?: 'envelope' | 'plain'
}

/**
 * Messages of Woodwork: `{message_id, session_id, event_type, payload, sender_component, target_component, delivery_mode, pattern,
 * created_at, retry_count, max_retries, ttl_seconds, metadata}`. With a target they go to that agent, else, and with the pattern
 * `publish_subscribe`, to the topic of the event; `event_type` is the header `type` too. The delivery mode and `max_retries` become the
 * headers that groups of kept channels obey; texts in `metadata` become headers. A message without an id gets one, `msg-…`, and
 * is written with it. `ttl_seconds: null` is for ever.
 *
 * Those of its simple bus, `{id, topic or target, data, sender_id, timestamp}`, are read too: they go to the topic, or to the agent, and
 * live for ever. What was read in the form that is written comes back field by field.
 */
export function woodworkDialect(options: WoodworkOptions = {}): Dialect {
  const { env = systemEnv(), form = 'envelope' } = options
  checkOption('woodworkDialect', 'form', form, oneOf(['envelope', 'plain']))
  const ids = new IdMaker(env as ConstructorParameters<typeof IdMaker>[0])
  const envelopes = dialectOf({ name: 'woodwork', find, fields }, options)
  const plains = dialectOf(plainGrammar, options)
  /** The same dialect for objects that may lack their id. */
  const read = (dialect: Dialect, object: Foreign, field: 'id' | 'message_id'): Message => {
    const id = object[field]
    if (id !== undefined && id !== null && id !== '') return dialect.read(object)
    return dialect.read({ ...object, [field]: `msg-${ids.next(Math.floor(env.wallMs()))}` })
  }
  return Object.freeze({
    name: 'woodwork',
    read(object: unknown): Message {
      if (typeof object !== 'object' || object === null || Array.isArray(object)) return envelopes.read(object)
      const given = object as Foreign
      return isPlainForm(given) ? read(plains, given, 'id') : read(envelopes, given, 'message_id')
    },
    write: (message: Message) => (form === 'plain' ? plains : envelopes).write(message),
  })
}

/**
 * True when more than `ttl_seconds` (default 300) have passed since `created_at`; never for a ttl of null. `nowMs` is the wall clock.
 * Throws DECODE_FAILED naming the field. A bus tests this itself: when it takes a message, before each delivery and each retry.
 */
export function expired(envelope: Foreign, nowMs: number): boolean {
  const ttlMs = ttlMsIn(envelope)
  return ttlMs !== undefined && nowMs - (timeIn(envelope, 'created_at') ?? nowMs) > ttlMs
}

/** True when fewer than `max_retries` (default 3) retries are used up, and the message has not {@link expired}. Throws DECODE_FAILED. */
export function retryAllowed(envelope: Foreign, nowMs: number): boolean {
  const used = countIn(envelope, 'retry_count') ?? 0
  return used < (countIn(envelope, 'max_retries') ?? WOODWORK_MAX_RETRIES) && !expired(envelope, nowMs)
}

function find(object: Foreign, nowMs: number): Found {
  const session = textIn(object, 'session_id')
  const type = textIn(object, 'event_type')
  const payload = optionalObject(object, 'payload') ?? {}
  const to = optionalText(object, 'target_component')
  const pattern = oneIn(object, 'pattern', WOODWORK_PATTERNS) ?? 'point_to_point'
  const mode = oneIn(object, 'delivery_mode', WOODWORK_MODES) ?? 'at_least_once'
  const retries = countIn(object, 'max_retries')
  countIn(object, 'retry_count')
  const time = timeIn(object, 'created_at') ?? nowMs
  const ttlMs = ttlMsIn(object)
  const metadata = textsOf(optionalObject(object, 'metadata'))
  return {
    foreignId: unmarked(textIn(object, 'message_id')),
    topic: to === undefined || pattern === 'publish_subscribe' ? type : agentTopic(to),
    from: optionalText(object, 'sender_component'),
    to,
    session,
    data: payload,
    time,
    expiresAt: ttlMs === undefined ? undefined : Math.ceil(time + ttlMs),
    headers: {
      ...metadata,
      type,
      [DELIVERY_MODE_HEADER]: ours(mode),
      ...(retries === undefined ? {} : { [MAX_RETRIES_HEADER]: String(retries) }),
    },
  }
}

function fields(message: Message, idOf: (id: string) => string): Record<string, unknown> {
  const { data, expiresAt, headers, time, to, topic } = message
  const mode = theirs(deliveryModeOf(message) ?? 'at-least-once')
  const id = idOf(message.id)
  return {
    message_id: isMessageId(id) ? `${mode === 'at_most_once' ? 'hook' : 'msg'}-${id}` : id,
    session_id: message.session ?? '',
    event_type: headers.type ?? topic,
    payload: isPlainObject(data) ? plainOf(data) : { data: plainOf(data) },
    sender_component: message.from ?? null,
    target_component: to ?? null,
    delivery_mode: mode,
    pattern: to !== undefined && topic === agentTopic(to) ? 'point_to_point' : 'publish_subscribe',
    created_at: new Date(time).toISOString(),
    retry_count: 0,
    max_retries: maxRetriesOf(message) ?? WOODWORK_MAX_RETRIES,
    ttl_seconds: expiresAt === undefined ? null : (expiresAt - time) / 1_000,
    metadata: withoutOrigin(headers, 'type', DELIVERY_MODE_HEADER, MAX_RETRIES_HEADER),
  }
}

function isPlainObject(data: unknown): boolean {
  return typeof data === 'object' && data !== null && Object.getPrototypeOf(data) === Object.prototype
}

function ours(mode: WoodworkMode): DeliveryMode {
  return DELIVERY_MODES[WOODWORK_MODES.indexOf(mode)] as DeliveryMode
}

function theirs(mode: DeliveryMode): WoodworkMode {
  return WOODWORK_MODES[DELIVERY_MODES.indexOf(mode)] as WoodworkMode
}

function oneIn<T extends string>(object: Foreign, field: string, allowed: readonly T[]): T | undefined {
  const value = optionalText(object, field)
  if (value === undefined) return undefined
  const found = allowed.find((one) => one === value)
  if (found === undefined) throw undecodable(field, `is "${value}"; allowed: ${allowed.join(', ')}`)
  return found
}

function countIn(object: Foreign, field: string): number | undefined {
  const value = object[field]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 999) return value
  throw undecodable(field, `is ${shown(value)}; allowed: a whole number from 0 to 999`)
}

/** Undefined for ever. */
function ttlMsIn(object: Foreign): number | undefined {
  const { ttl_seconds: ttl = WOODWORK_TTL_S } = object
  if (ttl === null) return undefined
  if (typeof ttl !== 'number' || !(ttl > 0)) {
    throw undecodable('ttl_seconds', `is ${shown(ttl)}; allowed: seconds above 0, or null for ever`)
  }
  return ttl * 1_000
}
