import type { Env } from '../kit/env.ts'
import { Alarm } from './alarm.ts'
import { AlongStep, type Bench } from './along.ts'
import { checkAlong, checkExtend, checkNack, checkSettled } from './checks.ts'
import type { Committer } from './committer.ts'
import type { Consumer, Source } from './consumer.ts'
import { LeasedDelivery, type Lessor } from './delivery.ts'
import type { GroupState } from './groups.ts'
import { Keeper } from './keeper.ts'
import type { Along, Delivery, Gap, NackOptions, Settled } from './log.ts'
import { Pages } from './pages.ts'
import type { Now, Slot } from './slot.ts'
import type { BadEntry, Store, StoredEntry } from './store.ts'
import type { StreamState, Streams, Watcher } from './streams.ts'

// Hot path: `deliver` and `settle` run once for each message.

/** Later than this, an alarm says that the process stood still. */
const LATE_MS = 50

const TRUE = Promise.resolve(true)
const FALSE = Promise.resolve(false)

/** What the desks of a log share. */
export interface Office {
  readonly env: Env
  readonly store: Store
  readonly streams: Streams
  readonly committer: Committer
  readonly onDamage: (gap: Gap) => void
}

/** Hands the entries of a stream out to the consumers of one group, and takes their settlements. */
export class Desk implements Lessor, Source, Bench, Watcher {
  readonly stream: string
  readonly group: string
  readonly state: GroupState
  readonly streams: Streams
  readonly #office: Office
  readonly #from: StreamState
  readonly #pages: Pages
  readonly #keeper: Keeper
  readonly #alarm: Alarm
  readonly #consumers = new Set<Consumer>()
  /** Those that wait, longest first. */
  readonly #waiting = new Set<Consumer>()
  /** The group was forgotten. */
  gone = false

