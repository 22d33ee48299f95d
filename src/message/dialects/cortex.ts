import { agentTopic } from '../address.ts'
import { undecodable } from '../data.ts'
import { withoutOrigin } from '../foreign.ts'
import type { Message } from '../message.ts'
import { LANE_OF, type Priority, priorityFrom } from '../priority.ts'
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

/** Seconds that a task lives when it does not say. */
const TASK_TTL_S = 3_600

/** Names of one type of task; the set is open, what is not listed is its own. */
const SAME_TYPE: Readonly<Record<string, string>> = { code_task: 'coding' }

/** The topic of the pool that works on a type of task: `tasks.coding`. Throws INVALID_TOPIC. */
export function taskTopic(type: string): string {
  return `tasks.${SAME_TYPE[type] ?? type}`
}

/**
 * Tasks of Cortex: `{id, from, to, priority, type, payload, task, created | created_at, ttl, deadline}`. Without `to` they go to the
 * pool of their type (`tasks.coding`), else to the agent. The data is `{task, payload}`, as far as given; `type` is the header `type`.
 * `expiresAt` is the earlier of deadline and ttl (seconds; default 3 600). Levels are 0 (critical) to 4 (heartbeat), or names.
 */
export function cortexTaskDialect(options: DialectOptions = {}): Dialect {
  return dialectOf({ name: 'cortex.task', find: findTask, fields: taskFields }, options)
}

function findTask(object: Foreign, nowMs: number): Found {
  const type = textIn(object, 'type')
  const to = optionalText(object, 'to')
  const time = timeIn(object, 'created') ?? timeIn(object, 'created_at') ?? nowMs
  const ttl = object.ttl ?? TASK_TTL_S
  if (typeof ttl !== 'number' || !(ttl > 0)) throw undecodable('ttl', 'must be seconds above 0')
  const deadline = timeIn(object, 'deadline') ?? Number.MAX_SAFE_INTEGER
  const expiresAt = Math.max(0, Math.min(Math.ceil(time + ttl * 1_000), deadline))
  const task = optionalText(object, 'task')
  const payload = optionalObject(object, 'payload')
  return {
    foreignId: optionalText(object, 'id'),
    topic: to === undefined ? taskTopic(type) : agentTopic(to),
    from: optionalText(object, 'from'),
    to,
    data: { ...(task === undefined ? {} : { task }), ...(payload === undefined ? {} : { payload }) },
    priority: priorityFrom(object.priority),
    time,
    expiresAt,
    headers: { type },
  }
}

function taskFields(message: Message, idOf: (id: string) => string): Record<string, unknown> {
  const { data, expiresAt, time, topic } = message
  const isTask =
    typeof data === 'object' &&
    data !== null &&
    Object.keys(data).every((name) => name === 'task' || name === 'payload')
  return {
    id: idOf(message.id),
    from: message.from ?? '',
    to: message.to ?? '',
    priority: LANE_OF[message.priority],
    type: message.headers.type ?? topic.replace(/^tasks\./, ''),
    ...(isTask ? (plainOf(data) as object) : { payload: plainOf(data) }),
    created: time / 1_000,
    ...(expiresAt === undefined ? {} : { ttl: (expiresAt - time) / 1_000 }),
  }
}

/**
 * The level of an event by its name, as Cortex maps them: the last token decides, `system.error` is critical. Names that say nothing
 * are normal.
 */
export function eventPriority(eventType: string): Priority {
  return priorityFrom(eventType.split('.').at(-1))
}

/**
 * Events of Cortex: `{event_type, payload, timestamp, source}`. `event_type` is the topic, `source` the sender, the payload the data.
 */
export function cortexEventDialect(options: DialectOptions = {}): Dialect {
  return dialectOf({ name: 'cortex.event', find: findEvent, fields: eventFields }, options)
}

function findEvent(object: Foreign, nowMs: number): Found {
  const topic = textIn(object, 'event_type')
  return {
    foreignId: undefined,
    topic,
    from: optionalText(object, 'source'),
    data: object.payload,
    priority: eventPriority(topic),
    time: timeIn(object, 'timestamp') ?? nowMs,
    headers: textsOf(optionalObject(object, 'metadata')),
  }
}

function eventFields(message: Message): Record<string, unknown> {
  const metadata = withoutOrigin(message.headers)
  return {
    event_type: message.topic,
    payload: plainOf(message.data),
    timestamp: new Date(message.time).toISOString(),
    source: message.from ?? '',
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  }
}
