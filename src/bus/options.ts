import {
  aFlag,
  aFunction,
  anObject,
  aText,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  share,
  texts,
  whole,
  wholeOrInfinity,
} from '../kit/check.ts'
import type { Env } from '../kit/env.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import type { TopicContract } from '../message/contract.ts'
import { isMessageId } from '../message/ids.ts'
import type { Message } from '../message/message.ts'
import { PRIORITIES, type Priority } from '../message/priority.ts'
import type { Wire } from '../wire/wire.ts'
import type { Failure } from './ack.ts'
import type { PayloadMode } from './publisher.ts'

/** What happens to a message for which a queue has no room. */
export type Overflow =
  /** The publisher waits, at most `waitMs`, then is refused (default). */
  | 'wait'
  /** The publisher is refused at once. */
  | 'refuse'
  /** The oldest waiting message of the lowest level goes; the new one goes itself if it is lower still. */
  | 'drop-oldest'
  /** The new message goes; the publisher's promise resolves and the receipt says "dropped". */
  | 'drop-newest'
  /** Refused, and every later acceptance is slowed by 1 ms more per refusal (at most 100 ms), 10 ms less at low water. */
  | 'adaptive'

/** The room of a queue and what happens when it is used up. */
export interface QueueOptions {
  /** Most waiting messages. Default 10 000; `Infinity` for none. */
  readonly limit?: number
  /** Default `wait`. */
  readonly overflow?: Overflow
  /** Milliseconds a publisher waits for room under `wait`. Default 1 000. */
  readonly waitMs?: number
  /** Share of `limit` above which the queue announces pressure, once per crossing. Default 0.8. */
  readonly highWater?: number
  /** Share of `limit` at which the announcement is armed again. Default 0.5; less than `highWater`. */
  readonly lowWater?: number
}

/** How a bus is made; every option has a default. */
export interface BusOptions extends QueueOptions {
  /** Names this bus in statistics and announcements. Default `bus`. */
  readonly name?: string
  /** Defaults as one of the five united systems had them; every option given beside it wins. */
  readonly preset?: Preset
  /** Clock, randomness, scheduling. Default: the real ones. */
  readonly env?: Env
  /** Makes this bus one swarm with all others on the wire, for everything that is live. Closing the bus leaves the wire open. */
  readonly wire?: Wire
  /** Milliseconds a request waits. Default 5 000. */
  readonly requestTimeoutMs?: number
  /** Milliseconds `receive` waits. Default 30 000. */
  readonly receiveTimeoutMs?: number
  /** Milliseconds a handler may run. Default 30 000. */
  readonly handlerTimeoutMs?: number
  /** Milliseconds `drain`, `stop` and `close` wait for work in hand. Default 5 000. */
  readonly drainMs?: number
  /** Milliseconds after which an unhandled message expires; `Infinity` for never (default). */
  readonly ttlMs?: number
  /** Most handlers running at once in the whole bus. Default 1 000. Waiting costs nothing of it. */
  readonly maxHandlers?: number
  /** Most messages between a message and its root. Default 32. */
  readonly maxHops?: number
  /** A waiting message is passed by at most so many higher ones. Default 100. */
  readonly overtaking?: number
  /** Default `freeze`. */
  readonly payload?: PayloadMode
  /** Largest data, in bytes as JSON (estimated). Default 1 MiB. */
  readonly maxPayloadBytes?: number
  /** Data above this is announced. Default 100 KiB. */
  readonly warnPayloadBytes?: number
  /** How many envelopes `bus.history()` keeps. Default 100; 0 for none. */
  readonly history?: number
  /** Keep the data in the history too. Default false. */
  readonly historyData?: boolean
  /** How many failures `bus.failures()` keeps. Default 1 000. */
  readonly failures?: number
  /** Level of answers: `high` (default), or `same` as the request. */
  readonly replyPriority?: Priority | 'same'
  /** Level of broadcasts that state none. Default `normal`. */
  readonly broadcastPriority?: Priority
  /** A message to an agent that is neither registered nor declared: `refuse` (default) or `hold` it until the agent comes. */
  readonly unknownAgent?: 'refuse' | 'hold'
  /** A request that comes back to an agent waiting in the same chain: `run` it re-entrantly (default) or `refuse` it. */
  readonly onCycle?: 'run' | 'refuse'
  /** False: nothing moves before `start()`. Default true. */
  readonly autoStart?: boolean
  /** What happens to a publish before `start()`: kept (at most `limit`) and delivered at the start (default), or refused. */
  readonly beforeStart?: 'buffer' | 'refuse'
  /** Milliseconds over which health counts failures. Default 300 000. */
  readonly healthWindowMs?: number
  /** Failures within the window above which the bus is unhealthy. Default 100. */
  readonly healthFailures?: number
  /** Schemas that hold for their topics however they are named. */
  readonly topics?: readonly TopicContract[]
  /** Called for each delivery that failed, expired or was dropped. Whatever it throws is ignored and counted. */
  readonly onFailure?: (failure: Failure) => void
  /** Called for answers that came late, twice, or for no open request. */
  readonly onStrayAnswer?: (answer: Message) => void
}

