import { expect, test } from 'vitest'
import { testBus } from './test-bus.ts'

test('time stands still on a test bus until it is moved', async () => {
  await using one = testBus({ wallMs: 1_000_000 })
  one.bus.subscribe('slow', () => new Promise(() => undefined))
  const request = one.bus.request('slow', 1, { timeoutMs: 20_000 }).catch((error: unknown) => error)
  await new Promise<void>((resolve) => setTimeout(resolve, 10))
  expect(one.env.monotonicMs()).toBe(0)
  await one.env.advance(20_100)
  expect(await request).toMatchObject({ code: 'REQUEST_TIMEOUT' })
  expect(one.bus.history()[0]?.time).toBe(1_000_000)
})

test('the same seed gives the same ids', async () => {
  const run = async (seed: number): Promise<string[]> => {
    await using one = testBus({ seed })
    return [(await one.bus.publish('a', 1)).id, (await one.bus.publish('b', 2)).id]
  }
  expect(await run(4)).toEqual(await run(4))
  expect(await run(4)).not.toEqual(await run(5))
})

test('its disposal ends a bus whose handler never returns, without waiting in real time', async () => {
  const one = testBus()
  one.bus.subscribe('t', () => new Promise(() => undefined))
  await one.bus.publish('t', 1)
  await one.env.settle()
  const startedMs = performance.now()
  await one[Symbol.asyncDispose]()
  expect(performance.now() - startedMs).toBeLessThan(3_000)
  expect(one.bus.failures().map(({ reason }) => reason)).toEqual(['shutdown'])
  await expect(one.bus.publish('t', 1)).rejects.toMatchObject({ code: 'BUS_CLOSED' })
  expect(one.env.timers).toBe(0)
})

test('it takes the options of a bus, and refuses wrong ones', async () => {
  await using one = testBus({ name: 'mine', historyData: true })
  await one.bus.publish('t', { a: 1 })
  expect(one.bus.history()[0]).toMatchObject({ data: { a: 1 } })
  expect(() => testBus({ maxHops: 0 })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})
