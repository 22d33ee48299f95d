import {
  aFlag,
  aFunction,
  checkOption,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  texts,
  whole,
} from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { type AckLevel, streamOf } from '../log/log.ts'
import { BROADCAST_TOPIC } from '../message/address.ts'
import { DELIVERY_MODES, type DeliveryMode } from '../message/delivery-mode.ts'
import { PRIORITIES, type Priority } from '../message/priority.ts'
import { matchesTokens, parsePattern } from '../message/topic.ts'
import {
  RETRY_PRESETS,
  type RetryOptions,
  type RetryPolicy,
  type RetryPreset,
  retryPolicy,
} from '../reliability/retry.ts'
import { retryUpTo } from './retries.ts'

/**
 * How long settled messages stay in the log; what some group has not settled is never removed. Messages that no group reads are kept
 * as long as settled ones. What exceeds any of the limits goes, oldest first.
 */
export interface Retention {
  /** Milliseconds since a message was stored. Default 7 days. */
  readonly maxAgeMs?: number
  /** Messages of one lane. Default 1 000 000. */
  readonly maxCount?: number
  /** Bytes of one lane. Default: no limit. */
  readonly maxBytes?: number
}

/** What happens to a publish when a channel holds `limit` unsettled messages. */
export type KeptOverflow =
  /** The publisher waits, at most `waitMs`, then is refused (default). */
  | 'wait'
  /** The publisher is refused at once. */
  | 'refuse'
  /** The new message goes to the dead letters at once, with reason "queue-full". */
  | 'dead-letter'
  /** The oldest waiting message of the lowest lane goes to the dead letters. */
  | 'drop-oldest'

/** The policy for a set of topics. */
export interface ChannelOptions {
  /** Patterns of its topics. Default: `NAME` and `NAME.>`. */
  readonly topics?: readonly string[]
  /** False: its messages are live. Default true. */
  readonly kept?: boolean
  /** The least its acknowledgements must survive; refused when the log can promise less. Default: whatever the log promises. */
  readonly level?: AckLevel
  /**
   * How often a group may handle a message: default `at-least-once`. `at-most-once`: one attempt, noted before it begins; what fails
   * goes to the dead letters. `exactly-once`: a repeat of an id within the duplicate window has no effect; the id is remembered after
   * its handler succeeded, so only a crash in between repeats an effect. A message's header `delivery-mode` wins.
   */
  readonly mode?: DeliveryMode
  /** How a failed message is tried again: a preset, or numbers. Default 4 attempts, 1 s, doubled, ±25 %. A message's header `max-retries` wins. */
  readonly retry?: RetryPreset | RetryOptions
  /** Decides what an error means before the table does: true retry, false not, undefined: the table. */
  readonly when?: (error: unknown) => boolean | undefined
  /** `lanes` (default): a session is in order within each lane. `strict`: in order whatever its priorities. */
  readonly order?: 'lanes' | 'strict'
  /** What a session does after one of its messages died: `go-on` (default), or `halt` until the dead letter is redriven or discarded. */
  readonly afterDeadLetter?: 'go-on' | 'halt'
  /** True: every topic is a channel of its own, for many topics that are read one by one. Default false; true for agents. */
  readonly perTopic?: boolean
  readonly retention?: Retention
  /** False: what cannot be handled is counted and announced, but not kept. Default true. */
  readonly deadLetters?: boolean
  /** Most dead letters; beyond, the oldest goes. Default 1 000. */
  readonly deadLetterLimit?: number
  /** Milliseconds after which a dead letter goes; looked after every 15 s. Default: no limit. */
  readonly deadLetterMaxAgeMs?: number
  /** Most unsettled messages. Default: no limit but the disk. */
  readonly limit?: number
  readonly overflow?: KeptOverflow
  /** Milliseconds a publisher waits for room. Default 1 000. */
  readonly waitMs?: number
  /** Messages of one lane that a group has in hand. Default 256. */
  readonly window?: number
  /** Milliseconds after which messages of a process that died are handed out again; renewed while it lives. Default 30 000. */
  readonly ackWaitMs?: number
}

const RETENTION_RULES: Readonly<Record<string, Rule>> = {
  maxAgeMs: milliseconds(0),
  maxCount: whole(0),
  maxBytes: whole(0),
}

const LEVELS: readonly AckLevel[] = ['memory', 'process', 'disk', 'replicated']

