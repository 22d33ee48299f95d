import { aText, checkOption } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { isWildcard, parsePattern } from '../message/topic.ts'
import type { Core } from './core.ts'
import type { Handler } from './handler.ts'
import type { KeptBinding } from './kept.ts'
import type { Queue } from './queue.ts'
import {
  type Binding,
  checkSubscribe,
  LiveSubscription,
  newQueue,
  type Owner,
  type PatternOf,
  patternsOf,
  type SubscribeOptions,
  wrapHandler,
} from './subscription.ts'

/** No agent: a subscription of the bus itself. */
export const NOBODY: Owner = Object.freeze({ agent: undefined, echo: true })

interface Group {
  readonly queue: Queue
  readonly members: Set<LiveSubscription>
  readonly kept: KeptBinding | undefined
}

/** All subscriptions of a bus, and the queues that groups share. */
export class Subscriptions {
  readonly #core: Core
  readonly #live = new Map<string, LiveSubscription>()
  readonly #groups = new Map<string, Group>()

  constructor(core: Core) {
    this.#core = core
  }

  get size(): number {
    return this.#live.size
  }

  /** How many have a wildcard in one of their patterns. */
  get wildcards(): number {
    let count = 0
    for (const one of this.#live.values()) if (one.entries.some((entry) => isWildcard(entry.pattern))) count++
    return count
  }

  [Symbol.iterator](): IterableIterator<LiveSubscription> {
    return this.#live.values()
  }

  /** Every queue once, also those of groups. */
  *queues(): IterableIterator<Queue> {
    for (const one of this.#live.values()) if (one.stats().group === undefined) yield one.queue
    for (const group of this.#groups.values()) yield group.queue
  }

  /** A subscription with a handler. Throws INVALID_OPTION or INVALID_TOPIC. */
  add(what: PatternOf<never>, handler: Handler, options: SubscribeOptions, owner: Owner): LiveSubscription {
    checkSubscribe('subscribe', handler, options)
    const fallback = handler.name === '' ? patternsOf(what).join(',') : handler.name
    return this.#make(what, handler, options, options.name ?? fallback, owner)
  }

  /** A subscription that is read by hand. */
  addInbox(what: PatternOf<never>, options: SubscribeOptions): LiveSubscription {
    checkSubscribe('inbox', () => undefined, options)
    return this.#make(what, undefined, options, options.name ?? patternsOf(what).join(','), NOBODY)
  }

  /** Ends the subscription of an id. Throws UNKNOWN_SUBSCRIPTION. */
  end(id: string): void {
    checkOption('unsubscribe', 'id', id, aText)
    const one = this.#live.get(id)
    if (one === undefined) {
      throw new BusError('UNKNOWN_SUBSCRIPTION', `there is no subscription "${id}"`, { details: { id } })
    }
    one.unsubscribe()
  }

  endAll(): void {
    for (const one of [...this.#live.values()]) one.unsubscribe()
  }

  rewrap(): void {
    for (const one of this.#live.values()) one.rewrap()
  }

  #make(
    what: PatternOf<never>,
    handler: Handler | undefined,
    options: SubscribeOptions,
    name: string,
    owner: Owner,
  ): LiveSubscription {
    for (const pattern of patternsOf(what)) parsePattern(pattern)
    if (handler !== undefined) wrapHandler(handler, this.#core.middleware, options.middleware ?? [])
    // Nothing can be refused from here on: no half-made group stays behind.
    const key = options.group === undefined ? undefined : groupKey(options, what)
    const group = key === undefined ? undefined : this.#group(key, what, options, name)
    const kept = this.#isKept(what, options)
    const queue = group?.queue ?? newQueue(this.#core, name, options, kept)
    const own = kept && group === undefined ? this.#bind(queue, what, options) : undefined
    const binding: Binding = { owner, ended: (one) => this.#ended(one, key, own), kept: group?.kept ?? own }
    const made = new LiveSubscription(this.#core, what, handler, { ...options, name }, binding, queue)
    this.#live.set(made.id, made)
    if (group === undefined || group.members.size === 0) for (const entry of made.entries) this.#core.router.add(entry)
    group?.members.add(made)
    return made
  }

  #group(key: string, what: PatternOf<never>, options: SubscribeOptions, name: string): Group {
    let group = this.#groups.get(key)
    if (group === undefined) {
      const kept = this.#isKept(what, options)
      const queue = newQueue(this.#core, options.group ?? name, options, kept)
      group = { queue, members: new Set(), kept: kept ? this.#bind(queue, what, options) : undefined }
      this.#groups.set(key, group)
    }
    return group
  }

  /** True when it gets its messages out of the log: groups of kept channels, and whoever asks for what was before. */
  #isKept(what: PatternOf<never>, options: SubscribeOptions): boolean {
    const { keeper } = this.#core
    const wantsPast = options.group === undefined && options.from !== undefined && options.from !== 'now'
    if (options.group === undefined && !wantsPast) return false
    if (keeper !== undefined && patternsOf(what).some((pattern) => keeper.keeps(pattern))) return true
    if (!wantsPast) return false
    throw new BusError(
      'UNSUPPORTED',
      `subscribe: "from" needs a kept channel; "${patternsOf(what).join(',')}" is live`,
      {
        details: { field: 'from', pattern: patternsOf(what).join(',') },
      },
    )
  }

  #bind(queue: Queue, what: PatternOf<never>, options: SubscribeOptions): KeptBinding | undefined {
    const { group, session, sender, filter, from, maxAgeMs } = options
    return this.#core.keeper?.bind({
      patterns: patternsOf(what),
      queue,
      group,
      session,
      sender,
      filter,
      from,
      maxAgeMs,
    })
  }

  #ended(one: LiveSubscription, key: string | undefined, own: KeptBinding | undefined): void {
    this.#live.delete(one.id)
    if (one.member !== undefined) one.queue.leave(one.member)
    const group = key === undefined ? undefined : this.#groups.get(key)
    group?.members.delete(one)
    // The group's entries were put in by its first member, who may leave before the others.
    const heir = group?.members.values().next().value
    for (const entry of one.entries) {
      if (this.#core.router.remove(entry) && heir !== undefined)
        for (const next of heir.entries) this.#core.router.add(next)
    }
    if (heir !== undefined) return
    if (key !== undefined) this.#groups.delete(key)
    const kept = group?.kept ?? own
    if (kept !== undefined) void kept.end()
    one.queue.end(new BusError('SUBSCRIPTION_ENDED', `subscription "${one.name}" has ended`))
  }
}

/** Members share a queue when group, patterns and conditions are the same. */
function groupKey(options: SubscribeOptions, what: PatternOf<never>): string {
  if (options.filter !== undefined) {
    throw new BusError('INVALID_OPTION', 'subscribe: "filter" does not go with "group"; allowed: one of the two', {
      details: { field: 'filter', allowed: 'only without group' },
    })
  }
  return JSON.stringify([options.group, patternsOf(what).toSorted(), options.session, options.sender])
}
