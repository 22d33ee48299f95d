import { expect, test } from 'vitest'
import { createBus } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { faultOf, LATE_MS, numbered, takeAll, watched } from './support/zejzl.ts'

test('[Z17] a broadcast reaches every agent registered at that moment, but not its sender and the excluded ones', async () => {
  const bus = createBus()
  const agents = numbered('a', 5).map((name) => bus.register(name))
  bus.register('gone').unregister()
  bus.declare('later')
  const [sender] = agents
  const ack = await sender?.broadcast('hello', { exclude: ['a3', 'nobody of this name'] })
  const late = bus.register('newcomer')
  expect(ack).toMatchObject({ recipients: 3, refused: [] })
  expect(await Promise.all([...agents, late].map(takeAll))).toEqual([[], ['hello'], [], ['hello'], ['hello'], []])
  await bus.broadcast('from nobody')
  expect(bus.agents().map((agent) => agent.queued)).toEqual([1, 1, 1, 1, 1, 0, 1])
})

test('[Z17] [ZN1] level, correlation id and metadata are kept: a high broadcast arrives as high', async () => {
  const bus = createBus()
  const agents = numbered('a', 3).map((name) => bus.register(name))
  for (const agent of agents) await bus.send(agent.name, 'normal before it')
  await bus.broadcast('high', { priority: 'high', correlationId: 'c-1', headers: { kind: 'alarm' }, from: 'outside' })
  for (const agent of agents) {
    expect(await agent.receive()).toMatchObject({
      data: 'high',
      priority: 'high',
      correlationId: 'c-1',
      headers: { kind: 'alarm' },
      from: 'outside',
    })
    expect((await agent.receive()).data).toBe('normal before it')
  }
})

test('[Z17] the result lists the recipients that accepted and those that refused', async () => {
  const bus = createBus({ overflow: 'refuse' })
  for (const name of ['free1', 'free2']) bus.register(name)
  for (const name of ['full1', 'full2']) bus.register(name, { limit: 1 })
  for (const name of ['full1', 'full2']) await bus.send(name, 'fills it')
  const ack = await bus.broadcast('news')
  expect(ack.recipients).toBe(2)
  expect(ack.refused).toMatchObject([
    { name: 'full1', error: { code: 'QUEUE_FULL' } },
    { name: 'full2', error: { code: 'QUEUE_FULL' } },
  ])
  expect(ack).toHaveProperty('accepted', ['free1', 'free2'])
})

test('[Z17] with a receipt the sender learns what became of the broadcast at each recipient', async () => {
  const bus = createBus({ overflow: 'refuse' })
  bus.register('fine', { handler: () => undefined })
  bus.register('broken', { handler: () => Promise.reject(new Error('of the agent')) })
  bus.register('full', { limit: 1 })
  await bus.send('full', 'fills it')
  const { deliveries = [] } = await bus.broadcast('news', { until: 'handled' })
  expect(new Map(deliveries.map((one) => [one.name, one.outcome]))).toEqual(
    new Map([
      ['fine', 'handled'],
      ['broken', 'failed'],
      ['full', 'refused'],
    ]),
  )
})

test('[Z17] a broadcast that everybody refuses is refused, and one without recipients is not', async () => {
  const bus = createBus({ overflow: 'refuse' })
  expect((await bus.broadcast('to nobody')).recipients).toBe(0)
  bus.register('full', { limit: 1 })
  await bus.send('full', 'fills it')
  expect((await faultOf(bus.broadcast('news'))).code).toBe('QUEUE_FULL')
})

test('[ZN8] one full inbox in a broadcast delays nobody else', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, waitMs: 1_000 })
  const full = bus.register('full', { limit: 1 })
  const others = numbered('other', 20).map((name) => bus.register(name))
  const waiting = others.map((agent) => watched(agent.receive()))
  await bus.send('full', 'fills it')
  const sent = watched(bus.broadcast('news'))
  // The clock stands still: nothing that waits for room can have passed.
  await env.settle()
  expect(waiting.map((one) => one.value?.data)).toEqual(others.map(() => 'news'))
  expect(sent.state).toBe('pending')
  await env.advance(1_000 + LATE_MS)
  expect(sent.value).toMatchObject({ recipients: 20, refused: [{ name: 'full', error: { code: 'QUEUE_FULL' } }] })
  expect(await takeAll(full)).toEqual(['fills it'])
})

test('[ZN8] registering, replacing and unregistering while a broadcast is under way raises nothing', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, waitMs: 1_000 })
  let born = 0
  const handled: string[] = []
  for (const name of numbered('busy', 10)) {
    const handler = (): void => {
      handled.push(name)
      bus.register(`child${++born}`)
    }
    bus.register(name, { handler })
  }
  bus.register('full', { limit: 1 })
  const leaving = bus.register('leaving', { limit: 1 })
  for (const name of ['full', 'leaving']) await bus.send(name, 'fills it')
  const sent = watched(bus.broadcast('news'))
  bus.register('newcomer')
  bus.register('busy1', { replace: true })
  leaving.unregister()
  await env.advance(1_000 + LATE_MS)
  expect(handled.toSorted()).toEqual(numbered('busy', 10).slice(1).toSorted())
  expect(bus.agents().filter((agent) => agent.name.startsWith('child'))).toHaveLength(9)
  expect(sent.value?.refused.toSorted((a, b) => a.name.localeCompare(b.name))).toMatchObject([
    { name: 'full', error: { code: 'QUEUE_FULL' } },
    { name: 'leaving', error: { code: 'SUBSCRIPTION_ENDED' } },
  ])
  expect([bus.queueSize('newcomer'), bus.queueSize('busy1')]).toEqual([0, 1])
})
