import { expect, test } from 'vitest'
import { createBus } from '../bus/bus.ts'
import type { Context } from '../bus/handler.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { retry } from './retry-middleware.ts'
import { codeOf, collect, endOf, FAILING, partsOf, testContext, testMessage } from './rig.test-d.ts'
import { timeout } from './timeout.ts'

const never = (): Promise<unknown> => new Promise(() => undefined)

test('a handler that never resolves fails with HANDLER_TIMEOUT at its limit, not before', async () => {
  const env = fakeEnv()
  let error: unknown
  const end = endOf(() => timeout(100, { env })(never)(testMessage(env), testContext())).then((came) => {
    error = (came as { error: unknown }).error
  })
  await env.advance(99)
  expect(error).toBeUndefined()
  await env.advance(1)
  await end
  expect(isBusError(error, 'HANDLER_TIMEOUT') && error.details).toEqual({ name: 'worker', limitMs: 100 })
  expect(env.timers).toBe(0)
})

test('the signal of the handler is aborted at the limit with the same error', async () => {
  const env = fakeEnv()
  let signal: AbortSignal | undefined
  const handler = (_: unknown, context: Context): Promise<unknown> => {
    signal = context.signal
    return never()
  }
  const context = testContext()
  const end = codeOf(() => timeout(100, { env })(handler)(testMessage(env), context))
  expect(signal?.aborted).toBe(false)
  await env.advance(100)
  expect(await end).toBe('HANDLER_TIMEOUT')
  expect([isBusError(signal?.reason, 'HANDLER_TIMEOUT'), context.signal.aborted]).toEqual([true, false])
})

test('the signal of the handler follows the outer one with its reason', async () => {
  const env = fakeEnv()
  const context = testContext()
  let signal: AbortSignal | undefined
  const handler = (_: unknown, inner: Context): Promise<unknown> => {
    signal = inner.signal
    return new Promise((_, reject) => inner.signal.addEventListener('abort', () => reject(inner.signal.reason)))
  }
  const end = codeOf(() => timeout(100, { env })(handler)(testMessage(env), context))
  context.controller.abort(new BusError('CANCELLED', 'x'))
  expect(await end).toBe('CANCELLED')
  expect([isBusError(signal?.reason, 'CANCELLED'), env.timers]).toEqual([true, 0])
})

test('a handler that asks for its signal after the limit finds it aborted', async () => {
  const env = fakeEnv()
  let inner: Context | undefined
  const handler = (_: unknown, given: Context): Promise<unknown> => {
    inner = given
    return never()
  }
  const end = codeOf(() => timeout(100, { env })(handler)(testMessage(env), testContext()))
  await env.advance(100)
  expect(await end).toBe('HANDLER_TIMEOUT')
  expect([inner?.signal.aborted, isBusError(inner?.signal.reason, 'HANDLER_TIMEOUT'), inner?.remainingMs]).toEqual([
    true,
    true,
    0,
  ])
})

test('a handler that ends in time leaves no timer, and one that returns at once never has one', async () => {
  const env = fakeEnv()
  const wrapped = timeout(100, { env })((message) => (message.data === 1 ? 'sync' : Promise.resolve('async')))
  expect(wrapped(testMessage(env, 1), testContext())).toBe('sync')
  const end = wrapped(testMessage(env, 2), testContext())
  expect(env.timers).toBe(1)
  expect([await end, env.timers]).toEqual(['async', 0])
})

test.each(Object.entries(FAILING))(
  'a handler that %s fails with its own error and leaves no timer',
  async (_, handler) => {
    const env = fakeEnv()
    const end = await endOf(() => timeout(100, { env })(handler)(testMessage(env), testContext()))
    expect(end).toHaveProperty('error')
    expect(isBusError((end as { error: unknown }).error)).toBe(false)
    expect(env.timers).toBe(0)
  },
)

test('a thenable that never calls back is timed out too', async () => {
  const env = fakeEnv()
  // biome-ignore lint/suspicious/noThenProperty: this is the poison.
  const end = codeOf(() => timeout(100, { env })(() => ({ then: () => undefined }))(testMessage(env), testContext()))
  await env.advance(100)
  expect(await end).toBe('HANDLER_TIMEOUT')
})

