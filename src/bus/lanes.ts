import { Ring } from '../kit/ring.ts'
import { LANE_COUNT } from '../message/priority.ts'

// Hot path: written for the machine. Lanes are told by number, 0 first; a bit mask says which of them hold anything. A value that comes
// to empty lanes lies in one field, so that ten thousand agents with a message now and then need no rings and little cache.

/** The rank of empty lanes: behind every other. */
export const NO_RANK = LANE_COUNT

/**
 * Five first-in-first-out lanes with an overtaking bound: the highest lane that holds anything is served, but once the head of a
 * lane has been passed by `bound` values of higher lanes it goes next. So nothing starves, and inside a lane order is exact.
 */
export class Lanes<T> {
  /** The only value, and its lane; undefined when there are none or several. */
  #only: T | undefined = undefined
  #onlyLane = 0
  #rings: (Ring<T> | undefined)[] | undefined = undefined
  /** How often each lane's head was passed by higher ones since the lane was served last. */
  #passed: number[] | undefined = undefined
  readonly bound: number
  #mask = 0
  #size = 0

  constructor(bound: number) {
    this.bound = bound
  }

  get size(): number {
    return this.#size
  }

  /** `passed`: how often the value was passed already, elsewhere; counts when it is the head of its lane. */
  push(lane: number, value: T, passed: number = 0): void {
    if (passed > 0 && this.sizeOf(lane) === 0) this.#passes()[lane] = passed
    if (this.#size === 0) {
      this.#only = value
      this.#onlyLane = lane
    } else {
      if (this.#only !== undefined) this.#spill()
      this.#ring(lane).push(value)
    }
    this.#mask |= 1 << lane
    this.#size++
  }

  /** The lane that {@link take} will serve next; -1 when empty. */
  nextLane(): number {
    const mask = this.#mask
    if (mask === 0) return -1
    const highest = 31 - Math.clz32(mask & -mask)
    return (mask & (mask - 1)) === 0 ? highest : this.#dueLane(highest)
  }

  /** How urgent the next value is, to compare several lanes: its lane, -1 when it was passed too often, {@link NO_RANK} for none. */
  rank(): number {
    const lane = this.nextLane()
    if (lane < 0) return NO_RANK
    return this.passedOf(lane) >= this.bound ? -1 : lane
  }

  /** Counts that a value of `lane` was handed out, here or elsewhere: heads of lower lanes were passed. */
  pass(lane: number): void {
    if (this.#mask >> (lane + 1) === 0) return
    const passed = this.#passes()
    for (let lower = lane + 1; lower < LANE_COUNT; lower++) if (this.#mask & (1 << lower)) passed[lower]!++
  }

  /** How often the head of a lane was passed since the lane was served last. */
  passedOf(lane: number): number {
    return this.#passed?.[lane] ?? 0
  }

  /** Takes the next value by priority and bound. */
  take(): T | undefined {
    const only = this.#only
    if (only !== undefined) {
      this.#only = undefined
      this.#mask = 0
      this.#size = 0
      this.#passed = undefined
      return only
    }
    const mask = this.#mask
    if (mask === 0) return undefined
    const highest = 31 - Math.clz32(mask & -mask)
    if ((mask & (mask - 1)) === 0) return this.takeFrom(highest)
    const lane = this.#dueLane(highest)
    this.pass(lane)
    return this.takeFrom(lane)
  }

  /** Takes the oldest value of one lane, whatever waits elsewhere. */
  takeFrom(lane: number): T | undefined {
    if (this.#only !== undefined) return lane === this.#onlyLane ? this.take() : undefined
    const ring = this.#rings?.[lane]
    if (ring === undefined || ring.size === 0) return undefined
    const value = ring.shift()
    this.#size--
    if (this.#passed !== undefined) this.#served(lane)
    if (ring.size === 0) this.#mask &= ~(1 << lane)
    return value
  }

  /** How many values wait in one lane. */
  sizeOf(lane: number): number {
    if (this.#only !== undefined) return lane === this.#onlyLane ? 1 : 0
    return this.#rings?.[lane]?.size ?? 0
  }

  /** The lowest lane that holds anything; -1 when empty. */
  lowestLane(): number {
    return this.#mask === 0 ? -1 : 31 - Math.clz32(this.#mask)
  }

  /** The oldest value of one lane. */
  peekFrom(lane: number): T | undefined {
    if (this.#only !== undefined) return lane === this.#onlyLane ? this.#only : undefined
    return this.#rings?.[lane]?.peek()
  }

  clear(): void {
    this.#only = undefined
    this.#rings = undefined
    this.#passed = undefined
    this.#mask = 0
    this.#size = 0
  }

  /** Takes out every value for which `keep` is false; order stays. Returns how many went. */
  filter(keep: (value: T) => boolean): number {
    if (this.#only !== undefined) this.#spill()
    let removed = 0
    for (let lane = 0; lane < LANE_COUNT; lane++) {
      const ring = this.#rings?.[lane]
      if (ring === undefined || ring.size === 0) continue
      removed += ring.filter(keep)
      if (ring.size === 0) this.#mask &= ~(1 << lane)
    }
    this.#size -= removed
    this.#passed = undefined
    return removed
  }

  *[Symbol.iterator](): IterableIterator<T> {
    if (this.#only !== undefined) yield this.#only
    for (const ring of this.#rings ?? []) if (ring !== undefined) yield* ring
  }

  #ring(lane: number): Ring<T> {
    this.#rings ??= [undefined, undefined, undefined, undefined, undefined]
    let ring = this.#rings[lane]
    if (ring === undefined) {
      ring = new Ring<T>()
      this.#rings[lane] = ring
    }
    return ring
  }

  /** A second value comes: the first one goes into its ring. */
  #spill(): void {
    this.#ring(this.#onlyLane).push(this.#only as T)
    this.#only = undefined
  }

  #passes(): number[] {
    this.#passed ??= [0, 0, 0, 0, 0]
    return this.#passed
  }

  #served(lane: number): void {
    if (this.#size === 0) this.#passed = undefined
    else this.#passes()[lane] = 0
  }

  /** The lane passed most often, if any has reached the bound; else the highest. */
  #dueLane(highest: number): number {
    const passed = this.#passed
    if (passed === undefined) return highest
    let due = highest
    let most = this.bound
    for (let lane = highest + 1; lane < LANE_COUNT; lane++) {
      // Of equals the lower lane: serving it passes nobody, so the bound holds to the message.
      if ((this.#mask & (1 << lane)) !== 0 && passed[lane]! >= most) {
        due = lane
        most = passed[lane]!
      }
    }
    return due
  }
}
