import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TwoGenerations } from './two-generations.ts'

test('a key stays for the window and goes within twice the window', () => {
  const keys = new TwoGenerations<number>(100, 10, 0)
  keys.set('a', 1, 50)
  expect([keys.get('a', 149), keys.has('a', 149)]).toEqual([1, true])
  expect([keys.get('a', 250), keys.has('a', 250), keys.size]).toEqual([undefined, false, 0])
})

test('a value that is undefined or null is there all the same', () => {
  const keys = new TwoGenerations<unknown>(100, 1, 0)
  keys.set('a', undefined, 0)
  keys.set('b', null, 0)
  expect([keys.has('a', 0), keys.get('b', 0), keys.get('a', 0)]).toEqual([true, null, undefined])
})

const steps = fc.array(fc.record({ key: fc.integer({ min: 0, max: 40 }), gapMs: fc.integer({ min: 0, max: 30 }) }), {
  maxLength: 200,
})

test('whatever comes: never more than twice the limit, never too early, never later than two windows', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 8 }), (list, limit) => {
      const keys = new TwoGenerations<number>(100, limit, 0)
      const setAt = new Map<number, { ms: number; step: number }>()
      let nowMs = 0
      for (const [step, { key, gapMs }] of list.entries()) {
        nowMs += gapMs
        keys.set(String(key), step, nowMs)
        setAt.set(key, { ms: nowMs, step })
        expect(keys.size).toBeLessThanOrEqual(2 * limit)
        for (const [one, at] of setAt) {
          const newer = new Set(list.slice(at.step + 1, step + 1).map((later) => later.key)).size
          const ageMs = nowMs - at.ms
          const found = keys.get(String(one), nowMs)
          if (ageMs < 100 && newer <= limit - 1) expect(found).toBe(at.step)
          if (ageMs >= 200) expect(found).toBeUndefined()
        }
      }
    }),
    { numRuns: 200 },
  )
})
