import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isBusError } from '../kit/errors.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { RETRY_PRESETS, type RetryOptions, type RetryPreset, retryPolicy, retryPreset } from './retry.ts'

const half = (): number => 0.5
const waitsOf = (options: RetryOptions, random: () => number): (number | undefined)[] => {
  const policy = retryPolicy(options)
  return Array.from({ length: policy.attempts }, (_, index) => policy.delayMs(index + 1, random))
}

/** The longest wait of a preset that went on for 20 attempts and drew the longest waits. */
function mostOf(name: RetryPreset): number {
  const policy = retryPolicy({ ...retryPreset(name), attempts: 20 })
  const draws = [0.5, 0.75, 1 - Number.EPSILON]
  const waits = Array.from({ length: 19 }, (_, index) =>
    draws.map((draw) => policy.delayMs(index + 1, () => draw) ?? 0),
  )
  return Math.max(...waits.flat())
}

test('[Z26] zejzl tries 3 times and waits 1 s, then 2 s, never longer than 60 s', () => {
  expect(waitsOf(retryPreset('zejzl'), half)).toEqual([1_000, 2_000, undefined])
  expect(mostOf('zejzl')).toBe(60_000)
})

test('[Z27] the executor of zejzl tries 5 times around 1, 2, 4 and 8 s, never longer than 60 s', () => {
  expect(waitsOf(retryPreset('zejzl-executor'), half)).toEqual([1_000, 2_000, 4_000, 8_000, undefined])
  expect(mostOf('zejzl-executor')).toBeLessThanOrEqual(60_000)
})

test('[W9] woodwork waits min(2^n, 60) s before retry n, 3 times', () => {
  expect(waitsOf(retryPreset('woodwork'), half)).toEqual([2_000, 4_000, 8_000, undefined])
  expect(mostOf('woodwork')).toBe(60_000)
})

test('[C16] cortex waits 5 s, then 15 s, then gives up; the list is an option', () => {
  expect(waitsOf(retryPreset('cortex'), half)).toEqual([5_000, 15_000, undefined])
  expect(waitsOf({ delaysMs: [1, 2, 3] }, half)).toEqual([1, 2, 3, undefined])
})

test('[L35] llmgine makes 4 attempts around half of 100, 200 and 400 ms, never more than 10 s apart', () => {
  expect(waitsOf(retryPreset('llmgine'), half)).toEqual([50, 100, 200, undefined])
  expect(mostOf('llmgine')).toBeLessThanOrEqual(10_000)
})

test('[V33] [V7] veritas retries 3 times around 100, 200 and 400 ms, never more than 10 s apart', () => {
  expect(waitsOf(retryPreset('veritas'), half)).toEqual([100, 200, 400, undefined])
  expect(mostOf('veritas')).toBeLessThanOrEqual(10_000)
})

test('[Z27] the executor of zejzl spreads each wait over 0.75 to 1.25 times its length', () => {
  const policy = retryPolicy(retryPreset('zejzl-executor'))
  expect(policy.delayMs(3, () => 0)).toBe(3_000)
  expect(policy.delayMs(3, () => 0.999_999)).toBeCloseTo(5_000, 0)
})

test('[L35] base 10 ms without jitter waits 10 then 20 ms, and 2 retries are 3 calls', () => {
  const options: RetryOptions = { attempts: 3, firstDelayMs: 10, capMs: 10_000, jitter: 'none' }
  expect(waitsOf(options, half)).toEqual([10, 20, undefined])
})

test('[L35] full jitter is uniform between 0 and the wait', () => {
  const policy = retryPolicy(retryPreset('llmgine'))
  const env = fakeEnv({ seed: 7 })
  const tenths = new Array<number>(10).fill(0)
  for (let draw = 0; draw < 10_000; draw++) tenths[Math.floor(policy.delayMs(1, env.random)! / 10)]!++
  for (const count of tenths) expect(count).toBeGreaterThan(850)
})

test('the default is 4 attempts around 1, 2 and 4 s with ±25 %, at most 60 s', () => {
  expect(waitsOf({}, half)).toEqual([1_000, 2_000, 4_000, undefined])
  expect(waitsOf({}, () => 0)).toEqual([750, 1_500, 3_000, undefined])
  const long = retryPolicy({ attempts: 100 })
  expect(long.delayMs(99, half)).toBe(60_000)
})

test('waits at the cap are spread too, so that they do not meet', () => {
  const long = retryPolicy({ attempts: 100 })
  const env = fakeEnv({ seed: 3 })
  const waits = new Set(Array.from({ length: 100 }, () => long.delayMs(99, env.random)))
  expect(waits.size).toBe(100)
})

