import { aFlag, aFunction, aText, checkOption, checkOptions, milliseconds, type Rule, whole } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import type { TopicContract } from '../message/contract.ts'
import { Envelope, type Message } from '../message/message.ts'
import { parsePattern } from '../message/topic.ts'
import type { Core } from './core.ts'
import type { Note } from './delivery.ts'
import type { Handler, Middleware } from './handler.ts'
import type { KeptBinding, StartFrom } from './kept.ts'
import { Member } from './member.ts'
import { checkWater, QUEUE_RULES, type QueueOptions } from './options.ts'
import { Queue } from './queue.ts'
import { type HandledByLevel, handledBy, lastHandled } from './queue-figures.ts'
import { type Limits, limitsOf } from './room.ts'
import type { Entry } from './router.ts'

/** Which messages a subscription gets, how many at once, and how much room it has. */
export interface SubscribeOptions extends QueueOptions {
  /** A name for statistics, reports and errors. Default: the handler's name, else the pattern. */
  readonly name?: string
  /** Members of one group share the work: each message goes to exactly one of them. */
  readonly group?: string
  /**
   * Most messages handled at once. Default: one at a time in each session, sessions in parallel, and messages without a session one
   * after another. A number bounds all of them together; the order inside a session holds with any number.
   */
  readonly concurrency?: number
  /** Only messages of this session. */
  readonly session?: string
  /** Only messages from this agent. */
  readonly sender?: string
  /**
   * For kept channels. With `group`: where the group begins if it is new (default: the first kept message). Without: replays from
   * there, then goes on live, without hole or duplicate (default: live from now on).
   */
  readonly from?: StartFrom
  /**
   * For groups of kept channels: milliseconds after which a message is too old for the group. It is not handled, and becomes a dead
   * letter with reason "expired". Default: as old as its `ttlMs` allows.
   */
  readonly maxAgeMs?: number
  /** Only messages for which it is true; looked at before delivery. */
  readonly filter?: (message: Message) => boolean
  /** 0 to 100, default 50: subscribers of a lower rank are done with a message before those of a higher one begin. */
  readonly rank?: number
  /** Looks on: does not count as somebody who could answer a request. */
  readonly observer?: boolean
  /** Milliseconds the handler may run. Default: the bus's `handlerTimeoutMs`. */
  readonly handlerTimeoutMs?: number
  /** Around this handler, inside the bus's own middleware; the first is the outermost. */
  readonly middleware?: readonly Middleware[]
}

const aStart: Rule = {
  allowed: '"first", "now", { offset } or { after } as in an ack, or { time } in wall-clock milliseconds',
  ok(value) {
    if (value === 'first' || value === 'now') return true
    const named = Object.entries((value ?? {}) as object)
    const [field, place] = named[0] ?? []
    if (named.length !== 1) return false
    return field === 'time' ? whole(0).ok(place) : (field === 'offset' || field === 'after') && aText.ok(place)
  },
}

export const SUBSCRIBE_RULES: Readonly<Record<string, Rule>> = {
  ...QUEUE_RULES,
  name: aText,
  group: aText,
  concurrency: whole(1),
  session: aText,
  sender: aText,
  from: aStart,
  maxAgeMs: milliseconds(1),
  filter: aFunction,
  rank: whole(0, 100),
  observer: aFlag,
  handlerTimeoutMs: milliseconds(1),
  middleware: {
    allowed: 'a list of functions',
    ok: (value) => Array.isArray(value) && value.every((one) => typeof one === 'function'),
  },
}

/** Figures of one subscription, agent or group member; queue figures are those of the whole group. */
export interface SubscriptionFigures {
  readonly id: string
  readonly name: string
  readonly pattern: string
  readonly group: string | undefined
  readonly waiting: number
  readonly running: number
  readonly limit: number
  readonly percent: number
  readonly full: boolean
  readonly filled: boolean
  readonly enqueued: number
  readonly dequeued: number
  readonly dropped: number
  readonly rejected: number
  readonly maxSize: number
  readonly highWaterHits: number
  /** Wall-clock milliseconds. */
  readonly lastHighWater: number | undefined
  readonly handled: HandledByLevel
  readonly lastHandled: number | undefined
}

