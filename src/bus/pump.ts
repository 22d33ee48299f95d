import { behalf } from '../kit/behalf.ts'
import type { Clock } from '../kit/clock.ts'
import type { Env } from '../kit/env.ts'
import { Ring } from '../kit/ring.ts'
import type { Queue } from './queue.ts'

// Hot path. Queues that can hand something out stand in one line; one microtask serves the line.

/** Hand-outs after which timers and I/O of the process get their turn, however fast they are. */
const TURN_COUNT = 2_048
/** Milliseconds of handing out after which they get it. */
const TURN_MS = 2

/** Figures of the limit on running handlers. */
export interface ConcurrencyFigures {
  readonly limit: number
  readonly active: number
  readonly acquired: number
  readonly released: number
  readonly waits: number
  readonly totalWaitMs: number
  readonly avgWaitMs: number
}

/** Serves the queues in turn and holds the limit on handlers that run at once. */
export class Pump {
  readonly #env: Env
  readonly #clock: Clock
  readonly #line = new Ring<Queue>()
  readonly #blocked = new Map<Queue, number>()
  #armed = false
  /** Messages handed out since the event loop had its turn. */
  sinceTurn = 0
  #turn = 0
  #turnStartMs = 0
  paused = false
  limit: number
  active = 0
  acquired = 0
  #lent = 0
  #waits = 0
  #waitMs = 0
  readonly #serveLine = (): void => this.#serve()
  // The line is served on nobody's behalf: the publisher who happened to wake it up has nothing to do with the handlers of others.
  readonly #run = (): void => {
    if (behalf.leave === undefined) this.#serve()
    else behalf.leave(this.#serveLine)
  }

  constructor(env: Env, clock: Clock, limit: number) {
    this.#env = env
    this.#clock = clock
    this.limit = limit
  }

  schedule(queue: Queue): void {
    if (queue.scheduled) return
    queue.scheduled = true
    this.#line.push(queue)
    this.#arm()
  }

  /** Serves one queue at once if the event loop has had its turns; for handlers that have just ended. */
  resume(queue: Queue): void {
    if (this.paused || this.#mustYield()) this.schedule(queue)
    else if (behalf.leave === undefined) queue.dispatch()
    else behalf.leave(() => queue.dispatch())
    if (this.#blocked.size > 0) this.#unblock()
  }

  get hasRoom(): boolean {
    return this.active < this.limit && !this.paused
  }

  /** True when a queue may hand out its next message at once, in the place of one that has ended. */
  get mayGoOn(): boolean {
    return !this.paused && this.active <= this.limit && this.#blocked.size === 0 && !this.#mustYield()
  }

  /** A handler took the place of one that has ended. */
  wentOn(): void {
    this.acquired++
    this.sinceTurn++
  }

  mayStart(queue: Queue): boolean {
    if (this.paused) {
      this.schedule(queue)
      return false
    }
    if (this.active < this.limit) return true
    if (!this.#blocked.has(queue)) {
      this.#blocked.set(queue, this.#clock.readMs())
      this.#waits++
    }
    return false
  }

  started(): void {
    this.active++
    this.acquired++
  }

  ended(): void {
    this.active--
    if (this.#blocked.size > 0) this.#unblock()
  }

  /** A running handler waits for others: it takes no room meanwhile. */
  lend(): void {
    this.active--
    this.#lent++
    if (this.#blocked.size > 0) this.#unblock()
  }

  takeBack(): void {
    this.active++
    this.#lent--
  }

  /** Lets everything that stood in line go on after a pause. */
  go(): void {
    this.paused = false
    this.#arm()
  }

  figures(): ConcurrencyFigures {
    const { limit, active, acquired } = this
    const released = acquired - active - this.#lent
    const avgWaitMs = this.#waits === 0 ? 0 : this.#waitMs / this.#waits
    return { limit, active, acquired, released, waits: this.#waits, totalWaitMs: this.#waitMs, avgWaitMs }
  }

  #unblock(): void {
    // One queue for each free place: the first one may have nothing to start any more.
    let free = this.limit - this.active
    for (const [queue, sinceMs] of this.#blocked) {
      if (free-- <= 0) return
      this.#blocked.delete(queue)
      this.#waitMs += this.#clock.readMs() - sinceMs
      this.schedule(queue)
    }
  }

  #arm(): void {
    if (this.#armed || this.paused || this.#line.size === 0) return
    this.#armed = true
    if (this.#mustYield()) this.#env.nextTurn(this.#run)
    else this.#env.soon(this.#run)
  }

  #mustYield(): boolean {
    if (this.#turn !== this.#clock.turns) {
      this.#turn = this.#clock.turns
      this.sinceTurn = 0
      this.#turnStartMs = this.#clock.nowMs()
      return false
    }
    return this.sinceTurn > TURN_COUNT || this.#clock.lastMs - this.#turnStartMs > TURN_MS
  }

  #serve(): void {
    this.#armed = false
    for (let left = this.#line.size; left > 0; left--) {
      if (this.paused) return
      const queue = this.#line.shift()
      if (queue === undefined) return
      queue.dispatch()
      // The queue may have had nothing to start: its place is for the next one.
      if (this.#blocked.size > 0) this.#unblock()
      if (this.#mustYield()) break
    }
    this.#arm()
  }
}
