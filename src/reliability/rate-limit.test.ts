import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BusError, isBusError } from '../kit/errors.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { type RateLimitOptions, rateLimit } from './rate-limit.ts'
import { codeOf, collect, endOf, partsOf, testContext, testMessage } from './rig.test-d.ts'

test('a burst passes at once, then permits come at their rate, first come, first served', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 2, intervalMs: 1_000, burst: 3, env })
  const passed: [number, number][] = []
  for (let n = 0; n < 7; n++) void limit.take().then(() => passed.push([n, env.monotonicMs()]))
  await env.settle()
  expect(passed).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
  ])
  expect([limit.waiting, limit.available]).toEqual([4, 0])
  await env.advance(2_000)
  expect(passed.slice(3)).toEqual([
    [3, 500],
    [4, 1_000],
    [5, 1_500],
    [6, 2_000],
  ])
  expect([limit.waiting, env.timers]).toEqual([0, 0])
})

test('permits are saved up to the burst, not beyond', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 10, burst: 3, env })
  await env.advance(60_000)
  expect(limit.available).toBe(3)
  expect([1, 2, 3, 4].map(() => limit.tryTake())).toEqual([true, true, true, false])
})

test('under "refuse" a call without a permit is refused with the time until the next one', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 1, intervalMs: 1_000, mode: 'refuse', name: 'openai', env })
  await limit.take()
  await env.advance(400)
  const end = await endOf(() => limit.take())
  const error = (end as { error: unknown }).error
  expect(isBusError(error, 'RATE_LIMITED') && error.details).toEqual({ name: 'openai', leftMs: 600 })
  expect(limit.refused).toBe(1)
  await env.advance(600)
  await limit.take()
  expect(limit.available).toBe(0)
})

test('who would wait longer than maxWaitMs, or as one too many, is refused at once', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 1, intervalMs: 100, maxWaitMs: 250, env })
  const ends = [1, 2, 3, 4, 5].map(() => codeOf(() => limit.take()))
  await env.settle()
  expect([limit.waiting, limit.refused]).toEqual([2, 2])
  await env.advance(1_000)
  expect(await Promise.all(ends)).toEqual(['none', 'none', 'none', 'RATE_LIMITED', 'RATE_LIMITED'])
  const short = rateLimit({ permits: 1, maxWaiting: 1, env })
  const all = [1, 2, 3].map(() => codeOf(() => short.take()))
  await env.advance(5_000)
  expect(await Promise.all(all)).toEqual(['none', 'none', 'RATE_LIMITED'])
})

test('who gives up leaves the line, takes nothing, and those behind move up', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 1, intervalMs: 100, env })
  await limit.take()
  const controller = new AbortController()
  const left = codeOf(() => limit.take(1, { signal: controller.signal }))
  const passed: number[] = []
  void limit.take().then(() => passed.push(env.monotonicMs()))
  await env.advance(50)
  controller.abort(new BusError('CANCELLED', 'gone'))
  expect(await left).toBe('CANCELLED')
  await env.advance(100)
  expect([passed, limit.waiting, env.timers]).toEqual([[100], 0, 0])
  expect(await codeOf(() => limit.take(1, { signal: AbortSignal.abort(new BusError('CANCELLED', 'x')) }))).toBe(
    'CANCELLED',
  )
})

test('the last one who gives up takes the timer along', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 1, env })
  await limit.take()
  const controller = new AbortController()
  const left = codeOf(() => limit.take(1, { signal: controller.signal }))
  await env.settle()
  expect(env.timers).toBe(1)
  controller.abort()
  expect(await left).toContain('AbortError')
  expect(env.timers).toBe(0)
})

test('a small wish does not overtake a large one that waits', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 10, intervalMs: 1_000, env })
  await limit.take(8)
  const order: string[] = []
  void limit.take(5).then(() => order.push('large'))
  void limit.take(1).then(() => order.push('small'))
  await env.settle()
  expect([limit.tryTake(), order]).toEqual([false, []])
  await env.advance(300)
  expect(order).toEqual(['large'])
  await env.advance(100)
  expect(order).toEqual(['large', 'small'])
})

test('call takes a permit and then calls; without a permit it does not call', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 1, mode: 'refuse', env })
  expect(await limit.call(() => 'ok')).toBe('ok')
  let called = false
  expect(await codeOf(() => limit.call(() => (called = true)))).toBe('RATE_LIMITED')
  expect(called).toBe(false)
})

