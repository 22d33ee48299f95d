import { agentTopic, BROADCAST_TOPIC } from '../address.ts'
import { withoutOrigin } from '../foreign.ts'
import type { Message } from '../message.ts'
import { type Priority, priorityFrom } from '../priority.ts'
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

/** How our five levels are written in zejzl, which has three. */
const LEVELS: Readonly<Record<Priority, string>> = {
  critical: 'high',
  high: 'high',
  normal: 'normal',
  low: 'low',
  background: 'low',
}

/** The receiver that means every agent. */
const EVERYBODY = '*'

/**
 * Messages of zejzl: `{from, to, type, content, priority, correlation_id, timestamp, metadata}`. They have no id. `to` becomes the
 * agent's inbox (`*` the broadcast), `type` the header `type`, `content` the data, texts in `metadata` headers.
 */
export function zejzlDialect(options: DialectOptions = {}): Dialect {
  return dialectOf({ name: 'zejzl', find, fields }, options)
}

function find(object: Foreign, nowMs: number): Found {
  const to = textIn(object, 'to')
  const type = textIn(object, 'type')
  return {
    foreignId: undefined,
    topic: to === EVERYBODY ? BROADCAST_TOPIC : agentTopic(to),
    from: textIn(object, 'from'),
    to: to === EVERYBODY ? undefined : to,
    data: optionalObject(object, 'content') ?? {},
    priority: priorityFrom(object.priority),
    correlationId: optionalText(object, 'correlation_id'),
    time: timeIn(object, 'timestamp') ?? nowMs,
    headers: { ...textsOf(optionalObject(object, 'metadata')), type },
  }
}

function fields(message: Message): Record<string, unknown> {
  return {
    from: message.from ?? null,
    to: message.to ?? (message.topic === BROADCAST_TOPIC ? EVERYBODY : message.topic),
    type: message.headers.type ?? message.topic,
    content: plainOf(message.data),
    priority: LEVELS[message.priority],
    correlation_id: message.correlationId ?? null,
    timestamp: new Date(message.time).toISOString(),
    metadata: withoutOrigin(message.headers, 'type'),
  }
}