/** Named defaults of the five systems that swarmbus unites. */
export type Preset = 'zejzl' | 'woodwork' | 'cortex' | 'llmgine' | 'veritas'

/** The defaults of each preset, where they differ from ours. */
export const PRESETS: Readonly<Record<Preset, BusOptions>> = {
  zejzl: { requestTimeoutMs: 30_000, history: 100, maxHandlers: 1_000, receiveTimeoutMs: 30_000 },
  woodwork: { unknownAgent: 'hold', ttlMs: 300_000, healthFailures: 100 },
  cortex: { ttlMs: 3_600_000, history: 1_000, historyData: true, requestTimeoutMs: 30_000 },
  llmgine: { failures: 1_000, highWater: 0.8, lowWater: 0.5 },
  veritas: {
    requestTimeoutMs: 30_000,
    ttlMs: 300_000,
    waitMs: 1_000,
    broadcastPriority: 'high',
    replyPriority: 'same',
    highWater: 0.8,
    lowWater: 0.79,
  },
}

/** Every option with its value in force; part of the statistics. */
export type EffectiveOptions = Required<
  Omit<BusOptions, 'preset' | 'env' | 'wire' | 'onFailure' | 'onStrayAnswer' | 'topics'>
> &
  Pick<BusOptions, 'preset' | 'onFailure' | 'onStrayAnswer'>

const DEFAULTS: EffectiveOptions = {
  name: 'bus',
  requestTimeoutMs: 5_000,
  receiveTimeoutMs: 30_000,
  handlerTimeoutMs: 30_000,
  drainMs: 5_000,
  ttlMs: Number.POSITIVE_INFINITY,
  maxHandlers: 1_000,
  maxHops: 32,
  overtaking: 100,
  payload: 'freeze',
  maxPayloadBytes: 1_048_576,
  warnPayloadBytes: 102_400,
  history: 100,
  historyData: false,
  failures: 1_000,
  replyPriority: 'high',
  broadcastPriority: 'normal',
  unknownAgent: 'refuse',
  onCycle: 'run',
  autoStart: true,
  beforeStart: 'buffer',
  healthWindowMs: 300_000,
  healthFailures: 100,
  limit: 10_000,
  overflow: 'wait',
  waitMs: 1_000,
  highWater: 0.8,
  lowWater: 0.5,
}

const ENV_PARTS = ['wallMs', 'monotonicMs', 'random', 'after', 'soon', 'nextTurn'] as const

const anEnv: Rule = {
  allowed: `an object with the functions ${ENV_PARTS.join(', ')}`,
  ok: (value) =>
    typeof value === 'object' &&
    value !== null &&
    ENV_PARTS.every((part) => typeof (value as Partial<Env>)[part] === 'function'),
}

const aWire: Rule = {
  allowed: 'a wire, as memoryWire() makes one',
  ok: (value) =>
    typeof (value as Partial<Wire> | null)?.publish === 'function' &&
    typeof (value as Partial<Wire>).subscribe === 'function',
}

const contracts: Rule = {
  allowed: 'a list of topics made by defineTopic',
  ok: (value) =>
    Array.isArray(value) &&
    value.every((one: Partial<TopicContract> | undefined) => {
      return typeof one?.topic === 'string' && typeof one.schema?.['~standard']?.validate === 'function'
    }),
}

const levels = oneOf(PRIORITIES)

/** Rules of the options of one queue. */
export const QUEUE_RULES: Readonly<Record<string, Rule>> = {
  limit: wholeOrInfinity(1),
  overflow: oneOf(['wait', 'refuse', 'drop-oldest', 'drop-newest', 'adaptive']),
  waitMs: milliseconds(0),
  highWater: share(),
  lowWater: share(),
}

const RULES: Readonly<Record<string, Rule>> = {
  ...QUEUE_RULES,
  name: aText,
  preset: oneOf(Object.keys(PRESETS)),
  env: anEnv,
  wire: aWire,
  requestTimeoutMs: milliseconds(1),
  receiveTimeoutMs: milliseconds(0),
  handlerTimeoutMs: milliseconds(1),
  drainMs: milliseconds(0),
  ttlMs: { allowed: 'milliseconds ≥ 1, or Infinity', ok: (value) => typeof value === 'number' && value >= 1 },
  maxHandlers: whole(1),
  maxHops: whole(1, 1_000),
  overtaking: whole(1),
  payload: oneOf(['freeze', 'copy', 'share']),
  maxPayloadBytes: wholeOrInfinity(1),
  warnPayloadBytes: wholeOrInfinity(1),
  history: whole(0, 1_000_000),
  historyData: aFlag,
  failures: whole(0, 1_000_000),
  replyPriority: oneOf([...PRIORITIES, 'same']),
  broadcastPriority: levels,
  unknownAgent: oneOf(['refuse', 'hold']),
  onCycle: oneOf(['run', 'refuse']),
  autoStart: aFlag,
  beforeStart: oneOf(['buffer', 'refuse']),
  healthWindowMs: milliseconds(1_000),
  healthFailures: whole(0),
  topics: contracts,
  onFailure: aFunction,
  onStrayAnswer: aFunction,
}

