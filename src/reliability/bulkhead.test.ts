import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BusError, isBusError } from '../kit/errors.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { type BulkheadOptions, bulkhead } from './bulkhead.ts'
import { codeOf, collect, endOf, FAILING, partsOf, testContext, testMessage } from './rig.test-d.ts'

/** Calls that end when they are told to, in the order in which they began. */
function gate(): { run: () => Promise<string>; open: () => void; begun: number } {
  const waiting: (() => void)[] = []
  return {
    begun: 0,
    run() {
      this.begun++
      return new Promise((resolve) => waiting.push(() => resolve('ok')))
    },
    open: () => waiting.shift()?.(),
  }
}

test('at most maxConcurrent calls run, maxWaiting wait in line, and one more is refused', async () => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 2, maxWaiting: 1, name: 'tools' })
  const doors = gate()
  const ends = [1, 2, 3].map(() => hold.call(() => doors.run()))
  await env.settle()
  const refused = await endOf(() => hold.call(() => doors.run()))
  const error = (refused as { error: unknown }).error
  expect(isBusError(error, 'BULKHEAD_FULL') && error.details).toEqual({ name: 'tools', running: 2, waiting: 1 })
  expect([doors.begun, hold.running, hold.waiting, hold.refused]).toEqual([2, 2, 1, 1])
  doors.open()
  await env.settle()
  expect([doors.begun, hold.running, hold.waiting]).toEqual([3, 2, 0])
  doors.open()
  doors.open()
  expect(await Promise.all(ends)).toEqual(['ok', 'ok', 'ok'])
  expect(hold.running).toBe(0)
})

test('with maxWaiting 0 nobody waits', async () => {
  const hold = bulkhead({ maxConcurrent: 1, maxWaiting: 0 })
  const doors = gate()
  const first = hold.call(() => doors.run())
  expect(await codeOf(() => hold.call(() => 1))).toBe('BULKHEAD_FULL')
  doors.open()
  expect(await first).toBe('ok')
})

test('a new call does not overtake those that wait', async () => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 1 })
  const doors = gate()
  const order: number[] = []
  const ends = [1, 2].map((n) =>
    hold
      .call(() => {
        order.push(n)
        return doors.run()
      })
      .then(() => hold.call(() => order.push(n * 10))),
  )
  await env.settle()
  doors.open()
  await env.settle()
  expect(order).toEqual([1, 2])
  doors.open()
  await Promise.all(ends)
  expect(order).toEqual([1, 2, 10, 20])
})

test('who gives up leaves the line and takes no place', async () => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 1 })
  const doors = gate()
  const first = hold.call(() => doors.run())
  const controller = new AbortController()
  const left = codeOf(() => hold.call(() => doors.run(), { signal: controller.signal }))
  await env.settle()
  controller.abort(new BusError('CANCELLED', 'x'))
  expect([await left, hold.waiting]).toEqual(['CANCELLED', 0])
  doors.open()
  await first
  expect([doors.begun, hold.running]).toEqual([1, 0])
})

test('who gives up in the moment in which the place is given, gives it on', async () => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 1 })
  const begun: unknown[] = []
  const wrapped = hold.middleware((message) => {
    begun.push(message.data)
    return new Promise(() => undefined)
  })
  const [first, second] = [testContext(), testContext()]
  void wrapped(testMessage(env, 'first'), first)
  const end = codeOf(() => wrapped(testMessage(env, 'second'), second))
  const call = codeOf(() => hold.call(() => begun.push('call'), { signal: second.signal }))
  const third = hold.call(() => begun.push('third'))
  await env.settle()
  first.controller.abort(new BusError('HANDLER_TIMEOUT', 'x'))
  second.controller.abort(new BusError('CANCELLED', 'x'))
  expect([await end, await call, await third]).toEqual(['CANCELLED', 'CANCELLED', 2])
  expect([begun, hold.running]).toEqual([['first', 'third'], 0])
})

