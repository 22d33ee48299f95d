import { expect, test } from 'vitest'
import type { Failure } from '../bus/ack.ts'
import { createBus } from '../bus/bus.ts'
import type { Context, Handler } from '../bus/handler.ts'
import { BusError } from '../kit/errors.ts'
import { type FakeEnv, fakeEnv } from '../testing/fake-env.ts'
import { retryPreset } from './retry.ts'
import { type RetryHandlerOptions, type RetryNotice, retry } from './retry-middleware.ts'
import { codeOf, collect, endOf, FAILING, partsOf, testContext, testMessage } from './rig.test-d.ts'
import { notRetryable, retryable } from './verdict.ts'

/** Fails `times` times, then answers; notes attempt and time of each call. */
function flaky(
  env: FakeEnv,
  times: number,
  error: unknown = new Error('x'),
): { handler: Handler; calls: [number, number][] } {
  const calls: [number, number][] = []
  const handler: Handler = (_, context) => {
    calls.push([context.attempt, env.monotonicMs()])
    if (calls.length <= times) throw error
    return 'ok'
  }
  return { handler, calls }
}

const exact: RetryHandlerOptions = { attempts: 4, jitter: 'none' }

test('a handler that fails twice is called a third time, with rising attempts, and its answer counts', async () => {
  const env = fakeEnv()
  const { handler, calls } = flaky(env, 2)
  const end = endOf(() => retry({ ...exact, env })(handler)(testMessage(env), testContext({ attempt: 5 })))
  await env.advance(10_000)
  expect(await end).toEqual({ value: 'ok' })
  expect(calls).toEqual([
    [5, 0],
    [6, 1_000],
    [7, 3_000],
  ])
  expect(env.timers).toBe(0)
})

test('[W9] [WN3] the waits of woodwork are counted from the failure: retries run 2, 6 and 14 s after the first attempt', async () => {
  const env = fakeEnv()
  const { handler, calls } = flaky(env, 9)
  await env.advance(10_000)
  const wrapped = retry({ ...retryPreset('woodwork'), env })(handler)
  const end = codeOf(() => wrapped(testMessage(env), testContext()))
  await env.advance(20_000)
  expect(await end).toBe('Error: x')
  expect(calls.map(([, at]) => at - 10_000)).toEqual([0, 2_000, 6_000, 14_000])
})

test('[C16] cortex tries, waits 5 s, tries, waits 15 s, tries, and fails', async () => {
  const env = fakeEnv()
  const { handler, calls } = flaky(env, 9)
  const end = codeOf(() =>
    retry({ ...retryPreset('cortex'), env })(handler)(testMessage(env), testContext({ remainingMs: 60_000 })),
  )
  await env.advance(60_000)
  expect(await end).toBe('Error: x')
  expect(calls.map(([, at]) => at)).toEqual([0, 5_000, 20_000])
})

test('[L35] always failing with 2 retries makes 3 calls, 10 and 20 ms apart', async () => {
  const env = fakeEnv()
  const { handler, calls } = flaky(env, 9)
  const wrapped = retry({ attempts: 3, firstDelayMs: 10, jitter: 'none', env })(handler)
  const end = codeOf(() => wrapped(testMessage(env), testContext()))
  await env.advance(1_000)
  expect(await end).toBe('Error: x')
  expect(calls.map(([, at]) => at)).toEqual([0, 10, 30])
})

test('[L36] a result with success = false is retried; the last one is the answer', async () => {
  const env = fakeEnv()
  let calls = 0
  const wrapped = retry({ ...exact, env })(() => ({ success: false, call: ++calls }))
  const end = endOf(() => wrapped(testMessage(env), testContext()))
  await env.advance(20_000)
  expect(await end).toEqual({ value: { success: false, call: 4 } })
})

test.each(['NO_RESPONDERS', 'SCHEMA_MISMATCH', 'INVALID_MESSAGE', 'CANCELLED', 'CIRCUIT_OPEN'] as const)(
  '[L36] [LN10] %s is not retried: the failure is told at once',
  async (code) => {
    const env = fakeEnv()
    const { handler, calls } = flaky(env, 9, new BusError(code, 'x'))
    expect(await codeOf(() => retry({ ...exact, env })(handler)(testMessage(env), testContext()))).toBe(code)
    expect([calls.length, env.monotonicMs(), env.timers]).toEqual([1, 0, 0])
  },
)

