/**
 * A map that forgets: what was set stays for at least `windowMs` unless more than `limit` newer keys came, and at most twice as long.
 * Holds at most twice `limit` keys, needs no timer, and forgets in one step.
 */
export class TwoGenerations<T> {
  readonly #windowMs: number
  readonly #limit: number
  #young = new Map<string, T>()
  #old = new Map<string, T>()
  #youngSinceMs: number

  constructor(windowMs: number, limit: number, nowMs: number) {
    this.#windowMs = windowMs
    this.#limit = limit
    this.#youngSinceMs = nowMs
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  has(key: string, nowMs: number): boolean {
    this.#turn(nowMs)
    return this.#young.has(key) || this.#old.has(key)
  }

  get(key: string, nowMs: number): T | undefined {
    this.#turn(nowMs)
    return this.#young.has(key) ? this.#young.get(key) : this.#old.get(key)
  }

  /** True when a generation went: a good moment to forget elsewhere, too. */
  set(key: string, value: T, nowMs: number): boolean {
    let went = this.#turn(nowMs)
    if (this.#young.size >= this.#limit) {
      this.#next(nowMs)
      went = true
    }
    this.#young.set(key, value)
    return went
  }

  #turn(nowMs: number): boolean {
    const ageMs = nowMs - this.#youngSinceMs
    if (ageMs < this.#windowMs) return false
    // Nobody asked for two windows: both generations are too old.
    if (ageMs >= 2 * this.#windowMs) this.#young = new Map()
    this.#next(nowMs)
    return true
  }

  #next(nowMs: number): void {
    this.#old = this.#young
    this.#young = new Map()
    this.#youngSinceMs = nowMs
  }
}
