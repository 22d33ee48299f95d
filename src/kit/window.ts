/**
 * A count over a sliding time: `slots` buckets of equal width; what is older than the window is forgotten. Needs no timer:
 * the window slides when it is written or read.
 */
export class SlidingCount {
  readonly #slotMs: number
  readonly #counts: Float64Array
  #slot = 0
  #startedMs: number

  /** `windowMs` wide, in `slots` buckets: a figure is exact to one bucket. */
  constructor(windowMs: number, slots: number, nowMs: number) {
    this.#slotMs = windowMs / slots
    this.#counts = new Float64Array(slots)
    this.#slot = Math.floor(nowMs / this.#slotMs)
    this.#startedMs = nowMs
  }

  add(nowMs: number, count: number = 1): void {
    this.#slide(nowMs)
    this.#counts[this.#slot % this.#counts.length]! += count
  }

  total(nowMs: number): number {
    this.#slide(nowMs)
    let sum = 0
    for (const count of this.#counts) sum += count
    return sum
  }

  /** Per second, over the window or over the time since the start if that is shorter; at least one bucket wide. */
  perSecond(nowMs: number): number {
    const windowMs = this.#slotMs * this.#counts.length
    const overMs = Math.min(windowMs, Math.max(nowMs - this.#startedMs, this.#slotMs))
    return (this.total(nowMs) / overMs) * 1_000
  }

  clear(nowMs: number): void {
    this.#counts.fill(0)
    this.#startedMs = nowMs
  }

  #slide(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs)
    if (slot <= this.#slot) return
    const steps = Math.min(slot - this.#slot, this.#counts.length)
    for (let step = 0; step < steps; step++) this.#counts[(slot - step) % this.#counts.length] = 0
    this.#slot = slot
  }
}