/** A live subscription. Ends by `unsubscribe`, `drain`, disposal, or with its bus or session. */
export interface Subscription extends AsyncDisposable {
  readonly id: string
  readonly name: string
  /** The patterns as text, joined by a comma. */
  readonly pattern: string
  readonly active: boolean
  stats(): SubscriptionFigures
  /** Ends at once: what waits is dropped with reason "unregistered". False when it had ended already. */
  unsubscribe(): boolean
  /** Takes nothing new, finishes what waits and runs, then ends. */
  drain(): Promise<void>
}

/** What subscribing takes: a pattern, a typed topic, or several patterns. */
export type PatternOf<T> = string | TopicContract<T> | readonly string[]

/** The agent that subscribes, and whether it gets its own messages. */
export interface Owner {
  readonly agent: string | undefined
  readonly echo: boolean
}

/** How an entry is bound besides the user's options. */
export interface Binding {
  readonly owner: Owner
  readonly ended: (subscription: LiveSubscription) => void
  /** What serves its queue from the log. */
  readonly kept: KeptBinding | undefined
}

/** The handler inside the bus's and its own middleware; the first added is the outermost. */
export function wrapHandler(handler: Handler, outer: readonly Middleware[], inner: readonly Middleware[]): Handler {
  const wrap = (next: Handler, middleware: Middleware): Handler => {
    const refuse = (fault: string, options: { cause?: unknown }): BusError =>
      new BusError('INVALID_OPTION', `middleware ${fault}`, {
        ...options,
        details: { field: 'middleware', allowed: 'a function that returns a handler' },
      })
    let wrapped: unknown
    try {
      wrapped = middleware(next)
    } catch (cause) {
      throw refuse('threw when it was put around a handler', { cause })
    }
    if (typeof wrapped === 'function') return wrapped as Handler
    throw refuse('must return a handler', {})
  }
  return [...outer, ...inner].reduceRight(wrap, handler)
}

/** The handler of messages out of a log: where one must be noted as begun before anything else happens with it, it waits. */
export function begun(next: Handler): Handler {
  return (message, context) => {
    const wait = (Envelope.noteOf(message as Envelope) as Note | undefined)?.begin?.()
    return wait === undefined ? next(message, context) : wait.then(() => next(message, context))
  }
}

/** The limits of one queue: its own options, else those of the bus. Queues without options of their own share one object. */
export function queueLimits(owner: string, core: Core, options: QueueOptions): Limits {
  const of = core.options
  const own = QUEUE_FIELDS.some((field) => options[field] !== undefined)
  if (!own) return core.limits
  const chosen = {
    limit: options.limit ?? of.limit,
    overflow: options.overflow ?? of.overflow,
    waitMs: options.waitMs ?? of.waitMs,
    highWater: options.highWater ?? of.highWater,
    lowWater: options.lowWater ?? of.lowWater,
  }
  checkWater(owner, chosen.highWater, chosen.lowWater)
  return limitsOf(chosen)
}

const QUEUE_FIELDS = ['limit', 'overflow', 'waitMs', 'highWater', 'lowWater'] as const

/** A subscription inside the bus: entries in the router, and a handler among the members of a queue. */
export class LiveSubscription implements Subscription {
  readonly id: string
  readonly name: string
  readonly pattern: string
  readonly core: Core
  readonly queue: Queue
  readonly member: Member | undefined
  readonly entries: readonly Entry[]
  readonly middleware: readonly Middleware[]
  readonly #binding: Binding
  readonly #group: string | undefined
  /** Called when it ends, however it ends. */
  onEnd: (() => void) | undefined = undefined
  active = true

  constructor(
    core: Core,
    what: PatternOf<never>,
    handler: Handler | undefined,
    options: SubscribeOptions,
    binding: Binding,
    queue: Queue,
  ) {
    const patterns = patternsOf(what)
    this.core = core
    this.id = core.nextId()
    this.queue = queue
    this.pattern = patterns.join(',')
    this.name = options.name ?? queue.name
    this.#binding = binding
    this.#group = options.group
    this.middleware = options.middleware ?? []
    this.entries = patterns.map((pattern) => ({
      queue,
      pattern: parsePattern(pattern),
      order: core.order++,
      session: options.session,
      sender: options.sender,
      // A group is one recipient: what one member sends to it, another may handle.
      notFrom: options.group === undefined && !binding.owner.echo ? binding.owner.agent : undefined,
      filter: options.filter,
      rank: options.rank ?? 50,
      group: options.group,
      observer: options.observer ?? false,
    }))
    this.member =
      handler === undefined
        ? undefined
        : new Member(
            this.name,
            handler,
            options.concurrency ?? 0,
            options.handlerTimeoutMs ?? core.options.handlerTimeoutMs,
            binding.owner.agent,
          )
    this.rewrap()
    if (this.member !== undefined) queue.join(this.member)
  }

