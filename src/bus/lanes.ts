import { Ring } from '../kit/ring.ts'
import { LANE_COUNT } from '../message/priority.ts'

// Hot path: written for the machine. Lanes are told by number, 0 first; a bit mask says which of them hold anything.

/** The rank of empty lanes: behind every other. */
export const NO_RANK = LANE_COUNT

/**
 * Five first-in-first-out lanes with an overtaking bound: the highest lane that holds anything is served, but once the head of a
 * lane has been passed by `bound` values of higher lanes it goes next. So nothing starves, and inside a lane order is exact.
 */
export class Lanes<T> {
  readonly #rings: (Ring<T> | undefined)[] = [undefined, undefined, undefined, undefined, undefined]
  /** How often each lane's head was passed by higher ones since the lane was served last. */
  readonly #passed = [0, 0, 0, 0, 0]
  readonly #bound: number
  /** Several lanes hold something, or did: there are counts of passing. */
  #contested = false
  #mask = 0
  #size = 0

  constructor(bound: number) {
    this.#bound = bound
  }

  get size(): number {
    return this.#size
  }

  /** `passed`: how often the value was passed already, elsewhere; counts when it is the head of its lane. */
  push(lane: number, value: T, passed: number = 0): void {
    let ring = this.#rings[lane]
    if (ring === undefined) {
      ring = new Ring<T>()
      this.#rings[lane] = ring
    }
    if (passed > 0 && ring.size === 0) {
      this.#passed[lane] = passed
      this.#contested = true
    }
    ring.push(value)
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
    return this.#passed[lane]! >= this.#bound ? -1 : lane
  }

  /** Counts that a value of `lane` was handed out, here or elsewhere: heads of lower lanes were passed. */
  pass(lane: number): void {
    if (this.#mask >> (lane + 1) === 0) return
    this.#contested = true
    for (let lower = lane + 1; lower < LANE_COUNT; lower++) if (this.#mask & (1 << lower)) this.#passed[lower]!++
  }

  /** How often the head of a lane was passed since the lane was served last. */
  passedOf(lane: number): number {
    return this.#passed[lane] ?? 0
  }

  /** Takes the next value by priority and bound. */
  take(): T | undefined {
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
    const ring = this.#rings[lane]
    if (ring === undefined || ring.size === 0) return undefined
    const value = ring.shift()
    if (this.#contested) this.#served(lane)
    this.#size--
    if (ring.size === 0) this.#mask &= ~(1 << lane)
    return value
  }

  /** How many values wait in one lane. */
  sizeOf(lane: number): number {
    return this.#rings[lane]?.size ?? 0
  }

  /** The lowest lane that holds anything; -1 when empty. */
  lowestLane(): number {
    return this.#mask === 0 ? -1 : 31 - Math.clz32(this.#mask)
  }

  /** The oldest value of one lane. */
  peekFrom(lane: number): T | undefined {
    return this.#rings[lane]?.peek()
  }

  clear(): void {
    for (let lane = 0; lane < LANE_COUNT; lane++) {
      this.#rings[lane] = undefined
      this.#passed[lane] = 0
    }
    this.#mask = 0
    this.#size = 0
  }

  /** Takes out every value for which `keep` is false; order stays. Returns how many went. */
  filter(keep: (value: T) => boolean): number {
    let removed = 0
    for (let lane = 0; lane < LANE_COUNT; lane++) {
      const ring = this.#rings[lane]
      if (ring === undefined || ring.size === 0) continue
      removed += ring.filter(keep)
      this.#passed[lane] = 0
      if (ring.size === 0) this.#mask &= ~(1 << lane)
    }
    this.#size -= removed
    return removed
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const ring of this.#rings) if (ring !== undefined) yield* ring
  }

  #served(lane: number): void {
    this.#passed[lane] = 0
    if (this.#size > 1) return
    this.#passed.fill(0)
    this.#contested = false
  }

  /** The lane passed most often, if any has reached the bound; else the highest. */
  #dueLane(highest: number): number {
    let due = highest
    let most = this.#bound
    for (let lane = highest + 1; lane < LANE_COUNT; lane++) {
      // Of equals the lower lane: serving it passes nobody, so the bound holds to the message.
      if ((this.#mask & (1 << lane)) !== 0 && this.#passed[lane]! >= most) {
        due = lane
        most = this.#passed[lane]!
      }
    }
    return due
  }
}
