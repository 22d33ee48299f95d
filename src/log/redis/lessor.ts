import type { Timer } from '../../kit/env.ts'
import { checkExtend, checkNack, checkSettled } from '../checks.ts'
import type { Along, NackOptions, Settled } from '../log.ts'
import type { Channel } from './channel.ts'
import type { LeasedByRedis, RedisLessor } from './delivery.ts'
import type { Seat } from './seat.ts'
import type { AlongArgs, Settler, StepKind } from './settler.ts'

// Hot path: `settle` runs once for each message.

const ACKED: readonly Settled[] = Object.freeze(['acked'])
const FALSE = Promise.resolve(false)
/** A handler that runs for so long is told to the server, so that the death of its process counts as an attempt. */
const MARK_MS = 20
/** Longer than any process lives is as good as for ever, and stays a whole number with the clock added. */
const MOST_MS = 4_503_599_627_370_496

/** What the leases of a group need of their log. */
export interface LessorHost {
  readonly channel: Channel
  readonly settler: Settler
  readonly along: (owner: string, along: Along) => AlongArgs
}

/** Who is told what becomes of deliveries. */
export interface LeaseWatcher {
  /** It is not in the hand of its consumer any more. */
  gone(one: LeasedByRedis): void
  /** What lies in buffers is newer than what goes next. */
  newer(): void
}

/** Takes what becomes of the deliveries of one group. */
export class Lessor implements RedisLessor {
  readonly stream: string
  readonly group: string
  readonly #host: LessorHost
  readonly #desk: LeaseWatcher
  /** Handed out, and the server does not know it. */
  #unmarked: LeasedByRedis[] = []
  readonly #begun = new Set<LeasedByRedis>()
  #timer: Timer | undefined
  #closed = false

  constructor(of: { readonly stream: string; readonly group: string }, host: LessorHost, desk: LeaseWatcher) {
    this.stream = of.stream
    this.group = of.group
    this.#host = host
    this.#desk = desk
  }

  /** Nothing is asked of the server any more. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  begin(one: LeasedByRedis): Promise<boolean> | undefined {
    if (one.standing !== 'out') return undefined
    if (one.suspect || one.waiting) {
      one.waiting = false
      one.marked = true
      const done = this.#step('b', one)
      return one.suspect ? done : void done.catch(() => undefined)
    }
    this.#begun.add(one)
    this.#timer ??= this.#host.channel.env.after(MARK_MS, () => this.mark())
    return undefined
  }

  settle(one: LeasedByRedis, as: Settled, along: Along | undefined): Promise<boolean> {
    try {
      if (as !== 'acked') checkSettled('delivery.settle', as)
      const args = along === undefined ? undefined : this.#host.along('delivery.settle', along)
      if (this.#closed) return FALSE
      if (args !== undefined) {
        return this.#step('s', one, [as], args).then((done) => {
          this.#gone(one)
          return done
        })
      }
    } catch (error) {
      return Promise.reject(error)
    }
    const done = this.#step('s', one, as === 'acked' ? ACKED : [as])
    this.#gone(one)
    return done
  }

  nack(one: LeasedByRedis, options: NackOptions = {}): Promise<boolean> {
    try {
      checkNack(options)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#closed) return FALSE
    const { delayMs = 0, note, count = true, hold = false } = options
    const wait = Math.ceil(delayMs)
    this.#begun.delete(one)
    if (hold) {
      one.waiting = true
      one.untilMs = this.#host.channel.env.monotonicMs() + wait + this.#ackOf(one)
    }
    const done = this.#step('n', one, [wait, count ? 1 : 0, hold ? 1 : 0, note ?? false])
    if (!hold) {
      // It comes next, before what lies in buffers and is newer.
      if (wait === 0) this.#desk.newer()
      this.#gone(one)
    }
    return done
  }

  extend(one: LeasedByRedis, ms: number | undefined): Promise<boolean> {
    try {
      if (ms !== undefined) checkExtend(ms)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#closed) return FALSE
    const wait = Math.min(Math.ceil(ms ?? this.#ackOf(one)), MOST_MS)
    if (one.standing === 'out') one.untilMs = this.#host.channel.env.monotonicMs() + wait
    one.marked = true
    return this.#step('e', one, [wait])
  }

  /** It was handed out. */
  handed(one: LeasedByRedis): void {
    if (!one.marked) this.#unmarked.push(one)
  }

  /** It goes back, uncounted. */
  giveBack(one: LeasedByRedis): void {
    this.over(one)
    this.#step('f', one).catch(() => undefined)
  }

  /** Nobody here has it any more. */
  over(one: LeasedByRedis): void {
    one.standing = 'over'
    this.#begun.delete(one)
  }

  /** Tells the server which handlers run, and what is in hand. */
  mark(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    for (const one of this.#begun) if (one.standing === 'out') this.#tell('b', one)
    this.#begun.clear()
    const unmarked = this.#unmarked
    this.#unmarked = []
    for (const one of unmarked) if (one.standing === 'out' && !one.marked) this.#tell('u', one)
  }

  #tell(kind: 'b' | 'u', one: LeasedByRedis): void {
    one.marked = true
    this.#step(kind, one).catch(() => undefined)
  }

  #gone(one: LeasedByRedis): void {
    if (one.standing !== 'over') this.#desk.gone(one)
  }

  #ackOf(one: LeasedByRedis): number {
    return Math.ceil((one.seat as Seat).consumer.ackWaitMs)
  }

  #step(kind: StepKind, one: LeasedByRedis, rest?: readonly unknown[], along?: AlongArgs): Promise<boolean> {
    return this.#host.settler.step(this, kind, one, one.untilMs, rest, along)
  }
}