test('[L36] a predicate decides, and errors that mark themselves do', async () => {
  const env = fakeEnv()
  const cases: [RetryHandlerOptions, unknown, number][] = [
    [{ when: () => false }, new Error('x'), 1],
    [{ when: () => true }, new BusError('SCHEMA_MISMATCH', 'x'), 4],
    [{ when: () => undefined }, new Error('x'), 4],
    [{}, notRetryable(new Error('x')), 1],
    [{}, retryable(new BusError('NO_RESPONDERS', 'x')), 4],
  ]
  for (const [options, error, expected] of cases) {
    const { handler, calls } = flaky(env, 9, error)
    const end = endOf(() => retry({ ...exact, ...options, env })(handler)(testMessage(env), testContext()))
    await env.advance(20_000)
    expect(await end).toEqual({ error })
    expect(calls.length).toBe(expected)
  }
})

test('[Z27] after 5 attempts the fallback answers', async () => {
  const env = fakeEnv()
  const { handler, calls } = flaky(env, 9)
  const wrapped = retry({
    ...retryPreset('zejzl-executor'),
    env,
    fallback: (message, context, error) => `${String(message.data)} ${context.name} ${String(error)}`,
  })(handler)
  const end = endOf(() => wrapped(testMessage(env, 'data'), testContext()))
  await env.advance(60_000)
  expect(await end).toEqual({ value: 'data worker Error: x' })
  expect(calls.length).toBe(5)
})

test.each(Object.entries(FAILING))(
  'a handler that %s is retried, and its failure stays its own',
  async (_, handler) => {
    const env = fakeEnv()
    let calls = 0
    const wrapped = retry({ ...exact, env })((message, context) => {
      calls++
      return handler(message, context)
    })
    const end = endOf(() => wrapped(testMessage(env), testContext()))
    await env.advance(20_000)
    expect(await end).toHaveProperty('error')
    expect(calls).toBe(4)
  },
)

test('an abort ends the wait at once with the reason, and no attempt follows', async () => {
  const env = fakeEnv()
  const { handler, calls } = flaky(env, 9)
  const context = testContext()
  let fell = false
  const wrapped = retry({ ...exact, env, fallback: () => (fell = true) })(handler)
  const end = codeOf(() => wrapped(testMessage(env), context))
  await env.advance(500)
  context.controller.abort(new BusError('CANCELLED', 'gone'))
  expect(await end).toBe('CANCELLED')
  expect(env.timers).toBe(0)
  await env.advance(10_000)
  expect([calls.length, fell]).toEqual([1, false])
})

test('a handler that fails after its delivery was aborted is not called again', async () => {
  const env = fakeEnv()
  for (const attempts of [4, 1]) {
    const context = testContext()
    const told: string[] = []
    const onRetry = (): void => void told.push('retry')
    const fallback = (): void => void told.push('fallback')
    const wrapped = retry({ attempts, jitter: 'none', onRetry, fallback, env })(async () => {
      told.push('called')
      context.controller.abort(new BusError('HANDLER_TIMEOUT', 'late'))
      throw new Error('x')
    })
    const code = await codeOf(() => wrapped(testMessage(env), context))
    expect(code).toBe(attempts === 1 ? 'Error: x' : 'HANDLER_TIMEOUT')
    await env.advance(10_000)
    expect(told).toEqual(['called'])
  }
})

test('a wait that would outlast the time limit is not begun: the error itself is told, not a timeout', async () => {
  const env = fakeEnv()
  const { handler, calls } = flaky(env, 9)
  const end = await codeOf(() =>
    retry({ ...exact, env })(handler)(testMessage(env), testContext({ remainingMs: 1_000 })),
  )
  expect([end, calls.length, env.timers]).toEqual(['Error: x', 1, 0])
})

test('what an error asks to wait is waited, when it is longer than the policy would', async () => {
  const env = fakeEnv()
  const { handler, calls } = flaky(env, 1, new BusError('RATE_LIMITED', 'x', { details: { leftMs: 7_000 } }))
  const end = endOf(() => retry({ ...exact, env })(handler)(testMessage(env), testContext()))
  await env.advance(7_000)
  expect(await end).toEqual({ value: 'ok' })
  expect(calls[1]).toEqual([2, 7_000])
})