test('one attempt means no retry', () => {
  expect(waitsOf({ attempts: 1 }, half)).toEqual([undefined])
  expect(waitsOf({ delaysMs: [] }, half)).toEqual([undefined])
})

test('a damaged count of attempts ends the retries', () => {
  for (const options of [{}, { delaysMs: [1, 2] }]) {
    const policy = retryPolicy(options)
    expect(policy.delayMs(Number.NaN, half)).toBeUndefined()
    expect(policy.delayMs(Number.POSITIVE_INFINITY, half)).toBeUndefined()
    expect(policy.delayMs(0, half)).toBe(policy.delayMs(1, half))
  }
})

test('changing a list of waits afterwards changes nothing', () => {
  const delaysMs = [1, 2]
  const policy = retryPolicy({ delaysMs })
  delaysMs.push(3)
  expect([policy.attempts, policy.delayMs(3, half)]).toEqual([3, undefined])
})

const numbers = fc.record({
  attempts: fc.integer({ min: 1, max: 1_000 }),
  firstDelayMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e9, noNaN: true })),
  factor: fc.double({ min: 1, max: 1_000, noNaN: true }),
  capMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
  jitter: fc.constantFrom('none' as const, 'full' as const, 'quarter' as const),
})

test('whatever the options, there are exactly attempts − 1 waits, each finite and within its bounds', () => {
  fc.assert(
    fc.property(numbers, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (options, drawn) => {
      const policy = retryPolicy(options)
      const { attempts, firstDelayMs, factor, capMs } = options
      for (const failed of [1, 2, 3, attempts - 1].filter((n) => n >= 1 && n < attempts)) {
        const wait = policy.delayMs(failed, () => drawn)!
        const plain = firstDelayMs === 0 ? 0 : Math.min(capMs, firstDelayMs * factor ** (failed - 1))
        const lowest = { none: plain, full: 0, quarter: plain * 0.75 }[options.jitter]
        expect(wait).toBeGreaterThanOrEqual(lowest * (1 - 1e-9))
        expect(wait).toBeLessThanOrEqual(capMs)
        expect(wait).toBeLessThanOrEqual(plain * 1.25)
      }
      expect(policy.delayMs(attempts, () => drawn)).toBeUndefined()
      expect(policy.delayMs(attempts + 1, () => drawn)).toBeUndefined()
    }),
    { numRuns: 500 },
  )
})

test('without jitter waits never get shorter', () => {
  fc.assert(
    fc.property(numbers, (options) => {
      const policy = retryPolicy({ ...options, jitter: 'none' })
      let before = 0
      for (let failed = 1; failed < Math.min(options.attempts, 60); failed++) {
        const wait = policy.delayMs(failed, half)!
        expect(wait).toBeGreaterThanOrEqual(before)
        before = wait
      }
    }),
  )
})

const wrong: readonly [field: string, options: object][] = [
  ['attempts', { attempts: 0 }],
  ['attempts', { attempts: 1.5 }],
  ['attempts', { attempts: Number.POSITIVE_INFINITY }],
  ['firstDelayMs', { firstDelayMs: -1 }],
  ['firstDelayMs', { firstDelayMs: Number.NaN }],
  ['factor', { factor: 0.5 }],
  ['factor', { factor: '2' }],
  ['capMs', { capMs: Number.POSITIVE_INFINITY }],
  ['jitter', { jitter: 'some' }],
  ['delaysMs', { delaysMs: [1, -1] }],
  ['delaysMs', { delaysMs: 5 }],
  ['attempts', { delaysMs: [1], attempts: 3 }],
  ['capMs', { delaysMs: [1], capMs: 3 }],
  ['retries', { retries: 3 }],
]

test.each(wrong)('a wrong "%s" is refused by name', (field, options) => {
  let thrown: unknown
  try {
    retryPolicy(options)
  } catch (error) {
    thrown = error
  }
  expect(isBusError(thrown, 'INVALID_OPTION')).toBe(true)
  expect(isBusError(thrown) && thrown.details.field).toBe(field)
})

test('a preset that does not exist is refused with the names of those that do', () => {
  expect(() => retryPreset('none' as RetryPreset)).toThrow(/"zejzl", "zejzl-executor", "woodwork", "cortex"/)
})

test('every preset is a valid policy', () => {
  for (const options of Object.values(RETRY_PRESETS)) expect(retryPolicy(options).attempts).toBeGreaterThan(2)
})