const RULES: Readonly<Record<string, Rule>> = {
  topics: texts,
  kept: aFlag,
  level: oneOf(LEVELS),
  retry: {
    allowed: `retry options, or one of ${Object.keys(RETRY_PRESETS).join(', ')}`,
    ok: (value) =>
      typeof value === 'string' ? Object.hasOwn(RETRY_PRESETS, value) : typeof value === 'object' && value !== null,
  },
  mode: oneOf(DELIVERY_MODES),
  when: aFunction,
  order: oneOf(['lanes', 'strict']),
  afterDeadLetter: oneOf(['go-on', 'halt']),
  perTopic: aFlag,
  retention: { allowed: 'an object', ok: (value) => typeof value === 'object' && value !== null },
  deadLetters: aFlag,
  deadLetterLimit: whole(1),
  deadLetterMaxAgeMs: milliseconds(1),
  limit: whole(1),
  overflow: oneOf(['wait', 'refuse', 'dead-letter', 'drop-oldest']),
  waitMs: milliseconds(0),
  window: whole(1, 100_000),
  ackWaitMs: milliseconds(10),
}

/** A policy with every value in force. */
export interface Policy {
  readonly kept: boolean
  readonly mode: DeliveryMode
  readonly retry: RetryPolicy
  /** The same with so many attempts in all. */
  readonly retryUpTo: (attempts: number) => RetryPolicy
  readonly when: ChannelOptions['when']
  readonly order: 'lanes' | 'strict'
  readonly afterDeadLetter: 'go-on' | 'halt'
  readonly perTopic: boolean
  readonly retention: Required<Retention>
  readonly deadLetters: boolean
  readonly deadLetterLimit: number
  readonly deadLetterMaxAgeMs: number
  readonly limit: number
  readonly overflow: KeptOverflow
  readonly waitMs: number
  readonly window: number
  readonly ackWaitMs: number
}

/** Throws INVALID_OPTION naming channel, field, value and range; UNSUPPORTED for a level that the log cannot promise. */
export function policyOf(name: string, options: ChannelOptions, level: AckLevel): Policy {
  const owner = `channel "${name}"`
  checkOptions(owner, options, RULES)
  checkOptions(`${owner}: retention`, options.retention ?? {}, RETENTION_RULES)
  if (options.level !== undefined && LEVELS.indexOf(options.level) > LEVELS.indexOf(level)) {
    throw new BusError(
      'UNSUPPORTED',
      `${owner} asks for level "${options.level}"; this log can promise "${level}". ${HOW[options.level]}`,
      { details: { channel: name, field: 'level', value: options.level, allowed: level } },
    )
  }
  return {
    kept: options.kept ?? true,
    mode: options.mode ?? 'at-least-once',
    retryUpTo: retryUpTo(options.retry),
    retry: retryPolicy(typeof options.retry === 'string' ? RETRY_PRESETS[options.retry] : options.retry),
    when: options.when,
    order: options.order ?? 'lanes',
    afterDeadLetter: options.afterDeadLetter ?? 'go-on',
    perTopic: options.perTopic ?? false,
    retention: {
      maxAgeMs: options.retention?.maxAgeMs ?? 7 * 24 * 3_600_000,
      maxCount: options.retention?.maxCount ?? 1_000_000,
      maxBytes: options.retention?.maxBytes ?? Number.POSITIVE_INFINITY,
    },
    deadLetters: options.deadLetters ?? true,
    deadLetterLimit: options.deadLetterLimit ?? 1_000,
    deadLetterMaxAgeMs: options.deadLetterMaxAgeMs ?? Number.POSITIVE_INFINITY,
    limit: options.limit ?? Number.POSITIVE_INFINITY,
    overflow: options.overflow ?? 'wait',
    waitMs: options.waitMs ?? 1_000,
    window: options.window ?? 256,
    ackWaitMs: options.ackWaitMs ?? 30_000,
  }
}

const HOW: Readonly<Record<AckLevel, string>> = {
  memory: '',
  process: 'On Redis set "appendonly yes"; on NATS keep in files; or use "sqlite:FILE".',
  disk:
    'On Redis set "appendfsync always"; on NATS 2.10 and newer set "sync_interval: always" and add ?sync=always to the url; ' +
    'or use "sqlite:FILE" with synchronous FULL, its default.',
  replicated: 'On Redis have a replica and add ?replicas=1 to the url; on NATS have three servers and add ?replicas=3.',
}

/** The part of a channel's streams that holds its dead letters. */
export const DEAD = 'dead'
/** The group under which dead letters are open until they are redriven or discarded. */
export const DEAD_GROUP = 'dead-letters'

/** A channel: its name, its policy, its streams. */
export class Channel {
  readonly name: string
  readonly policy: Policy
  /** Streams of its lanes, the highest first. */
  readonly lanes: readonly string[]
  readonly dead: string
  readonly #patterns: readonly (readonly string[])[]

  constructor(name: string, policy: Policy, patterns: readonly string[]) {
    this.name = name
    this.policy = policy
    this.lanes = PRIORITIES.map((priority) => streamOf(name, priority))
    this.dead = streamOf(name, DEAD)
    this.#patterns = patterns.map((pattern) => parsePattern(pattern))
  }

