import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Histogram } from './histogram.ts'

/** Nearest rank over the exact values. */
function exact(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.ceil(share * sorted.length) - 1]!
}

const durations = fc.array(
  fc.oneof(fc.double({ min: 0, max: 10, noNaN: true }), fc.double({ min: 0, max: 214_748, noNaN: true })),
  {
    minLength: 1,
    maxLength: 300,
  },
)

test('percentiles are never below the exact ones, and at most 12.5 % and one unit above', () => {
  fc.assert(
    fc.property(durations, (values) => {
      const histogram = new Histogram()
      for (const value of values) histogram.record(value)
      const { count, avgMs, minMs, maxMs, p50Ms, p95Ms, p99Ms } = histogram.figures()
      expect(count).toBe(values.length)
      expect(minMs).toBe(Math.min(...values))
      expect(maxMs).toBe(Math.max(...values))
      expect(avgMs).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 6)
      for (const [got, share] of [
        [p50Ms, 0.5],
        [p95Ms, 0.95],
        [p99Ms, 0.99],
      ] as const) {
        const wanted = exact(values, share)
        // The edges of buckets are rounded like every other number.
        expect(got).toBeGreaterThanOrEqual(wanted * (1 - 1e-12))
        expect(got).toBeLessThanOrEqual(wanted * 1.125 + 1e-4 + 1e-9)
      }
    }),
    { numRuns: 500 },
  )
})

test('merging is as recording everything in one', () => {
  fc.assert(
    fc.property(durations, durations, (left, right) => {
      const [one, two, all] = [new Histogram(), new Histogram(), new Histogram()]
      for (const value of left) one.record(value)
      for (const value of right) two.record(value)
      for (const value of [...left, ...right]) all.record(value)
      one.merge(two)
      const { avgMs, ...rest } = one.figures()
      const { avgMs: wanted, ...others } = all.figures()
      expect(rest).toEqual(others)
      expect(avgMs).toBeCloseTo(wanted, 6)
    }),
  )
})

test('an empty histogram has zeros only, also after merging with an empty one', () => {
  const histogram = new Histogram()
  histogram.merge(new Histogram())
  expect(histogram.figures()).toEqual({ count: 0, avgMs: 0, minMs: 0, maxMs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0 })
})

test('negative values and NaN count as 0, values beyond the range stay countable', () => {
  const histogram = new Histogram()
  for (const value of [-5, Number.NaN, 1e9]) histogram.record(value)
  const { count, minMs, maxMs, p50Ms, avgMs } = histogram.figures()
  expect([count, minMs, maxMs]).toEqual([3, 0, 1e9])
  expect(p50Ms).toBeLessThanOrEqual(1e-4)
  expect(avgMs).toBeCloseTo(1e9 / 3)
  for (let times = 0; times < 9; times++) histogram.record(1e9 + times)
  expect(histogram.figures().p50Ms).toBeGreaterThan(214_000)
  expect(histogram.figures().p99Ms).toBeLessThanOrEqual(1e9 + 8)
})