  constructor(office: Office, from: StreamState, state: GroupState) {
    this.stream = from.name
    this.group = state.group
    this.state = state
    this.streams = office.streams
    this.#office = office
    this.#from = from
    this.#keeper = new Keeper(state, office.committer)
    this.#alarm = new Alarm(office.env, (dueMs) => this.#ring(dueMs))
    this.#pages = new Pages(
      office.store,
      from,
      () => this.#pump(),
      (error) => this.#readFailed(error),
    )
    from.watchers.add(this)
  }

  /** Adds a consumer. */
  join(consumer: Consumer): void {
    if (consumer.ended) return
    this.#consumers.add(consumer)
    if (this.#consumers.size === 2) this.state.share(true)
    this.state.joined(consumer.maxInFlight)
    consumer.attach(this)
    this.#pump()
  }

  /** Ends every consumer, which gives its leases back. */
  close(): void {
    for (const consumer of [...this.#consumers]) consumer.end()
    this.#from.watchers.delete(this)
  }

  /** As {@link close}; nothing of the group is known any more. */
  forget(): void {
    this.gone = true
    this.close()
    this.#keeper.forget()
  }

  /** Resolves to true once everything that the group knows now is kept. */
  keep(): Promise<boolean> {
    return this.#keeper.keep()
  }

  grown(next: number): void {
    this.state.grow(next)
    if (this.#waiting.size > 0) this.#pump()
  }

  /** As the deliveries of a consumer do, for an entry that nobody holds. */
  settleAt(offset: number, as: Settled, along: Along | undefined): Promise<boolean> {
    if (along === undefined) return this.state.settleAt(offset, as) ? this.keep() : FALSE
    const slot = this.state.freezeAt(offset)
    return slot === undefined ? FALSE : this.#settleAlong(slot, as, along)
  }

  deliver(consumer: Consumer): Delivery | undefined {
    if (consumer.held >= consumer.maxInFlight) return undefined
    const nowMs = this.#office.env.monotonicMs()
    let ownOnly = false
    for (;;) {
      const next: Slot | number = ownOnly
        ? (this.state.sessions?.first(consumer) ?? 0)
        : this.state.peek(nowMs, consumer)
      if (next === 0) {
        this.#alarm.set(this.state.wakeMs(), nowMs)
        return undefined
      }
      const entry = this.#entryOf(next)
      if (entry === undefined) return undefined
      if (entry.type === 'bad') {
        this.#drop(entry)
        continue
      }
      if (entry.dueAt !== undefined && typeof next === 'number' && this.state.delay(entry, this.#now(nowMs))) continue
      const { sessions } = this.state
      const session = sessions === undefined ? undefined : entry.message.session
      if (session !== undefined && sessions?.bars(session, consumer) === true) {
        ownOnly = !this.state.line(next, entry)
        continue
      }
      const slot = this.state.lease(next, consumer, nowMs, consumer.ackWaitMs, session)
      slot.entry = entry
      if (slot.untilMs < this.#alarm.atMs) this.#alarm.set(slot.untilMs, nowMs)
      return new LeasedDelivery(this, slot, entry, slot.held ? Math.max(0, slot.dueMs - nowMs) : 0)
    }
  }

  wait(consumer: Consumer): void {
    this.#waiting.add(consumer)
  }

  leave(consumer: Consumer): void {
    this.#consumers.delete(consumer)
    this.#waiting.delete(consumer)
    this.state.giveBack(consumer)
    if (this.#consumers.size === 1) this.state.share(false)
    if (this.state.begunChanged) this.#keeper.ride()
    if (this.#consumers.size > 0) {
      this.#pump()
      return
    }
    this.#alarm.clear()
    this.#pages.clear()
  }

  begin(slot: Slot, token: number): Promise<boolean> | undefined {
    if (slot.token !== token || slot.state !== 'leased') return undefined
    if (this.state.begin(slot)) return this.keep()
    if (this.state.begunChanged) this.#keeper.ride()
    return undefined
  }

  settle(slot: Slot, token: number, as: Settled, along: Along | undefined): Promise<boolean> {
    try {
      if (as !== 'acked') checkSettled('delivery.settle', as)
      if (along !== undefined) checkAlong('delivery.settle', along, this.#office.store)
    } catch (error) {
      return Promise.reject(error)
    }
    if (!this.state.holds(slot, token)) return FALSE
    if (along !== undefined) {
      this.state.freeze(slot)
      return this.#settleAlong(slot, as, along)
    }
    this.state.settle(slot, as)
    this.#roomAgain(slot)
    return this.keep()
  }

  nack(slot: Slot, token: number, options: NackOptions = {}): Promise<boolean> {
    try {
      checkNack(options)
    } catch (error) {
      return Promise.reject(error)
    }
    if (!this.state.holds(slot, token)) return FALSE
    const nowMs = this.#office.env.monotonicMs()
    this.state.nack(slot, options, this.#now(nowMs))
    if (this.#consumers.size > 0) this.#alarm.set(this.state.wakeMs(), nowMs)
    if (this.#waiting.size > 0) this.#pump()
    return this.state.dirty ? this.keep() : TRUE
  }

  extend(slot: Slot, token: number, ms: number | undefined): Promise<boolean> {
    try {
      if (ms !== undefined) checkExtend(ms)
    } catch (error) {
      return Promise.reject(error)
    }
    if (!this.state.holds(slot, token)) return FALSE
    const nowMs = this.#office.env.monotonicMs()
    this.state.extend(slot, ms ?? slot.ackWaitMs, nowMs)
    this.#alarm.set(slot.untilMs, nowMs)
    return TRUE
  }

  touch(): void {
    this.#keeper.touch()
  }

  alongKept(slot: Slot): void {
    this.state.thaw(slot)
    this.#roomAgain(slot)
  }

  #settleAlong(slot: Slot, as: Settled, along: Along): Promise<boolean> {
    const step = new AlongStep(this, slot, as, along)
    this.#office.committer.must(step)
    return step.outcome
  }

  /** A consumer holds one less. */
  #roomAgain(slot: Slot): void {
    slot.entry = undefined
    if (this.#waiting.size > 0) this.#pump()
    if (this.state.leases === 0) this.#alarm.rest(this.state.wakeMs())
  }

  /** Hands out to those who wait, in turn. */
  #pump(): void {
    for (const consumer of this.#waiting) {
      if (consumer.held >= consumer.maxInFlight) continue
      const delivery = this.deliver(consumer)
      if (delivery === undefined) {
        // What there is may wait for another consumer, which owns its session; otherwise there is nothing for anybody.
        if (this.state.sessions?.any === true) continue
        return
      }
      this.#waiting.delete(consumer)
      consumer.give(delivery)
      // Behind the others: it is met again in this loop, which goes on until there is nothing more to hand out.
      if (consumer.asks) this.#waiting.add(consumer)
    }
  }

  /** `dueMs`: when it was to ring. */
  #ring(dueMs: number): void {
    const nowMs = this.#office.env.monotonicMs()
    if (nowMs - dueMs > LATE_MS) {
      // The process stood still. Its holders had no chance to extend: their timers, due as well, go first.
      this.#alarm.set(nowMs, nowMs)
      return
    }
    this.state.expire(nowMs)
    this.#keeper.touch()
    this.#pump()
    if (this.#consumers.size > 0) this.#alarm.sleep(this.state.wakeMs(), nowMs)
  }

  #entryOf(next: Slot | number): StoredEntry | BadEntry | undefined {
    const known = typeof next === 'number' ? undefined : next.entry
    if (known !== undefined) return known
    const inTurn = typeof next === 'number'
    const offset = inTurn ? next : next.offset
    const found = this.#from.tail.get(offset) ?? this.#pages.get(offset, inTurn)
    if (found === undefined) this.#pages.load(offset, inTurn)
    return found
  }

  #drop(entry: BadEntry): void {
    this.state.settleAt(entry.offset, 'dropped')
    this.#keeper.touch()
    const gap = this.#from.report(entry)
    if (gap !== undefined) this.#office.onDamage(gap)
  }

  #readFailed(error: unknown): void {
    for (const consumer of [...this.#waiting]) consumer.end({ error })
  }

  #now(nowMs: number): Now {
    return { nowMs, wallMs: this.#office.env.wallMs() }
  }
}
