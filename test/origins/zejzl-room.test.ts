import { expect, test } from 'vitest'
import { createBus } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { errorOf, faultOf, LATE_MS, numbered, sendLevels, takeAll, watched } from './support/zejzl.ts'

test('[Z12] the limit counts running handlers, and the figures tell acquired, released, active, waits and limit', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, maxHandlers: 1 })
  const finish: (() => void)[] = []
  const handler = (): Promise<void> => new Promise((resolve) => void finish.push(resolve))
  for (const name of ['a', 'b', 'c']) bus.register(name, { handler })
  for (const name of ['a', 'b', 'c']) await bus.send(name, 1)
  await env.settle()
  const figures = (): unknown => bus.stats().concurrency
  expect(figures()).toEqual({ limit: 1, active: 1, acquired: 1, released: 0, waits: 2, totalWaitMs: 0, avgWaitMs: 0 })
  await env.advance(100)
  finish.shift()?.()
  await env.settle()
  expect(figures()).toMatchObject({ active: 1, acquired: 2, released: 1 })
  await env.advance(50)
  finish.shift()?.()
  await env.settle()
  finish.shift()?.()
  await env.settle()
  // One waited 100 ms for its place, the other 150 ms.
  expect(figures()).toEqual({
    limit: 1,
    active: 0,
    acquired: 3,
    released: 3,
    waits: 2,
    totalWaitMs: 250,
    avgWaitMs: 125,
  })
})

test('[Z12] 1 000 handlers run at once and no more, over all agents together; idle waiting takes no place', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  expect(bus.stats().concurrency).toMatchObject({ limit: 1_000, active: 0 })
  for (const name of numbered('idle', 1_500)) void watched(bus.register(name).receive())
  let running = 0
  let most = 0
  let done = 0
  const handler = async (): Promise<void> => {
    most = Math.max(most, ++running)
    await new Promise<void>((resolve) => void env.after(10, resolve))
    running--
    done++
  }
  for (const name of numbered('busy', 30)) {
    bus.register(name, { handler, concurrency: 100 })
    for (let n = 0; n < 100; n++) await bus.send(name, n)
  }
  await env.settle()
  expect([running, bus.stats().concurrency.active]).toEqual([1_000, 1_000])
  await env.advance(100)
  expect([most, done]).toEqual([1_000, 3_000])
  expect(bus.stats().concurrency).toMatchObject({ active: 0, acquired: 3_000, released: 3_000 })
})

test('[Z12] a handler that waits for an answer takes no place meanwhile', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, maxHandlers: 1 })
  bus.register('c', { handler: async () => 'c' })
  bus.register('b', {
    handler: async (_message, { bus: inner }) => `b ${(await inner.request<string>('agent.c', 1)).data}`,
  })
  bus.register('a', {
    handler: async (_message, { bus: inner }) => `a ${(await inner.request<string>('agent.b', 1)).data}`,
  })
  const asked = watched(bus.request('agent.a', 1))
  await env.settle()
  expect(asked.value?.data).toBe('a b c')
  expect(bus.stats().concurrency).toMatchObject({ active: 0, acquired: 3, released: 3 })
})

test('[Z13] an inbox of size 2 holds 2, and after one receive 1', async () => {
  const bus = createBus()
  const a = bus.register('a', { limit: 2, overflow: 'refuse' })
  await sendLevels(bus, 'a', ['normal:1', 'normal:2'])
  expect(await faultOf(bus.send('a', '3'))).toMatchObject({
    code: 'QUEUE_FULL',
    family: 'resource',
    details: { name: 'a', size: 2, limit: 2 },
  })
  expect(bus.queueSize('a')).toBe(2)
  expect((await a.receive()).data).toBe('1')
  expect(bus.queueSize('a')).toBe(1)
  expect((await bus.send('a', '4')).recipients).toBe(1)
  expect(await takeAll(a)).toEqual(['2', '4'])
})

test('[Z13] full with "wait": the sender waits until there is room, or until its deadline and then learns it', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const a = bus.register('a', { limit: 2, overflow: 'wait', waitMs: 1_000 })
  await sendLevels(bus, 'a', ['normal:1', 'normal:2'])
  const senders = ['3', '4'].map((one) => watched(bus.send('a', one)))
  await env.advance(900)
  expect([...senders.map((one) => one.state), bus.queueSize('a')]).toEqual(['pending', 'pending', 2])
  expect((await a.receive()).data).toBe('1')
  await env.advance(99)
  expect([...senders.map((one) => one.state), bus.queueSize('a')]).toEqual(['fulfilled', 'pending', 2])
  expect(senders[0]?.value).toMatchObject({ recipients: 1, refused: [] })
  await env.advance(1 + LATE_MS)
  expect(errorOf(senders[1] as never).code).toBe('QUEUE_FULL')
  expect(await takeAll(a)).toEqual(['2', '3'])
  expect(bus.stats()).toMatchObject({ refused: 1, ledger: { published: 3, handled: 3, pending: 0 } })
})

test('[Z13] full with "drop-oldest": the oldest of the lowest level goes, and each sender learns the outcome', async () => {
  const bus = createBus()
  const a = bus.register('a', { limit: 2, overflow: 'drop-oldest' })
  const oldest = await bus.send('a', 'oldest', { receipt: true })
  await bus.send('a', 'second')
  expect(await bus.send('a', 'newest')).toMatchObject({ recipients: 1, refused: [] })
  expect(await oldest.receipt).toMatchObject([{ name: 'a', outcome: 'dropped', reason: 'queue-full' }])
  expect(bus.failures().map(({ message, reason }) => [message.data, reason])).toEqual([['oldest', 'queue-full']])

  await bus.send('a', 'urgent', { priority: 'high' })
  const [report] = (await bus.send('a', 'too low', { priority: 'low', until: 'handled' })).deliveries ?? []
  expect(report).toMatchObject({ outcome: 'dropped', reason: 'queue-full', error: { code: 'MESSAGE_DROPPED' } })
  expect(await takeAll(a)).toEqual(['urgent', 'newest'])
  expect(bus.stats().ledger).toMatchObject({ published: 5, handled: 2, dropped: 3, pending: 0 })
})

test('[Z13] the policy of one inbox is its own, whatever the bus has', async () => {
  const bus = createBus({ limit: 1, overflow: 'drop-oldest' })
  const [strict, loose] = [bus.register('strict', { overflow: 'refuse' }), bus.register('loose')]
  for (const name of ['strict', 'loose']) await bus.send(name, 1)
  expect((await faultOf(bus.send('strict', 2))).code).toBe('QUEUE_FULL')
  await bus.send('loose', 2)
  expect([await takeAll(strict), await takeAll(loose)]).toEqual([[1], [2]])
})