test('a message that its handler gave back is not retried inside the delivery', async () => {
  const env = fakeEnv()
  const context = testContext()
  let calls = 0
  const wrapped = retry({ ...exact, env, fallback: () => 'fell back' })((_, inner) => {
    calls++
    inner.nack({ delayMs: 5 })
    throw new Error('given back')
  })
  expect(await codeOf(() => wrapped(testMessage(env), context))).toBe('Error: given back')
  await env.advance(20_000)
  expect([calls, context.done]).toEqual([1, ['nack 5']])
})

test('each retry is announced before its wait, and a listener that throws costs nothing', async () => {
  const env = fakeEnv()
  const { handler } = flaky(env, 2)
  const notices: RetryNotice[] = []
  const onRetry = (notice: RetryNotice): void => {
    notices.push(notice)
    throw new Error('listener')
  }
  const message = testMessage(env)
  const end = endOf(() => retry({ ...exact, env, onRetry })(handler)(message, testContext()))
  await env.advance(10_000)
  expect(await end).toEqual({ value: 'ok' })
  expect(notices.map(({ attempt, delayMs }) => [attempt, delayMs])).toEqual([
    [1, 1_000],
    [2, 2_000],
  ])
  expect(notices[0]?.message).toBe(message)
})

test('a streamed answer passes through in the same turn and is not retried', async () => {
  const env = fakeEnv()
  let calls = 0
  const wrapped = retry({ ...exact, env })(() => {
    calls++
    return partsOf([1, 2], new Error('stream'))
  })
  const result = wrapped(testMessage(env), testContext())
  await expect(collect(result)).rejects.toThrow('stream')
  expect(calls).toBe(1)
})

test('everything else of the context reaches the handler and the bus', () => {
  const env = fakeEnv()
  const context = testContext({ name: 'pink', remainingMs: 77 })
  const seen: unknown[] = []
  const handler: Handler = (_, inner: Context) => {
    seen.push(inner.name, inner.remainingMs, inner.signal === context.signal, inner.reply('r'))
    inner.extend(9)
  }
  expect(retry({ env })(handler)(testMessage(env), context)).toBeUndefined()
  expect(seen).toEqual(['pink', 77, true, true])
  expect(context.done).toEqual(['reply r', 'extend 9'])
})

test('on a bus, order in a session holds across retries, and another session does not wait', async () => {
  const env = fakeEnv()
  const failures: Failure[] = []
  const bus = createBus({ env, onFailure: (failure) => void failures.push(failure) })
  const seen: string[] = []
  let failing = 2
  bus.subscribe(
    't',
    (message, context) => {
      if (message.data === 'a1' && failing-- > 0) throw new Error('x')
      seen.push(`${String(message.data)} ${context.attempt}`)
    },
    { middleware: [retry({ ...exact, env })] },
  )
  await bus.publish('t', 'a1', { session: 'a' })
  await bus.publish('t', 'a2', { session: 'a' })
  await bus.publish('t', 'b1', { session: 'b' })
  await env.settle()
  expect(seen).toEqual(['b1 1'])
  await env.advance(5_000)
  expect(seen).toEqual(['b1 1', 'a1 3', 'a2 1'])
  expect(failures).toEqual([])
  await bus.close()
})

test('on a bus, a handler that never resolves ends by its time limit, once', async () => {
  const env = fakeEnv()
  const failures: Failure[] = []
  const bus = createBus({ env, handlerTimeoutMs: 100, onFailure: (failure) => void failures.push(failure) })
  let calls = 0
  const hangs = (): Promise<unknown> => {
    calls++
    return new Promise(() => undefined)
  }
  bus.subscribe('t', hangs, { middleware: [retry({ ...exact, env })] })
  await bus.publish('t', 1)
  await env.advance(60_000)
  expect([calls, failures.map(({ reason }) => reason)]).toEqual([1, ['handler-timeout']])
  await bus.close()
})

test('a wrong option is refused by name', () => {
  expect(() => retry({ attempts: 0 })).toThrow(/"attempts" is 0; allowed: a whole number from 1 to 1000/)
  expect(() => retry({ when: true } as unknown as RetryHandlerOptions)).toThrow(
    /retry: "when" is true; allowed: a function/,
  )
  expect(() => retry({ env: {} } as unknown as RetryHandlerOptions)).toThrow(/"env"/)
})
