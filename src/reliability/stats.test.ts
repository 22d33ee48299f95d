import { expect, test } from 'vitest'
import { createBus } from '../bus/bus.ts'
import type { Handler } from '../bus/handler.ts'
import { BusError } from '../kit/errors.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { collect, endOf, FAILING, partsOf, testContext, testMessage } from './rig.test-d.ts'
import { handlerStats } from './stats.ts'

test('[L41] failures are counted by session and handler, with rate and last failure', async () => {
  const env = fakeEnv()
  const stats = handlerStats({ env })
  const run = async (ok: boolean, session: string): Promise<void> => {
    const handler: Handler = () => {
      if (!ok) throw new Error('x')
    }
    await endOf(() => stats.middleware(handler)(testMessage(env, 1, session), testContext({ name: 'cmd' })))
  }
  for (const ok of [true, false, true, false, false]) await run(ok, 's1')
  await run(true, 's2')
  expect(stats.get('cmd', 's1')).toEqual({
    name: 'cmd',
    session: 's1',
    failureCount: 3,
    consecutiveFailures: 2,
    totalExecutions: 5,
    failureRate: 0.6,
    lastFailure: { text: 'Error: x', time: env.wallMs() },
  })
  expect(stats.get('cmd', 's2')).toMatchObject({ failureCount: 0, failureRate: 0, totalExecutions: 1 })
  await run(true, 's1')
  expect(stats.get('cmd', 's1')).toMatchObject({ consecutiveFailures: 0, failureCount: 3, failureRate: 0.5 })
})

test('[L41] the figures are forgotten with the session, also those of a handler that still runs', async () => {
  const env = fakeEnv()
  const stats = handlerStats({ env })
  let finish = (): void => undefined
  const wrapped = stats.middleware(() => new Promise<void>((resolve) => (finish = resolve)))
  const end = wrapped(testMessage(env, 1, 's1'), testContext())
  stats.middleware(() => 1)(testMessage(env, 1, 's2'), testContext())
  expect([stats.size, stats.list('s1').length]).toEqual([2, 1])
  expect([stats.forget('s1'), stats.forget('s1')]).toEqual([1, 0])
  finish()
  await end
  expect(stats.list().map(({ session }) => session)).toEqual(['s2'])
})

test('a session named like none is not the messages without a session', () => {
  const env = fakeEnv()
  const stats = handlerStats({ env })
  const wrapped = stats.middleware(() => 1)
  wrapped(testMessage(env), testContext({ name: 'a' }))
  wrapped(testMessage(env, 1, 'null'), testContext({ name: 'a' }))
  wrapped(testMessage(env, 1, 'b"]'), testContext({ name: 'a' }))
  expect([stats.size, stats.forget('null'), stats.get('a')?.totalExecutions]).toEqual([3, 1, 1])
})

test('what is remembered is bounded: the longest unused goes first', () => {
  const env = fakeEnv()
  const stats = handlerStats({ limit: 3, env })
  const run = (session: string): unknown => stats.middleware(() => 1)(testMessage(env, 1, session), testContext())
  for (const session of ['a', 'b', 'c', 'b', 'd']) run(session)
  expect(stats.list().map(({ session }) => session)).toEqual(['c', 'b', 'd'])
  expect(stats.get('worker', 'b')?.totalExecutions).toBe(2)
  expect(() => handlerStats({ limit: 0 })).toThrow(/"limit" is 0/)
})

test.each(Object.entries(FAILING))('a handler that %s counts as one failure', async (_, handler) => {
  const env = fakeEnv()
  const stats = handlerStats({ env })
  await endOf(() => stats.middleware(handler)(testMessage(env), testContext()))
  expect(stats.get('worker')).toMatchObject({ failureCount: 1, totalExecutions: 1, failureRate: 1 })
  expect(stats.get('worker')?.lastFailure?.text.length).toBeGreaterThan(0)
})

test('an abort, a nack and a result with success = false are failures; nobody reading on is not', async () => {
  const env = fakeEnv()
  const stats = handlerStats({ env })
  const run = (name: string, handler: Handler, context = testContext({ name })): unknown =>
    stats.middleware(handler)(testMessage(env), context)
  const context = testContext({ name: 'aborted' })
  void run('aborted', () => new Promise(() => undefined), context)
  expect(stats.get('aborted')?.totalExecutions).toBe(0)
  context.controller.abort(new BusError('HANDLER_TIMEOUT', 'too slow'))
  run('nacked', (_, inner) => inner.nack())
  run('failed', () => ({ success: false }))
  for await (const _ of run('left', () => partsOf([1, 2])) as AsyncIterable<unknown>) break
  await collect(run('read', () => partsOf([1, 2])))
  const failures = ['aborted', 'nacked', 'failed', 'left', 'read'].map((name) => stats.get(name)?.failureCount)
  expect(failures).toEqual([1, 1, 1, 0, 0])
  expect(stats.get('aborted')?.lastFailure?.text).toBe('BusError: too slow')
})

test('a long error text is cut', async () => {
  const env = fakeEnv()
  const stats = handlerStats({ env })
  await endOf(() =>
    stats.middleware(() => Promise.reject(new Error('x'.repeat(100_000))))(testMessage(env), testContext()),
  )
  expect(stats.get('worker')?.lastFailure?.text.length).toBe(500)
})

test('on a bus, figures appear under the names of the subscriptions', async () => {
  const env = fakeEnv()
  const stats = handlerStats({ env })
  const bus = createBus({ env })
  bus.use(stats.middleware)
  const fails = (): never => {
    throw new Error('x')
  }
  bus.subscribe('t', fails, { name: 'bad' })
  bus.subscribe('t', () => 1, { name: 'good' })
  await bus.publish('t', 1, { session: 's' })
  await env.settle()
  expect(stats.list('s').map(({ name, failureRate }) => [name, failureRate])).toEqual([
    ['bad', 1],
    ['good', 0],
  ])
  await bus.close()
})