test('around a handler, a permit lets it run in the same turn, and no permit makes it wait', async () => {
  const env = fakeEnv()
  const wrapped = rateLimit({ permits: 1, intervalMs: 100, env }).middleware((message) => message.data)
  expect(wrapped(testMessage(env, 'first'), testContext())).toBe('first')
  const second = wrapped(testMessage(env, 'second'), testContext())
  expect(second).toBeInstanceOf(Promise)
  await env.advance(100)
  expect(await second).toBe('second')
})

test('around a handler, a refusal says that the handler did not begin', async () => {
  const env = fakeEnv()
  const limit = rateLimit({ permits: 1, intervalMs: 60_000, maxWaitMs: 120_000, env })
  const wrapped = limit.middleware(() => 'ok')
  wrapped(testMessage(env), testContext())
  const end = await endOf(() => wrapped(testMessage(env), testContext({ remainingMs: 30_000 })))
  const error = (end as { error: unknown }).error
  expect(isBusError(error, 'RATE_LIMITED') && error.details).toMatchObject({ leftMs: 60_000, started: false })
  expect(limit.waiting).toBe(0)
})

test('around a handler, an abort ends the wait and the handler does not run', async () => {
  const env = fakeEnv()
  let calls = 0
  const wrapped = rateLimit({ permits: 1, env }).middleware(() => void calls++)
  wrapped(testMessage(env), testContext())
  const context = testContext()
  const end = codeOf(() => wrapped(testMessage(env), context))
  context.controller.abort(new BusError('CANCELLED', 'x'))
  expect(await end).toBe('CANCELLED')
  await env.advance(10_000)
  expect(calls).toBe(1)
})

test('a streamed answer passes through', async () => {
  const env = fakeEnv()
  const wrapped = rateLimit({ permits: 1, env }).middleware(() => partsOf([1, 2]))
  expect(await collect(wrapped(testMessage(env), testContext()))).toEqual([1, 2])
})

const wrong: readonly [field: string, options: object][] = [
  ['permits', {}],
  ['permits', { permits: 0 }],
  ['intervalMs', { permits: 1, intervalMs: 0 }],
  ['burst', { permits: 1, burst: 0 }],
  ['mode', { permits: 1, mode: 'drop' }],
  ['maxWaitMs', { permits: 1, maxWaitMs: -1 }],
  ['maxWaiting', { permits: 1, maxWaiting: -1 }],
  ['rate', { permits: 1, rate: 5 }],
]

test.each(wrong)('a wrong "%s" is refused by name', (field, options) => {
  const end = ((): unknown => {
    try {
      return rateLimit(options as RateLimitOptions)
    } catch (error) {
      return error
    }
  })()
  expect(isBusError(end, 'INVALID_OPTION') && end.details.field).toBe(field)
})

test('a wish that can never be met is refused instead of waiting for ever', async () => {
  const limit = rateLimit({ permits: 5, burst: 2, env: fakeEnv() })
  expect(await codeOf(() => limit.take(3))).toBe('INVALID_OPTION')
  expect(() => limit.tryTake(0)).toThrow(/a whole number from 1 to 2/)
})

const wishes = fc.array(
  fc.record({ gapMs: fc.constantFrom(0, 0.1, 1, 7, 33.3, 250), count: fc.integer({ min: 1, max: 3 }) }),
  {
    minLength: 1,
    maxLength: 25,
  },
)

test('in any time t at most burst + t × rate permits are given, in the order in which they were asked for, and none is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      wishes,
      fc.integer({ min: 1, max: 50 }),
      fc.constantFrom(3, 10, 1_000 / 3, 1_000),
      async (list, permits, intervalMs) => {
        const env = fakeEnv()
        const burst = 3
        const limit = rateLimit({ permits, intervalMs, burst, maxWaitMs: 1e9, env })
        const given: { n: number; count: number; atMs: number }[] = []
        for (const [n, { gapMs, count }] of list.entries()) {
          await env.advance(gapMs)
          void limit.take(count).then(() => given.push({ n, count, atMs: env.monotonicMs() }))
        }
        const total = list.reduce((sum, { count }) => sum + count, 0)
        await env.advance((total / permits) * intervalMs + 10)
        expect(given.map(({ n }) => n)).toEqual(list.map((_, n) => n))
        for (let from = 0; from < given.length; from++) {
          let sum = 0
          for (let to = from; to < given.length; to++) {
            sum += given[to]!.count
            const t = given[to]!.atMs - given[from]!.atMs
            expect(sum).toBeLessThanOrEqual(burst + (t * permits) / intervalMs + 1e-3)
          }
        }
        expect(env.timers).toBe(0)
      },
    ),
    { numRuns: 40 },
  )
})
