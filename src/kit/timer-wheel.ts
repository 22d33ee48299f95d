import type { Env, Timer } from './env.ts'

// Hot path: adding and removing a deadline are a few pointer writes; one real timer serves all of them.

const SLOTS = 256
const TICK_MS = 16
/** A freshly filled wheel is looked at this soon: most deadlines are met, and then the process must be free to end. */
const NEAR_TICKS = 4

/** Something with a deadline. Lives in at most one wheel; the wheel owns the `wheel…` fields. */
export class Deadline {
  /** Monotonic milliseconds. */
  dueMs = 0
  wheelNext: Deadline | undefined = undefined
  wheelPrevious: Deadline | undefined = undefined
  wheelSlot = -1

  /** Called once when the time has come; the deadline is out of the wheel by then. */
  onDue(): void {}
}

/**
 * Many deadlines on one timer: a hashed wheel of 256 slots of 16 ms. A deadline fires at most about 16 ms late and never
 * early. An empty wheel arms no timer, so an idle bus costs nothing and the process may end.
 */
export class TimerWheel {
  readonly #env: Env
  readonly #slots: (Deadline | undefined)[] = new Array<Deadline | undefined>(SLOTS).fill(undefined)
  #size = 0
  #tick = 0
  #timer: Timer | undefined
  #armedTick = 0
  /** The timer sleeps longer than NEAR_TICKS: it must go when the wheel empties, or it would hold the process. */
  #sleepsLong = false
  #advancing = false
  readonly #wake = (): void => this.#advance()

  constructor(env: Env) {
    this.#env = env
  }

  get size(): number {
    return this.#size
  }

  /** Puts the deadline in, or moves it. `nowMs` may lag behind the clock by a few milliseconds. */
  add(deadline: Deadline, dueMs: number, nowMs: number): void {
    if (deadline.wheelSlot >= 0) this.remove(deadline)
    // An empty wheel has not turned: catch up, or the next wake would walk through all the idle time.
    if (this.#size === 0 && !this.#advancing) this.#tick = Math.floor(nowMs / TICK_MS)
    const tick = Math.max(Math.ceil(dueMs / TICK_MS), this.#tick + 1)
    const slot = tick & (SLOTS - 1)
    deadline.dueMs = dueMs
    deadline.wheelSlot = slot
    deadline.wheelPrevious = undefined
    const first = this.#slots[slot]
    deadline.wheelNext = first
    if (first !== undefined) first.wheelPrevious = deadline
    this.#slots[slot] = deadline
    this.#size++
    if (this.#advancing) return
    if (this.#timer === undefined) this.#arm(Math.min(tick, this.#tick + NEAR_TICKS), nowMs)
    else if (tick < this.#armedTick) {
      this.#timer.cancel()
      this.#arm(tick, nowMs)
    }
  }

  remove(deadline: Deadline): void {
    const slot = deadline.wheelSlot
    if (slot < 0) return
    const { wheelNext: next, wheelPrevious: previous } = deadline
    if (previous === undefined) this.#slots[slot] = next
    else previous.wheelNext = next
    if (next !== undefined) next.wheelPrevious = previous
    deadline.wheelNext = undefined
    deadline.wheelPrevious = undefined
    deadline.wheelSlot = -1
    if (--this.#size === 0 && this.#sleepsLong) this.#disarm()
  }

  /** Disarms the timer and forgets every deadline without calling it. */
  clear(): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      for (let one = this.#slots[slot]; one !== undefined; one = this.#slots[slot]) this.remove(one)
    }
    this.#disarm()
  }

  #arm(tick: number, nowMs: number): void {
    this.#armedTick = tick
    this.#sleepsLong = tick - this.#tick > NEAR_TICKS
    this.#timer = this.#env.after(Math.max(1, tick * TICK_MS - nowMs), this.#wake)
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#sleepsLong = false
  }

  #advance(): void {
    this.#timer = undefined
    this.#sleepsLong = false
    if (this.#size === 0) return
    const nowMs = this.#env.monotonicMs()
    const nowTick = Math.floor(nowMs / TICK_MS)
    const first = Math.max(this.#tick + 1, nowTick - SLOTS + 1)
    this.#tick = Math.max(this.#tick, nowTick)
    this.#advancing = true
    try {
      for (let tick = first; tick <= nowTick; tick++) this.#fireSlot(tick & (SLOTS - 1), nowMs)
    } finally {
      // A deadline that throws must not stop the clock of all the others.
      this.#advancing = false
      if (this.#size > 0) this.#arm(this.#nextTick(), nowMs)
    }
  }

  #fireSlot(slot: number, nowMs: number): void {
    for (;;) {
      // From the head each time: onDue may remove any neighbour. What is not due belongs to a later turn of the wheel.
      let one = this.#slots[slot]
      while (one !== undefined && one.dueMs > nowMs) one = one.wheelNext
      if (one === undefined) return
      this.remove(one)
      one.onDue()
    }
  }

  /** The next slot that holds anything; its deadlines may belong to a later turn, which costs one wake in 4 s. */
  #nextTick(): number {
    for (let tick = this.#tick + 1; tick < this.#tick + SLOTS; tick++) {
      if (this.#slots[tick & (SLOTS - 1)] !== undefined) return tick
    }
    return this.#tick + SLOTS
  }
}
