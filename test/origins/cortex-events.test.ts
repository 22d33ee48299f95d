import { expect, test } from 'vitest'
import { createBus, type Message } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { codeOf, countingEnv, follow, gate, numbers, still, thrown } from './support/cortex-veritas.ts'

test('[C40] subscribing to one type, to several and to all gives ids, and an id ends exactly its subscription', async () => {
  await using bus = createBus()
  const one: string[] = []
  const several: string[] = []
  const all: string[] = []
  const first = bus.subscribe('lobe_start', (message) => void one.push(message.topic))
  const second = bus.subscribe(['lobe_start', 'lobe_error'], (message) => void several.push(message.topic))
  const third = bus.subscribe('>', (message) => void all.push(message.topic))
  expect(new Set([first.id, second.id, third.id]).size).toBe(3)
  const publish = async (): Promise<void> => {
    for (const type of ['lobe_start', 'lobe_error', 'heartbeat']) await bus.publish(type, {})
    await bus.idle()
  }
  await publish()
  expect(one).toEqual(['lobe_start'])
  expect(several).toEqual(['lobe_start', 'lobe_error'])
  expect(all).toEqual(['lobe_start', 'lobe_error', 'heartbeat'])
  bus.unsubscribe(second.id)
  await publish()
  expect(one.length).toBe(2)
  expect(several.length).toBe(2)
  expect(all.length).toBe(6)
  expect(second.active).toBe(false)
})

test('[C40] unsubscribing an unknown id and publishing after close are errors', async () => {
  const bus = createBus()
  const made = bus.subscribe('events', () => undefined)
  expect(thrown(() => bus.unsubscribe('no-such-id'))).toBe('UNKNOWN_SUBSCRIPTION')
  bus.unsubscribe(made.id)
  expect(thrown(() => bus.unsubscribe(made.id))).toBe('UNKNOWN_SUBSCRIPTION')
  await bus.close()
  expect(await codeOf(bus.publish('events', 1))).toBe('BUS_CLOSED')
  expect(thrown(() => bus.subscribe('events', () => undefined))).toBe('BUS_CLOSED')
})

test('[C40] a synchronous publish resolves when every handler has finished', async () => {
  await using bus = createBus()
  const slow = gate()
  const done: string[] = []
  bus.subscribe('events', async () => {
    await slow.closed
    done.push('slow')
  })
  bus.subscribe('events', () => void done.push('quick'))
  const published = follow(bus.publish('events', 1, { until: 'handled' }))
  const accepted = await bus.publish('other', 1)
  expect(accepted.recipients).toBe(0)
  await new Promise<void>((resolve) => void setImmediate(resolve))
  expect(published.state).toBe('pending')
  slow.open()
  await bus.idle()
  expect(done).toEqual(['quick', 'slow'])
  await Promise.resolve()
  expect(published.value?.deliveries?.map((one) => one.outcome)).toEqual(['handled', 'handled'])
})

test('[C40] clear empties subscriptions and history, and the bus goes on', async () => {
  await using bus = createBus()
  const seen: Message[] = []
  bus.subscribe('events', (message) => void seen.push(message))
  bus.subscribe('>', (message) => void seen.push(message))
  await bus.publish('events', 1, { until: 'handled' })
  expect([seen.length, bus.history().length, bus.stats().subscriptions]).toEqual([2, 1, 2])
  bus.reset()
  expect([bus.history().length, bus.stats().subscriptions]).toEqual([0, 0])
  await bus.publish('events', 2, { until: 'handled' })
  expect(seen.length).toBe(2)
  bus.subscribe('events', (message) => void seen.push(message))
  await bus.publish('events', 3, { until: 'handled' })
  expect(seen.length).toBe(3)
})

test('[C40] the statistics count all subscriptions, the typed ones and those with a wildcard', async () => {
  await using bus = createBus()
  const counts = (): object => bus.stats()
  expect(counts()).toMatchObject({ subscriptions: 0, wildcardSubscriptions: 0 })
  const typed = bus.subscribe('events', () => undefined)
  bus.subscribe(['events', 'other'], () => undefined)
  const wild = bus.subscribe('>', () => undefined)
  bus.subscribe('tasks.*', () => undefined)
  expect(counts()).toMatchObject({ subscriptions: 4, wildcardSubscriptions: 2 })
  typed.unsubscribe()
  expect(counts()).toMatchObject({ subscriptions: 3, wildcardSubscriptions: 2 })
  bus.unsubscribe(wild.id)
  expect(counts()).toMatchObject({ subscriptions: 2, wildcardSubscriptions: 1 })
})

