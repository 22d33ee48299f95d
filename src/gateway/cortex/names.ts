import { anObject, aText, checkOptions, type Rule } from '../../kit/check.ts'
import type { Message } from '../../message/message.ts'
import type { Priority } from '../../message/priority.ts'

/** What the streams and groups of a Cortex are called, after its prefix. Defaults are its own names. */
export interface CortexNameOptions {
  /** Default `cortex`. */
  readonly prefix?: string
  /** The streams of tasks by level. Default `tasks:critical`, `tasks:high`, `tasks:normal`, `tasks:low`, `priority:heartbeat`. */
  readonly levels?: Partial<Readonly<Record<Priority, string>>>
  /** Before the type, for the pool of a type of task. Default `tasks`. */
  readonly pools?: string
  /** Default `heartbeats`. */
  readonly heartbeats?: string
  /** Default `tasks:dlq`. */
  readonly dead?: string
  /** Before the name of an agent, for what is sent to it directly. Default `messages`. */
  readonly messages?: string
  /** Before `global`, a date or the name of an agent. Default `events`. */
  readonly events?: string
  /** The groups that agents of Cortex share. Default `agents`, `workers`, `coding-agents`. */
  readonly groups?: Partial<Readonly<Record<'agents' | 'workers' | 'coding', string>>>
}

/** The keys of the streams of one Cortex, and its groups. */
export interface CortexNames {
  readonly prefix: string
  readonly levels: Readonly<Record<Priority, string>>
  readonly heartbeats: string
  readonly dead: string
  readonly groups: Readonly<Record<'agents' | 'workers' | 'coding', string>>
  /** `cortex:tasks:coding`: the pool of a type of task. */
  pool(type: string): string
  /** `cortex:messages:pink`: what is sent to an agent directly. */
  messages(agent: string): string
  /** `cortex:events:global`; or of a day (`2026-02-06`), or of an agent. */
  events(scope?: string): string
  /** A key of ours beside theirs. */
  own(name: string): string
}

const LEVELS = {
  critical: 'tasks:critical',
  high: 'tasks:high',
  normal: 'tasks:normal',
  low: 'tasks:low',
  background: 'priority:heartbeat',
} as const satisfies Record<Priority, string>
const GROUPS = { agents: 'agents', workers: 'workers', coding: 'coding-agents' } as const

const RULES: Readonly<Record<keyof CortexNameOptions, Rule>> = {
  prefix: aText,
  levels: anObject,
  pools: aText,
  heartbeats: aText,
  dead: aText,
  messages: aText,
  events: aText,
  groups: anObject,
}

function textRules(names: object): Record<string, Rule> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, aText]))
}

/** The names of a Cortex. Throws INVALID_OPTION. */
export function cortexNames(options: CortexNameOptions = {}): CortexNames {
  checkOptions('cortexNames', options, RULES)
  checkOptions('cortexNames.levels', options.levels ?? {}, textRules(LEVELS))
  checkOptions('cortexNames.groups', options.groups ?? {}, textRules(GROUPS))
  const { prefix = 'cortex', pools = 'tasks', messages = 'messages', events = 'events' } = options
  const key = (name: string): string => `${prefix}:${name}`
  const levels = Object.entries({ ...LEVELS, ...options.levels }).map(([level, name]) => [level, key(name)])
  return Object.freeze({
    prefix,
    levels: Object.freeze(Object.fromEntries(levels) as Record<Priority, string>),
    heartbeats: key(options.heartbeats ?? 'heartbeats'),
    dead: key(options.dead ?? 'tasks:dlq'),
    groups: Object.freeze({ ...GROUPS, ...options.groups }),
    pool: (type: string) => key(`${pools}:${type}`),
    messages: (agent: string) => key(`${messages}:${agent}`),
    events: (scope = 'global') => key(`${events}:${scope}`),
    own: (name: string) => key(`swarmbus:${name}`),
  })
}

/** The topic of what an agent says about itself. */
export const HEARTBEAT_TOPIC = 'heartbeats'

/** How a message is laid out in its entry. */
export type CortexForm = 'task' | 'event' | 'heartbeat'

/** The form of a message: by its topic `heartbeats`; a task with a receiver or with a topic of a pool; else an event. */
export function formOf({ topic, to }: Message): CortexForm {
  if (topic === HEARTBEAT_TOPIC) return 'heartbeat'
  return to !== undefined || topic.startsWith('tasks.') ? 'task' : 'event'
}

/**
 * Where Cortex looks for a message: a task in the stream of its level, or, with a receiver, in the stream of that agent; an event in
 * `events:global`; a heartbeat in `heartbeats`.
 */
export function streamOf(message: Message, names: CortexNames): string {
  const form = formOf(message)
  switch (form) {
    case 'heartbeat':
      return names.heartbeats
    case 'event':
      return names.events()
    case 'task':
      return message.to === undefined ? names.levels[message.priority] : names.messages(message.to)
    default:
      return form satisfies never
  }
}
