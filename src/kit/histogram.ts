// Hot path: one record is two additions, two comparisons and an array write.

const SUB = 8
const OCTAVES = 32
const BUCKETS = OCTAVES * SUB
/** Smallest value told apart, in milliseconds: a tenth of a microsecond. */
const UNIT_MS = 1e-4

/** Figures of a {@link Histogram}, in milliseconds. Percentiles are the upper edge of their bucket (at most 12.5 % above). */
export interface HistogramFigures {
  readonly count: number
  readonly avgMs: number
  readonly minMs: number
  readonly maxMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
}

/**
 * Durations in 256 log-linear buckets: eight per doubling, from 0.1 µs to 7 min. Memory does not depend on how much was recorded.
 */
export class Histogram {
  readonly #buckets = new Float64Array(BUCKETS)
  #count = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0

  get count(): number {
    return this.#count
  }

  record(ms: number): void {
    const value = ms > 0 ? ms : 0
    this.#count++
    this.#sum += value
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
    const units = value / UNIT_MS
    let bucket: number
    if (units < SUB) bucket = units | 0
    else {
      const whole = units > 0xffff_ffff ? 0xffff_ffff : Math.floor(units)
      const octave = 31 - Math.clz32(whole)
      bucket = (octave - 2) * SUB + ((whole >>> (octave - 3)) & (SUB - 1))
    }
    this.#buckets[bucket]!++
  }

  /** Adds everything that the other has recorded. */
  merge(other: Histogram): void {
    this.#count += other.#count
    this.#sum += other.#sum
    this.#min = Math.min(this.#min, other.#min)
    this.#max = Math.max(this.#max, other.#max)
    for (let index = 0; index < BUCKETS; index++) this.#buckets[index]! += other.#buckets[index]!
  }

  figures(): HistogramFigures {
    if (this.#count === 0) return { count: 0, avgMs: 0, minMs: 0, maxMs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0 }
    const [p50Ms, p95Ms, p99Ms] = this.#percentiles([0.5, 0.95, 0.99])
    return {
      count: this.#count,
      avgMs: this.#sum / this.#count,
      minMs: this.#min,
      maxMs: this.#max,
      p50Ms: p50Ms!,
      p95Ms: p95Ms!,
      p99Ms: p99Ms!,
    }
  }

  /** Nearest rank: the smallest bucket edge that at least a share `q` of the values does not exceed; `qs` ascending. */
  #percentiles(qs: readonly number[]): number[] {
    const found: number[] = []
    let seen = 0
    for (let index = 0; index < BUCKETS && found.length < qs.length; index++) {
      seen += this.#buckets[index]!
      while (found.length < qs.length && seen >= Math.ceil(qs[found.length]! * this.#count)) {
        found.push(Math.min(this.#max, Math.max(this.#min, upperEdge(index))))
      }
    }
    return found
  }
}

function upperEdge(bucket: number): number {
  if (bucket < SUB) return (bucket + 1) * UNIT_MS
  const octave = Math.floor(bucket / SUB) + 2
  return (SUB + (bucket % SUB) + 1) * 2 ** (octave - 3) * UNIT_MS
}