test('extend starts the limit anew, and the time left is the smaller of both limits', async () => {
  const env = fakeEnv()
  const context = testContext({ remainingMs: 150 })
  let inner: Context | undefined
  const handler = (_: unknown, given: Context): Promise<unknown> => {
    inner = given
    return never()
  }
  const end = codeOf(() => timeout(100, { env })(handler)(testMessage(env), context))
  await env.advance(90)
  expect(inner?.remainingMs).toBe(10)
  inner?.extend(200)
  expect([inner?.remainingMs, context.done]).toEqual([150, ['extend 200']])
  await env.advance(199)
  expect(env.timers).toBe(1)
  await env.advance(1)
  expect(await end).toBe('HANDLER_TIMEOUT')
})

test('inside retry, each attempt has the limit for itself', async () => {
  const env = fakeEnv()
  let calls = 0
  const handler = (): unknown => (++calls < 3 ? never() : 'ok')
  const wrapped = retry({ firstDelayMs: 10, jitter: 'none', env })(timeout(100, { env })(handler))
  const end = endOf(() => wrapped(testMessage(env), testContext()))
  await env.advance(1_000)
  expect([await end, calls]).toEqual([{ value: 'ok' }, 3])
})

test('a stream has the limit as a whole', async () => {
  const env = fakeEnv()
  const run = (parts: AsyncIterable<unknown>): unknown =>
    timeout(100, { env })(() => parts)(testMessage(env), testContext())
  expect(await collect(run(partsOf([1, 2])))).toEqual([1, 2])
  expect(env.timers).toBe(0)
  await expect(collect(run(partsOf([1], new Error('cut'))))).rejects.toThrow('cut')
  let cleaned = false
  async function* slow(): AsyncGenerator<number> {
    try {
      yield 1
      await new Promise<void>((resolve) => env.after(500, resolve))
      yield 2
    } finally {
      cleaned = true
    }
  }
  const end = codeOf(() => collect(run(slow())))
  await env.advance(100)
  expect(await end).toBe('HANDLER_TIMEOUT')
  await env.advance(500)
  expect([cleaned, env.timers]).toEqual([true, 0])
})

test('a reader that is too slow meets the limit at its next step; one that stops reading ends it', async () => {
  const env = fakeEnv()
  const run = (): AsyncIterator<unknown> => {
    const parts = timeout(100, { env })(() => partsOf([1, 2, 3]))(testMessage(env), testContext())
    return (parts as AsyncIterable<unknown>)[Symbol.asyncIterator]()
  }
  const slow = run()
  await slow.next()
  await env.advance(200)
  expect(await codeOf(() => slow.next())).toBe('HANDLER_TIMEOUT')
  const left = run()
  await left.next()
  expect(env.timers).toBe(1)
  await left.return?.()
  expect(env.timers).toBe(0)
})

test('on a bus, the failure of the delivery is HANDLER_TIMEOUT, and what comes late counts for nothing', async () => {
  const env = fakeEnv()
  const errors: unknown[] = []
  const bus = createBus({ env, onFailure: ({ error }) => void errors.push(error) })
  const late = (): Promise<string> => new Promise((resolve) => env.after(500, () => resolve('late')))
  bus.subscribe('t', late, { middleware: [timeout(100, { env })] })
  const reply = codeOf(() => bus.request('t', 1, { timeoutMs: 5_000 }))
  await env.advance(1_000)
  expect(await reply).toBe('HANDLER_TIMEOUT')
  expect(errors.map((error) => isBusError(error, 'HANDLER_TIMEOUT'))).toEqual([true])
  await bus.close()
})

test('a wrong limit is refused by name', () => {
  expect(() => timeout(0)).toThrow(/timeout: "limitMs" is 0; allowed: milliseconds ≥ 1/)
  expect(() => timeout(100, { env: 1 } as never)).toThrow(/"env"/)
})
