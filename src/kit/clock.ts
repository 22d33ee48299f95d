import type { Env } from './env.ts'

// Hot path: a real clock reading costs about 45 ns, as much as the rest of a publish.

const MOST_USES = 16
const FAST_MS = 0.002

/**
 * A monotonic clock that is read as seldom as its users are fast. While the uses are less than 2 µs apart, up to 16 of them share
 * one reading; a slower use makes the next one read again, and no reading outlives its turn of the event loop. So a reading is
 * never older than the work since it was taken: some 30 µs, or the one slow handler that ran in between.
 */
export class Clock {
  readonly #env: Env
  #nowMs: number
  #left = 0
  #uses = 1
  #wallOffsetMs = 0
  #anchoredMs = Number.NEGATIVE_INFINITY
  #marked = false
  readonly #turn = (): void => {
    this.#marked = false
    this.#left = 0
    this.turns++
  }
  /** Turns of the event loop in which the clock was used. */
  turns = 0

  constructor(env: Env) {
    this.#env = env
    this.#nowMs = env.monotonicMs()
    this.#anchor()
  }

  /** Monotonic milliseconds, possibly a shared reading. */
  nowMs(): number {
    if (this.#left > 0) {
      this.#left--
      return this.#nowMs
    }
    return this.readMs()
  }

  /** Monotonic milliseconds, read now. */
  readMs(): number {
    const before = this.#nowMs
    const nowMs = this.#env.monotonicMs()
    this.#nowMs = nowMs
    if (this.#marked && nowMs - before < FAST_MS * this.#uses) this.#uses = Math.min(MOST_USES, this.#uses * 2)
    else this.#uses = 1
    this.#left = this.#uses - 1
    if (!this.#marked) {
      this.#marked = true
      this.#env.nextTurn(this.#turn)
    }
    if (nowMs - this.#anchoredMs > 1_000) this.#anchor()
    return nowMs
  }

  /** The last reading, without taking one. */
  get lastMs(): number {
    return this.#nowMs
  }

  /** Whole wall-clock milliseconds for a monotonic time; follows the wall clock within a second of use. */
  wallMs(monotonicMs: number): number {
    return Math.floor(monotonicMs + this.#wallOffsetMs)
  }

  #anchor(): void {
    this.#anchoredMs = this.#nowMs
    this.#wallOffsetMs = this.#env.wallMs() - this.#nowMs
  }
}