test.each(Object.entries(FAILING))('a handler that %s gives its place back once', async (_, handler) => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 1 })
  const wrapped = hold.middleware(handler)
  for (let n = 0; n < 3; n++)
    expect(await endOf(() => wrapped(testMessage(env), testContext()))).toHaveProperty('error')
  expect([hold.running, hold.waiting]).toEqual([0, 0])
})

test('[I17] a handler that never resolves gives its place back when its delivery is aborted', async () => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 1 })
  const wrapped = hold.middleware((message) => (message.data === 'hangs' ? new Promise(() => undefined) : 'ok'))
  const context = testContext()
  void wrapped(testMessage(env, 'hangs'), context)
  const second = wrapped(testMessage(env), testContext())
  await env.settle()
  expect([hold.running, hold.waiting]).toEqual([1, 1])
  context.controller.abort(new BusError('HANDLER_TIMEOUT', 'x'))
  expect([await second, hold.running]).toEqual(['ok', 0])
})

test('around a handler, a refusal says that the handler did not begin', async () => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 1, maxWaiting: 0 })
  const wrapped = hold.middleware(() => new Promise(() => undefined))
  void wrapped(testMessage(env), testContext())
  const end = await endOf(() => wrapped(testMessage(env), testContext()))
  const error = (end as { error: unknown }).error
  expect(isBusError(error, 'BULKHEAD_FULL') && error.details.started).toBe(false)
})

test('around a handler, an abort while it waits keeps the handler from running', async () => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 1 })
  const doors = gate()
  const wrapped = hold.middleware(() => doors.run())
  const first = wrapped(testMessage(env), testContext())
  const context = testContext()
  const second = codeOf(() => wrapped(testMessage(env), context))
  context.controller.abort(new BusError('CANCELLED', 'x'))
  expect(await second).toBe('CANCELLED')
  doors.open()
  await first
  expect([doors.begun, hold.running, hold.waiting]).toEqual([1, 0, 0])
})

test('a stream holds its place until its last part', async () => {
  const env = fakeEnv()
  const hold = bulkhead({ maxConcurrent: 1 })
  const result = hold.middleware(() => partsOf([1, 2]))(testMessage(env), testContext())
  expect(hold.running).toBe(1)
  expect(await collect(result)).toEqual([1, 2])
  expect(hold.running).toBe(0)
})

test('a wrong option is refused by name', () => {
  expect(() => bulkhead({} as BulkheadOptions)).toThrow(/"maxConcurrent" is undefined; allowed: a whole number ≥ 1/)
  expect(() => bulkhead({ maxConcurrent: 1, maxWaiting: -1 })).toThrow(/"maxWaiting" is -1/)
})

test('whatever comes and goes, no more run than allowed, and every place comes back', async () => {
  const steps = fc.array(fc.constantFrom('call', 'abort', 'end'), { maxLength: 80 })
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 4 }),
      async (list, maxConcurrent, maxWaiting) => {
        const env = fakeEnv()
        const hold = bulkhead({ maxConcurrent, maxWaiting })
        const controllers: AbortController[] = []
        const running: (() => void)[] = []
        const ends: Promise<unknown>[] = []
        for (const step of list) {
          if (step === 'end') running.shift()?.()
          else if (step === 'abort') controllers.shift()?.abort()
          else {
            const controller = new AbortController()
            controllers.push(controller)
            const run = (): Promise<void> => new Promise((resolve) => running.push(resolve))
            ends.push(endOf(() => hold.call(run, { signal: controller.signal })))
          }
          await Promise.resolve()
          expect(running.length).toBeLessThanOrEqual(maxConcurrent)
          expect(hold.waiting).toBeLessThanOrEqual(maxWaiting)
        }
        while (hold.running > 0) {
          running.shift()?.()
          await env.settle()
        }
        expect((await Promise.all(ends)).length).toBe(list.filter((step) => step === 'call').length)
        expect([hold.running, hold.waiting]).toEqual([0, 0])
      },
    ),
    { numRuns: 50 },
  )
})
