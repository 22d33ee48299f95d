import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SlidingCount } from './window.ts'

test('a count is exact to one bucket: all younger ones, none older than the window', () => {
  const events = fc.array(fc.record({ afterMs: fc.nat(400), count: fc.integer({ min: 1, max: 9 }) }), { maxLength: 60 })
  fc.assert(
    fc.property(events, fc.nat(2_000), (list, quietMs) => {
      const window = new SlidingCount(1_000, 10, 0)
      const noted: [atMs: number, count: number][] = []
      let nowMs = 0
      for (const { afterMs, count } of list) {
        nowMs += afterMs
        window.add(nowMs, count)
        noted.push([nowMs, count])
      }
      nowMs += quietMs
      const sum = (within: number): number =>
        noted.reduce((total, [atMs, count]) => total + (nowMs - atMs < within ? count : 0), 0)
      expect(window.total(nowMs)).toBeGreaterThanOrEqual(sum(900))
      expect(window.total(nowMs)).toBeLessThanOrEqual(sum(1_000))
    }),
    { numRuns: 300 },
  )
})

test('the rate counts over the time since the start while that is shorter than the window', () => {
  const window = new SlidingCount(60_000, 60, 5_000)
  window.add(5_000, 100)
  expect(window.perSecond(5_000)).toBeCloseTo(100)
  expect(window.perSecond(15_000)).toBeCloseTo(10)
  expect(window.perSecond(64_000)).toBeCloseTo(100 / 59)
  expect(window.perSecond(200_000)).toBe(0)
})

test('a time before the newest one is counted, not forgotten', () => {
  const window = new SlidingCount(1_000, 10, 10_000)
  window.add(10_500, 1)
  window.add(10_400, 1)
  expect(window.total(10_500)).toBe(2)
})

test('clear forgets everything and starts the rate anew', () => {
  const window = new SlidingCount(1_000, 10, 0)
  window.add(500, 7)
  window.clear(600)
  expect(window.total(600)).toBe(0)
  window.add(600, 2)
  expect(window.perSecond(700)).toBeCloseTo(20)
})