  /** The stream of a message: a strict session stays in one lane. */
  streamFor(priority: Priority, session: string | undefined): string {
    const lane = this.policy.order === 'strict' && session !== undefined ? 'normal' : priority
    return this.lanes[PRIORITIES.indexOf(lane)] as string
  }

  /** True when some topic may belong to both. */
  overlaps(pattern: readonly string[]): boolean {
    return this.#patterns.some((own) => overlap(own, pattern))
  }

  has(topic: readonly string[]): boolean {
    return this.#patterns.some((own) => matchesTokens(own, topic))
  }
}

/** True when a topic could fit both patterns. */
export function overlap(a: readonly string[], b: readonly string[]): boolean {
  for (let index = 0; ; index++) {
    if (a[index] === '>') return b.length > index
    if (b[index] === '>') return a.length > index
    if (index >= a.length || index >= b.length) return a.length === b.length
    if (a[index] !== '*' && b[index] !== '*' && a[index] !== b[index]) return false
  }
}

/** Roots whose topics are live unless a channel says otherwise: broadcasts and heartbeats. */
const LIVE_ROOTS: ReadonlySet<string> = new Set([BROADCAST_TOPIC.split('.')[0] as string, 'heartbeat', 'heartbeats'])

/** Which topics belong to which channel. */
export class Channels {
  readonly #declared: Channel[] = []
  readonly #made = new Map<string, Channel>()
  readonly #defaults: ChannelOptions
  readonly #level: AckLevel
  readonly #onNew: (channel: Channel) => void

  /** `onNew` is told of every kept channel when it is first met. */
  constructor(
    options: Readonly<Record<string, ChannelOptions>>,
    defaults: ChannelOptions,
    level: AckLevel,
    onNew: (channel: Channel) => void,
  ) {
    this.#defaults = defaults
    this.#level = level
    this.#onNew = onNew
    policyOf('(default)', defaults, level)
    checkOption('channels', 'channels', options, {
      allowed: 'an object',
      ok: (value) => typeof value === 'object' && value !== null,
    })
    const all: Readonly<Record<string, ChannelOptions>> = Object.hasOwn(options, 'agent')
      ? options
      : { ...options, agent: {} }
    for (const [name, one] of Object.entries(all)) {
      parsePattern(name)
      const perTopic = one.perTopic ?? name === 'agent'
      const policy = policyOf(name, { ...defaults, ...one, perTopic }, level)
      this.#declared.push(new Channel(name, policy, one.topics ?? [name, `${name}.>`]))
    }
    for (const channel of this.#declared) if (channel.policy.kept && !channel.policy.perTopic) this.#meet(channel)
  }

  /** The channel of a topic; undefined when its messages are live. */
  of(topic: string): Channel | undefined {
    // '_' is 95: answers, and what the bus says of itself.
    if (topic.charCodeAt(0) === 95) return undefined
    const tokens = topic.split('.')
    const declared = this.#declared.find((one) => one.has(tokens))
    if (declared !== undefined) {
      if (!declared.policy.kept) return undefined
      return declared.policy.perTopic ? this.#make(topic, declared.policy, [topic]) : declared
    }
    const root = tokens[0] as string
    if (LIVE_ROOTS.has(root) || this.#defaults.kept === false) return undefined
    return this.#make(root, undefined, [root, `${root}.>`])
  }

  /** True when some topic of the pattern may be kept. */
  keeps(pattern: string): boolean {
    const tokens = parsePattern(pattern)
    const root = tokens[0] as string
    if (root.startsWith('_')) return false
    if (this.#declared.some((one) => one.policy.kept && one.overlaps(tokens))) return true
    if (this.#defaults.kept === false) return false
    if (root === '*' || root === '>') return true
    if (LIVE_ROOTS.has(root)) return false
    // A live channel that was declared for the whole root leaves nothing to keep below it.
    return !this.#declared.some((one) => !one.policy.kept && one.has([root]) && one.has([root, 'x']))
  }

  /** The channel of a name that a log already has streams of. */
  named(name: string): Channel | undefined {
    const known = this.#made.get(name)
    if (known !== undefined) return known
    const declared = this.#declared.find((one) => one.name === name && !one.policy.perTopic)
    if (declared !== undefined) return declared.policy.kept ? declared : undefined
    try {
      return this.of(name)
    } catch {
      return undefined
    }
  }

  /** Every kept channel met so far. */
  all(): readonly Channel[] {
    return [...this.#made.values()]
  }

  #make(name: string, policy: Policy | undefined, patterns: readonly string[]): Channel {
    const known = this.#made.get(name)
    if (known !== undefined) return known
    return this.#meet(new Channel(name, policy ?? policyOf(name, this.#defaults, this.#level), patterns))
  }

  #meet(channel: Channel): Channel {
    this.#made.set(channel.name, channel)
    this.#onNew(channel)
    return channel
  }
}
