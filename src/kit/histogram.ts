// Hot path: one record is two additions, two comparisons and an array write.

const SUB = 8
const OCTAVES = 30
const BUCKETS = OCTAVES * SUB
/** Smallest value told apart, in milliseconds: a tenth of a microsecond. */
const UNIT_MS = 1e-4
const UNITS_PER_MS = 10_000
/** Longer ones count as this: 3.5 minutes, where the units leave 31 bits. */
const MOST_MS = 0x7fff_ffff / UNITS_PER_MS

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
 * Durations in 240 log-linear buckets: eight per doubling, from 0.1 µs to 3.5 min. Memory does not depend on how much was recorded.
 */
export class Histogram {
  readonly #buckets = new Float64Array(BUCKETS)
  /** One above the highest bucket in use: reading need not look further. */
  #top = 0
  #count = 0
  #zeros = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0

  get count(): number {
    return this.#count
  }

  record(ms: number): void {
    this.#count++
    // Shared clock readings make zero the most common value of all.
    if (ms > 0) this.#recordSome(ms)
    else this.#zeros++
  }

  #recordSome(ms: number): void {
    this.#sum += ms
    if (ms < this.#min) this.#min = ms
    if (ms > this.#max) this.#max = ms
    const units = ms < MOST_MS ? (ms * UNITS_PER_MS) | 0 : 0x7fff_ffff
    let bucket = units
    if (units >= SUB) {
      const octave = 31 - Math.clz32(units)
      bucket = (octave - 2) * SUB + ((units >>> (octave - 3)) & (SUB - 1))
    }
    this.#buckets[bucket]!++
    if (bucket >= this.#top) this.#top = bucket + 1
  }

  /** Adds everything that the other has recorded. */
  merge(other: Histogram): void {
    this.#count += other.#count
    this.#zeros += other.#zeros
    this.#sum += other.#sum
    this.#min = Math.min(this.#min, other.#min)
    this.#max = Math.max(this.#max, other.#max)
    this.#top = Math.max(this.#top, other.#top)
    for (let index = 0; index < other.#top; index++) this.#buckets[index]! += other.#buckets[index]!
  }

  figures(): HistogramFigures {
    if (this.#count === 0) return { count: 0, avgMs: 0, minMs: 0, maxMs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0 }
    const [p50Ms, p95Ms, p99Ms] = this.#percentiles([0.5, 0.95, 0.99])
    return {
      count: this.#count,
      avgMs: this.#sum / this.#count,
      minMs: this.#lowest,
      maxMs: this.#max,
      p50Ms: p50Ms!,
      p95Ms: p95Ms!,
      p99Ms: p99Ms!,
    }
  }

  get #lowest(): number {
    return this.#zeros > 0 ? 0 : this.#min
  }

  /** Nearest rank: the smallest bucket edge that at least a share `q` of the values does not exceed; `qs` ascending. */
  #percentiles(qs: readonly number[]): number[] {
    const found: number[] = []
    let seen = this.#zeros
    while (found.length < qs.length && seen >= Math.ceil(qs[found.length]! * this.#count)) found.push(0)
    for (let index = 0; index < this.#top && found.length < qs.length; index++) {
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
