import type { Clock } from '../kit/clock.ts'
import { BusError } from '../kit/errors.ts'
import { Deadline, type TimerWheel } from '../kit/timer-wheel.ts'
import type { Envelope } from '../message/message.ts'
import { LANE_OF } from '../message/priority.ts'
import { Lanes } from './lanes.ts'
import type { Overflow, QueueOptions } from './options.ts'

const MOST_SLOWING_MS = 100

/** What became of a message that met a full queue. */
export type Overflowed =
  | { readonly type: 'refused'; readonly error: BusError }
  | { readonly type: 'dropped' }
  /** There is room now: an older message was dropped. */
  | { readonly type: 'made-room' }
  /** Resolves with an error when the message was refused after all, with nothing once it was accepted. */
  | { readonly type: 'waits'; readonly outcome: Promise<BusError | undefined> }

/** What the room needs from its queue. */
export interface RoomOwner {
  readonly name: string
  readonly size: number
  readonly limits: Limits
  readonly clock: Clock
  readonly wheel: TimerWheel
  /** Puts a message in that had to wait. */
  admit(message: Envelope): void
  /** Drops the oldest message of the lowest level that is not above `lane`; false when there is none. */
  dropLowest(lane: number): boolean
  tellPressure(filled: boolean, size: number): void
}

class Waiter extends Deadline {
  readonly message: Envelope
  readonly room: Room
  readonly outcome = Promise.withResolvers<BusError | undefined>()
  done = false

  constructor(room: Room, message: Envelope) {
    super()
    this.room = room
    this.message = message
  }

  override onDue(): void {
    this.room.giveUp(this)
  }
}

/** The limits of queues; one object serves all queues with the same ones. */
export interface Limits {
  readonly limit: number
  readonly overflow: Overflow
  readonly waitMs: number
  /** Messages above which the pressure is announced, and down to which it is over. */
  readonly highMark: number
  readonly lowMark: number
}

/** The limits that the options of a queue stand for. */
export function limitsOf({ limit, overflow, waitMs, highWater, lowWater }: Required<QueueOptions>): Limits {
  return Object.freeze({ limit, overflow, waitMs, highMark: limit * highWater, lowMark: limit * lowWater })
}

/** What happens at the limits of a queue: who waits, who is refused, what is dropped, and when the pressure is announced. */
export class Room {
  readonly #owner: RoomOwner
  readonly #overtaking: number
  #waiters: Lanes<Waiter> | undefined
  #waiting = 0
  #filled = false
  #slowingMs = 0
  rejected = 0
  highWaterHits = 0
  /** Monotonic milliseconds of the last crossing. */
  lastHighWaterMs: number | undefined = undefined

  constructor(owner: RoomOwner, overtaking: number) {
    this.#owner = owner
    this.#overtaking = overtaking
  }

  /** Publishers that wait for room. */
  get waiting(): number {
    return this.#waiting
  }

  /** True between the high and the low mark. */
  get filled(): boolean {
    return this.#filled
  }

  /** Milliseconds by which the policy "adaptive" slows each acceptance now. */
  get slowingMs(): number {
    return this.#slowingMs
  }

  /** True when {@link shrank} wants to know. */
  get isWatching(): boolean {
    return this.#filled || this.#waiting > 0
  }

  /** After a message came in above the high mark; announces the crossing once. */
  grew(size: number): void {
    if (this.#filled) return
    this.#filled = true
    this.highWaterHits++
    this.lastHighWaterMs = this.#owner.clock.lastMs
    this.#owner.tellPressure(true, size)
  }

  /** After a message left: lets the next publisher in, and arms the announcement again at the low mark. */
  shrank(size: number): void {
    if (this.#filled && size <= this.#owner.limits.lowMark) {
      this.#filled = false
      this.#slowingMs = Math.max(0, this.#slowingMs - 10)
      this.#owner.tellPressure(false, size)
    }
    while (this.#waiting > 0 && this.#owner.size < this.#owner.limits.limit) {
      const waiter = this.#waiters?.take()
      if (waiter === undefined) return
      if (waiter.done) continue
      this.#end(waiter)
      this.#owner.admit(waiter.message)
      waiter.outcome.resolve(undefined)
    }
  }

  /** Decides about a message for which there is no room. */
  full(message: Envelope, nowMs: number): Overflowed {
    const lane = LANE_OF[message.priority]
    const { overflow } = this.#owner.limits
    switch (overflow) {
      case 'refuse':
        return this.#refused()
      case 'adaptive':
        this.#slowingMs = Math.min(MOST_SLOWING_MS, this.#slowingMs + 1)
        return this.#refused()
      case 'drop-newest':
        return { type: 'dropped' }
      case 'drop-oldest':
        return this.#owner.dropLowest(lane) ? { type: 'made-room' } : { type: 'dropped' }
      case 'wait':
        return this.#wait(message, nowMs)
      default:
        return overflow satisfies never
    }
  }

  /** A waiter's time is up. */
  giveUp(waiter: Waiter): void {
    if (waiter.done) return
    this.#end(waiter)
    this.rejected++
    waiter.outcome.resolve(this.#error(`; ${this.#owner.limits.waitMs} ms of waiting passed`))
    // Dead waiters stay in their lane until they come up; too many of them are swept out.
    if (this.#waiters !== undefined && this.#waiters.size > 2 * this.#waiting + 16)
      this.#waiters.filter((one) => !one.done)
  }

  /** The queue has ended: whoever waits is refused. */
  close(error: BusError): void {
    for (let one = this.#waiters?.take(); one !== undefined; one = this.#waiters?.take()) {
      if (one.done) continue
      this.#end(one)
      this.rejected++
      one.outcome.resolve(error)
    }
  }

  #wait(message: Envelope, nowMs: number): Overflowed {
    // Waiting takes memory as well: as many may wait as the queue holds.
    const { waitMs, limit } = this.#owner.limits
    if (waitMs === 0 || this.#waiting >= limit) return this.#refused()
    this.#waiters ??= new Lanes<Waiter>(this.#overtaking)
    const waiter = new Waiter(this, message)
    this.#waiters.push(LANE_OF[message.priority], waiter)
    this.#waiting++
    this.#owner.wheel.add(waiter, nowMs + waitMs, nowMs)
    return { type: 'waits', outcome: waiter.outcome.promise }
  }

  #end(waiter: Waiter): void {
    waiter.done = true
    this.#waiting--
    this.#owner.wheel.remove(waiter)
  }

  #refused(): Overflowed {
    this.rejected++
    return { type: 'refused', error: this.#error('') }
  }

  #error(more: string): BusError {
    const { name, size, limits } = this.#owner
    return new BusError('QUEUE_FULL', `the queue of "${name}" is full (${size} of ${limits.limit} messages)${more}`, {
      details: { name, size, limit: limits.limit, overflow: limits.overflow },
    })
  }
}
