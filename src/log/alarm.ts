import type { Env, Timer } from '../kit/env.ts'

/** A freshly set alarm goes off this soon: most leases are short, and then the process must be free to end. */
const NEAR_MS = 64

/** One timer for all that falls due in a group. It may go off early, never late. */
export class Alarm {
  readonly #env: Env
  readonly #ring: (dueMs: number) => void
  #timer: Timer | undefined
  #atMs = Number.POSITIVE_INFINITY
  #long = false

  /** `ring` is told for when it was set. */
  constructor(env: Env, ring: (dueMs: number) => void) {
    this.#env = env
    this.#ring = ring
  }

  /** When it goes off; Infinity for never. */
  get atMs(): number {
    return this.#atMs
  }

  /** It goes off at that time, or before. */
  set(dueMs: number, nowMs: number): void {
    if (dueMs >= this.#atMs) return
    this.#arm(this.#timer === undefined ? Math.min(dueMs, nowMs + NEAR_MS) : dueMs, nowMs)
  }

  /** As {@link set}, but not before: what is near was looked at. */
  sleep(dueMs: number, nowMs: number): void {
    if (dueMs === Number.POSITIVE_INFINITY) this.clear()
    else if (dueMs < this.#atMs) this.#arm(dueMs, nowMs)
  }

  /** What it was set for is settled; the next thing is due then: a timer for nothing would hold the process. */
  rest(dueMs: number): void {
    if (this.#long && dueMs === Number.POSITIVE_INFINITY) this.clear()
  }

  clear(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#atMs = Number.POSITIVE_INFINITY
    this.#long = false
  }

  #arm(atMs: number, nowMs: number): void {
    this.#timer?.cancel()
    this.#atMs = atMs
    this.#long = atMs - nowMs > NEAR_MS
    this.#timer = this.#env.after(Math.max(0, atMs - nowMs), () => {
      this.#timer = undefined
      this.#atMs = Number.POSITIVE_INFINITY
      this.#long = false
      this.#ring(atMs)
    })
  }
}
