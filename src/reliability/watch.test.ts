import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import type { Handler } from '../bus/handler.ts'
import { BusError } from '../kit/errors.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { bulkhead } from './bulkhead.ts'
import { idempotent } from './dedup.ts'
import { pause } from './pause.ts'
import { rateLimit } from './rate-limit.ts'
import { codeOf, collect, partsOf, type TestContext, testContext, testMessage } from './rig.test-d.ts'
import { timeout } from './timeout.ts'
import { type Ended, watch } from './watch.ts'

const listeners = (context: TestContext): number => getEventListeners(context.signal, 'abort').length

/** Watches one call; what was told is added to the list. */
function watched(handler: Handler, context = testContext()): { context: TestContext; told: Ended[]; result: unknown } {
  const told: Ended[] = []
  const result = watch(handler, testMessage(fakeEnv()), context, (how) => void told.push(how))
  return { context, told, result }
}

test('a handling that ended leaves no listener at the signal of its delivery', async () => {
  const { context, told, result } = watched(async () => 'ok')
  expect(listeners(context)).toBe(1)
  expect([await result, listeners(context), told]).toEqual(['ok', 0, [{ type: 'done', value: 'ok' }]])
  const stream = watched(() => partsOf([1]))
  expect(listeners(stream.context)).toBe(1)
  await collect(stream.result)
  expect(listeners(stream.context)).toBe(0)
})

test('a handler that returns at once needs no signal at all', () => {
  const context = testContext()
  Object.defineProperty(context, 'signal', {
    get() {
      throw new Error('made for nothing')
    },
  })
  expect(watched(() => 'ok', context).result).toBe('ok')
})

test('a handling whose delivery was aborted before its handler returned has ended', () => {
  const context = testContext()
  const reason = new BusError('CANCELLED', 'x')
  const { told } = watched(() => {
    context.controller.abort(reason)
    return new Promise(() => undefined)
  }, context)
  expect(told).toEqual([{ type: 'failed', error: reason }])
})

test('the end is told once, whatever comes after an abort', async () => {
  const context = testContext()
  let fail = (_: Error): void => undefined
  const { told, result } = watched(() => new Promise((_, reject) => (fail = reject)), context)
  context.controller.abort(new BusError('CANCELLED', 'x'))
  fail(new Error('late'))
  expect(await codeOf(() => result)).toBe('Error: late')
  expect(told.length).toBe(1)
})

test('every wait takes its listener along when it ends', async () => {
  const env = fakeEnv()
  const context = testContext()
  const { signal } = context
  const limit = rateLimit({ permits: 1, intervalMs: 10, env })
  const hold = bulkhead({ maxConcurrent: 1 })
  let finish = (): void => undefined
  void hold.call(() => new Promise<void>((resolve) => (finish = resolve)))
  await limit.take()
  const slow = (): Promise<void> => new Promise((resolve) => env.after(5, resolve))
  const once = idempotent({ scope: 's', key: () => 'same', env })(slow)
  const ends = [
    pause(env, 10, signal),
    limit.take(1, { signal }),
    hold.call(() => 1, { signal }),
    timeout(50, { env })(async (_, inner) => {
      inner.signal.throwIfAborted()
      await slow()
    })(testMessage(env), context),
    once(testMessage(env), context),
    once(testMessage(env), context),
  ]
  await env.settle()
  expect(listeners(context)).toBeGreaterThanOrEqual(5)
  finish()
  await env.advance(20)
  await Promise.all(ends)
  expect([listeners(context), env.timers]).toEqual([0, 0])
})