  /** Puts the bus's present middleware around the handler. */
  rewrap(): void {
    const { member, core } = this
    if (member === undefined) return
    const wrapped = wrapHandler(member.plain, core.middleware, this.middleware)
    const { kept } = this.#binding
    member.handler = kept === undefined ? wrapped : begun(kept.wrap(wrapped))
  }

  stats(): SubscriptionFigures {
    return { id: this.id, name: this.name, pattern: this.pattern, group: this.#group, ...queueFigures(this.queue) }
  }

  unsubscribe(): boolean {
    if (!this.active) return false
    this.active = false
    this.#binding.ended(this)
    this.onEnd?.()
    return true
  }

  async drain(): Promise<void> {
    if (!this.active) return
    const { member, queue, core } = this
    const alone = member === undefined || queue.members.every((one) => one === member)
    if (alone) this.#binding.kept?.pause()
    if (member !== undefined && !alone) {
      // The others of its group go on with what waits; it only ends what it has in hand.
      queue.leave(member)
      while (member.running > 0 && !queue.closed && core.state !== 'closed') await core.nextSettled()
    } else {
      for (const entry of this.entries) core.router.remove(entry)
      await drained(queue, core)
    }
    this.unsubscribe()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain()
  }
}

/** Resolves when nothing waits or runs in the queue. */
export async function drained(queue: Queue, core: Core): Promise<void> {
  while ((queue.size > 0 || queue.running > 0) && !queue.closed && core.state !== 'closed') await core.nextSettled()
}

const aPattern: Rule = {
  allowed: 'a pattern, a topic made by defineTopic, or a list of patterns',
  ok: (value) =>
    typeof value === 'string' ||
    Array.isArray(value) ||
    typeof (value as TopicContract | undefined | null)?.topic === 'string',
}

/** The patterns of whatever a subscription was asked with; each checked when it is parsed. */
export function patternsOf(what: PatternOf<never>): readonly string[] {
  checkOption('subscribe', 'pattern', what, aPattern)
  const patterns =
    typeof what === 'string'
      ? [what]
      : Array.isArray(what)
        ? (what as readonly string[])
        : [(what as TopicContract).topic]
  checkOption('subscribe', 'pattern', patterns.length, { allowed: 'at least one pattern', ok: (count) => count !== 0 })
  return [...new Set(patterns)]
}

export function checkSubscribe(verb: string, handler: unknown, options: SubscribeOptions): void {
  checkOption(verb, 'handler', handler, aFunction)
  checkOptions(verb, options, SUBSCRIBE_RULES)
}

/** `holds`: its messages may be held for another try. */
export function newQueue(core: Core, name: string, options: QueueOptions, holds: boolean = false): Queue {
  return new Queue(core, name, queueLimits(name, core, options), core.options.overtaking, holds)
}

function queueFigures(queue: Queue): Omit<SubscriptionFigures, 'id' | 'name' | 'pattern' | 'group'> {
  const { size, running, enqueued, dequeued, dropped, maxSize, pressure: room } = queue
  const { limit } = queue.limits
  return {
    waiting: size,
    running,
    limit,
    percent: limit === Number.POSITIVE_INFINITY ? 0 : (size / limit) * 100,
    full: size >= limit,
    filled: room?.filled ?? false,
    enqueued,
    dequeued,
    dropped,
    rejected: room?.rejected ?? 0,
    maxSize,
    highWaterHits: room?.highWaterHits ?? 0,
    lastHighWater: room?.lastHighWaterMs === undefined ? undefined : queue.clock.wallMs(room.lastHighWaterMs),
    handled: handledBy(queue),
    lastHandled: lastHandled(queue),
  }
}