test('[C41] the history keeps the newest 1 000 events, hands out the newest n as a copy, and lets the oldest go first', async () => {
  await using bus = createBus({ preset: 'cortex' })
  for (const index of numbers(1_234)) await bus.publish('events', index)
  expect(bus.stats().config.history).toBe(1_000)
  expect(bus.history().map((one) => one.data)).toEqual(numbers(1_234).slice(234))
  expect(bus.history(3).map((one) => one.data)).toEqual([1_231, 1_232, 1_233])
  expect(bus.history(5_000).length).toBe(1_000)
  const copy = bus.history(3)
  Object.assign(copy[0] as object, { topic: 'changed' })
  ;(copy as unknown[]).pop()
  expect(bus.history(3).map((one) => one.topic)).toEqual(['events', 'events', 'events'])
})

test.each([1, 5, 1_000])('[C41] the length of the history is an option: %i', async (length) => {
  await using bus = createBus({ history: length, historyData: true })
  for (const index of numbers(length + 7)) await bus.publish('events', index)
  expect(bus.history().map((one) => one.data)).toEqual(numbers(length + 7).slice(7))
})

test('[C42] 5 events published on a history of size 5 keep all 5', async () => {
  await using bus = createBus({ history: 5, historyData: true })
  for (const index of numbers(5)) await bus.publish('events', index)
  expect(bus.history().map((one) => one.data)).toEqual([0, 1, 2, 3, 4])
})

test('[C42] 100 concurrent publishers and 10 subscribers make 1 000 deliveries', async () => {
  await using bus = createBus()
  const seen = numbers(10).map((): number[] => [])
  for (const list of seen) bus.subscribe('events', async (message) => void list.push(message.data as number))
  const acks = await Promise.all(numbers(100).map(async (index) => bus.publish('events', index)))
  await bus.idle()
  expect(acks.map((one) => one.recipients)).toEqual(numbers(100).map(() => 10))
  for (const list of seen) expect(list.toSorted((a, b) => a - b)).toEqual(numbers(100))
  expect(bus.stats().ledger.handled).toBe(1_000)
})

test('[C42] a typed and a wildcard subscriber get one delivery each', async () => {
  await using bus = createBus()
  const got: string[] = []
  bus.subscribe('lobe_start', () => void got.push('typed'))
  bus.subscribe('>', () => void got.push('wildcard'))
  await bus.publish('lobe_start', {}, { until: 'handled' })
  expect(got.toSorted()).toEqual(['typed', 'wildcard'])
})

test('[CN12] stopping and closing twice does no harm, one after the other and at the same time', async () => {
  const bus = createBus()
  bus.subscribe('events', async () => undefined)
  await bus.publish('events', 1)
  await Promise.all([bus.stop(), bus.stop(), bus.drain()])
  await bus.stop()
  const reports = await Promise.all([bus.close(), bus.close()])
  expect(reports[0]).toEqual(reports[1])
  await bus.close()
  await bus[Symbol.asyncDispose]()
  await bus.stop()
  expect(bus.stats().state).toBe('closed')
})

test('[CN12] a close with a shorter limit ends a stop that waits longer', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  bus.subscribe('events', () => new Promise<void>(() => undefined))
  await bus.publish('events', 1)
  await env.settle()
  const stopping = follow(bus.stop({ limitMs: 5_000 }))
  const closing = follow(bus.close({ limitMs: 100 }))
  await env.advance(150)
  expect([stopping.state, closing.state]).toEqual(['resolved', 'resolved'])
  expect(bus.stats().state).toBe('closed')
})

test('[CN12] a publish during stop is refused with a typed error at once, and what waited is handled', async () => {
  const env = fakeEnv()
  const bus = still({ env })
  const busy = gate()
  const seen: unknown[] = []
  bus.subscribe('events', async (message) => {
    await busy.closed
    seen.push(message.data)
  })
  for (const index of numbers(10)) await bus.publish('events', index)
  const stopping = follow(bus.stop({ limitMs: 1_000 }))
  const late = numbers(100).map(() => follow(bus.publish('events', 'late')))
  const asked = follow(bus.request('events', 'late'))
  await env.settle()
  expect(stopping.state).toBe('pending')
  for (const one of [...late, asked]) expect(one.error).toMatchObject({ code: 'NOT_RUNNING' })
  busy.open()
  await env.advance(100)
  expect(stopping.value).toEqual({ handled: 10, left: 0, abandoned: 0 })
  expect(seen).toEqual(numbers(10))
  await bus.close()
})