/** Options that `configure` may not change: they are built into what exists already. */
const FIXED = new Set([
  'env',
  'wire',
  'preset',
  'topics',
  'history',
  'historyData',
  'failures',
  'overtaking',
  'autoStart',
  'healthWindowMs',
])

/** Checks that both water marks go together. */
export function checkWater(owner: string, highWater: number, lowWater: number): void {
  if (lowWater < highWater) return
  throw new BusError(
    'INVALID_OPTION',
    `${owner}: "lowWater" is ${lowWater}; allowed: less than "highWater" (${highWater})`,
    {
      details: { owner, field: 'lowWater', value: lowWater, allowed: `less than ${highWater}` },
    },
  )
}

function withoutUndefined(options: BusOptions): BusOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

/** Defaults, then the preset, then what was given. Throws INVALID_OPTION naming field, value and allowed range. */
export function resolveOptions(options: BusOptions): EffectiveOptions {
  checkOptions('createBus', options, RULES)
  const preset = options.preset === undefined ? {} : PRESETS[options.preset]
  const { env: _env, wire: _wire, topics: _topics, ...rest } = withoutUndefined(options)
  const effective = { ...DEFAULTS, ...preset, ...rest } as EffectiveOptions
  checkWater('createBus', effective.highWater, effective.lowWater)
  return effective
}

/** The options after a change; what was in force stays untouched when the change is refused. */
export function changeOptions(now: EffectiveOptions, change: BusOptions): EffectiveOptions {
  checkOptions('configure', change, RULES)
  for (const field of Object.keys(change)) {
    if (!FIXED.has(field)) continue
    throw new BusError(
      'INVALID_OPTION',
      `configure: "${field}" is fixed when the bus is made; make a new bus to change it`,
      {
        details: { owner: 'configure', field, allowed: 'only at createBus' },
      },
    )
  }
  const changed = { ...now, ...withoutUndefined(change) } as EffectiveOptions
  checkWater('configure', changed.highWater, changed.lowWater)
  return changed
}

/** Rules of the options of a publish. */
export const PUBLISH_RULES: Readonly<Record<string, Rule>> = {
  priority: levels,
  session: aText,
  from: aText,
  to: aText,
  ttlMs: milliseconds(1),
  headers: anObject,
  correlationId: aText,
  replyTo: aText,
  payload: oneOf(['freeze', 'copy', 'share']),
  id: { allowed: 'an id in the form of a UUID', ok: isMessageId },
  idempotencyKey: {
    allowed: 'a text of 1 to 256 characters',
    ok: (value) => typeof value === 'string' && value !== '' && value.length <= 256,
  },
  delayMs: milliseconds(0),
  until: oneOf(['accepted', 'handled', 'succeeded']),
  receipt: aFlag,
}

/**
 * Checks the options of one call: INVALID_MESSAGE for a wrong field of the message to be made, INVALID_OPTION for anything else.
 * `undefined` counts as not given.
 */
export function checkCall(verb: string, options: object | undefined, rules: Readonly<Record<string, Rule>>): void {
  if (options === undefined) return
  try {
    checkOptions(verb, options, rules)
  } catch (error) {
    if (!isBusError(error) || !Object.hasOwn(PUBLISH_RULES, String(error.details.field))) throw error
    throw new BusError('INVALID_MESSAGE', error.message, { details: error.details })
  }
}

/** Rules of the options of an answer. */
export const REPLY_RULES: Readonly<Record<string, Rule>> = { priority: levels, headers: anObject, from: aText }

/** Rules of the options of a nack. */
export const NACK_RULES: Readonly<Record<string, Rule>> = { delayMs: milliseconds(0), reason: aText }

/** Rules of the options of a drain. */
export const DRAIN_RULES: Readonly<Record<string, Rule>> = { limitMs: milliseconds(0) }

const aSignal: Rule = { allowed: 'an AbortSignal', ok: (value) => value instanceof AbortSignal }

export const BROADCAST_RULES: Readonly<Record<string, Rule>> = { ...PUBLISH_RULES, exclude: texts, echo: aFlag }

export const REQUEST_RULES: Readonly<Record<string, Rule>> = {
  ...PUBLISH_RULES,
  timeoutMs: milliseconds(1),
  signal: aSignal,
}

export const REQUEST_MANY_RULES: Readonly<Record<string, Rule>> = {
  ...PUBLISH_RULES,
  count: whole(1),
  maxWaitMs: milliseconds(1),
  stallMs: milliseconds(1),
  sentinel: aFunction,
  signal: aSignal,
}

export const REQUEST_STREAM_RULES: Readonly<Record<string, Rule>> = {
  ...PUBLISH_RULES,
  stallMs: milliseconds(1),
  signal: aSignal,
}