test('[CN12] 100 000 ids made by concurrent publishers on one standing clock do not collide', async () => {
  await using bus = still({ env: fakeEnv() })
  const publisher = async (): Promise<string[]> => {
    const ids: string[] = []
    for (const _ of numbers(1_000)) ids.push((await bus.publish('events', 1)).id)
    return ids
  }
  const ids = (await Promise.all(numbers(100).map(publisher))).flat()
  expect(new Set(ids).size).toBe(100_000)
})

test('[CN12] ids of 100 buses that live at the same moment do not collide', async () => {
  const buses = numbers(100).map(() => createBus())
  const ids = await Promise.all(
    buses.map(async (bus) => Promise.all(numbers(100).map(async () => bus.publish('a', 1)))),
  )
  expect(new Set(ids.flat().map((ack) => ack.id)).size).toBe(10_000)
  await Promise.all(buses.map(async (bus) => bus.close()))
})

test('[CN24] a subscriber that leaves during a publish neither blocks nor disturbs the others', async () => {
  await using bus = still({ env: fakeEnv() })
  const kept: unknown[] = []
  const gone: unknown[] = []
  const leaver = bus.subscribe('events', (message) => {
    gone.push(message.data)
    if (message.data === 3) leaver.unsubscribe()
  })
  bus.subscribe('events', (message) => void kept.push(message.data))
  const reports = numbers(10).map(async (index) => bus.publish('events', index, { until: 'handled' }))
  const deliveries = (await Promise.all(reports)).map((ack) => ack.deliveries?.map((one) => one.reason))
  expect(kept).toEqual(numbers(10))
  expect(gone).toEqual([0, 1, 2, 3])
  expect(deliveries.slice(4)).toEqual(numbers(6).map(() => expect.arrayContaining(['unregistered'])))
  expect(bus.stats().ledger).toMatchObject({ published: 20, handled: 14, dropped: 6, pending: 0 })
})

test('[CN24] after stop and close no timer and no loop of the bus is left', async () => {
  const { env, uses, fake } = countingEnv()
  const bus = still({ env })
  const stopped: unknown[] = []
  bus.watch({ checkMs: 1_000, onStall: (stall) => void stopped.push(stall) })
  bus.register('pink', { handler: async () => new Promise<void>(() => undefined) })
  const reader = bus.register('red')
  const waiting = [follow(reader.receive()), follow(bus.request('agent.pink', 1))]
  const writer = bus.streams.open()
  void writer.write('a part').catch(() => undefined)
  await fake.settle()
  expect(fake.timers).toBeGreaterThan(0)
  const closing = follow(bus.close({ limitMs: 50 }))
  await fake.advance(200)
  expect(closing.state).toBe('resolved')
  expect(waiting.map((one) => one.state)).toEqual(['rejected', 'rejected'])
  expect(fake.timers).toBe(0)
  const before = { ...uses }
  await fake.advance(3_600_000)
  expect({ after: uses.after, soon: uses.soon, nextTurn: uses.nextTurn }).toEqual({
    after: before.after,
    soon: before.soon,
    nextTurn: before.nextTurn,
  })
  expect(stopped).toEqual([])
})

test('[CN24] a stopped bus holds no timer, not even that of a watch, and both go on after start', async () => {
  const { env, fake } = countingEnv()
  await using bus = still({ env })
  const stalls: string[] = []
  bus.subscribe('events', async () => new Promise<void>(() => undefined), { name: 'stuck' })
  const unwatch = bus.watch({ checkMs: 1_000, limitMs: 5_000, onStall: (stall) => void stalls.push(stall.name) })
  const stopping = follow(bus.stop())
  await fake.advance(200)
  expect(stopping.state).toBe('resolved')
  expect(fake.timers).toBe(0)
  bus.start()
  await bus.publish('events', 1)
  await fake.advance(10_000)
  expect(stalls).toEqual(['stuck'])
  unwatch()
  await bus.close({ limitMs: 0 })
})
