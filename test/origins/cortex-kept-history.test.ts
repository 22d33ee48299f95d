import { describe, expect, test } from 'vitest'
import type { Message } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { BACKENDS, close, ledgerOf, ledgerUntil, sweptUntil, until } from './support/cortex-kept.ts'
import { numbers } from './support/cortex-veritas.ts'

const DAY_MS = 86_400_000

async function all(messages: AsyncIterable<Message>): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const { data } of messages) found.push(data)
  return found
}

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[C29] kept messages go by age and by number, never one that a group has not acknowledged', async () => {
    await using store = make()
    const env = fakeEnv()
    const retention = { maxAgeMs: DAY_MS, maxCount: 50 }
    const bus = await store.open({ env, defaults: { retention } })
    bus.subscribe('read.*', () => undefined, { group: 'readers' })
    bus.subscribe('stuck.*', () => new Promise(() => undefined), { group: 'stuck', concurrency: 1 })
    await until(async () => (await bus.publish('read.a', 'first', { until: 'handled' })).id !== '')
    for (const topic of ['read.a', 'stuck.a']) {
      await Promise.all(numbers(200).map((number) => bus.publish(topic, number)))
    }
    await ledgerUntil(bus, ({ acked }) => acked === 201)
    const kept = async (name: string): Promise<number | undefined> =>
      (await bus.channels()).find((one) => one.name === name)?.messages
    expect(await kept('read')).toBe(201)
    await sweptUntil(env, async () => (await kept('read')) === 50)
    expect(await kept('stuck')).toBe(200)
    expect(await all(bus.replay('read.>'))).toEqual(numbers(200).slice(150))
    env.setWall(env.wallMs() + DAY_MS + 1)
    await sweptUntil(env, async () => (await kept('read')) === 0)
    expect(await kept('stuck')).toBe(200)
    await close(bus)
  })

  test('[C29] events are kept for 7 days unless their channel says otherwise', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, channels: { short: { retention: { maxAgeMs: 1_000 } } } })
    for (const topic of ['events.a', 'short.a']) {
      bus.subscribe(topic, () => undefined, { group: 'readers' })
      await bus.publish(topic, topic)
    }
    await ledgerUntil(bus, ({ acked }) => acked === 2)
    const kept = async (): Promise<unknown[]> => [
      ...(await all(bus.replay('events.>'))),
      ...(await all(bus.replay('short.>'))),
    ]
    env.setWall(env.wallMs() + 7 * DAY_MS - 3_600_000)
    await sweptUntil(env, async () => (await kept()).length === 1)
    expect(await kept()).toEqual(['events.a'])
    env.setWall(env.wallMs() + 3_600_000)
    await sweptUntil(env, async () => (await kept()).length === 0)
    await close(bus)
  })

  test('[CN10] a log through which 20 000 messages went does not keep growing; unread ones are not evicted', {
    timeout: 40_000,
  }, async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, defaults: { retention: { maxCount: 500 } } })
    let handled = 0
    bus.subscribe('work.*', () => void handled++, { group: 'workers' })
    // A group that is there, and does not read.
    await bus.subscribe('unread.*', () => undefined, { group: 'late' }).drain()
    await Promise.all(numbers(700).map((number) => bus.publish('unread.a', number)))
    const sizes: number[] = []
    for (let round = 1; round <= 5; round++) {
      for (let part = 0; part < 4; part++) {
        await Promise.all(numbers(1_000).map((number) => bus.publish('work.a', number)))
      }
      await ledgerUntil(bus, ({ acked }) => acked === round * 4_000)
      const work = async () => (await bus.channels()).find((one) => one.name === 'work')
      // The bytes follow when the store has counted them anew.
      await sweptUntil(env, async () => {
        const info = await work()
        return info?.messages === 500 && info.bytes < 500 * 250
      })
      sizes.push((await work())?.messages ?? 0)
    }
    expect(handled).toBe(20_000)
    expect(sizes).toEqual([500, 500, 500, 500, 500])
    const late: unknown[] = []
    bus.subscribe('unread.*', ({ data }) => void late.push(data), { group: 'late' })
    await until(() => late.length === 700)
    expect(late).toEqual(numbers(700))
    await close(bus)
  })

  test('[C38] replay by range of ids, by time with pages that go on, and of the last n', {
    timeout: 60_000,
  }, async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env })
    const ids: string[] = []
    for (let hour = 0; hour < 5; hour++) {
      const acks = await Promise.all(numbers(500).map((number) => bus.publish('tasks.a', hour * 500 + number)))
      ids.push(...acks.map((ack) => ack.id))
      await env.advance(3_600_000)
    }
    const begin = env.wallMs() - 5 * 3_600_000
    const range = { from: { id: ids[700] as string }, to: { id: ids[1_300] as string } }
    expect(await all(bus.replay('tasks.>', range))).toEqual(numbers(1_301).slice(700))
    const hours = { from: { time: begin + 3_600_000 }, to: { time: begin + 3 * 3_600_000 } }
    expect(await all(bus.replay('tasks.>', hours))).toEqual(numbers(1_500).slice(500))
    expect(await all(bus.replay('tasks.>', { last: 7 }))).toEqual(numbers(2_500).slice(-7))
    // Pages of 1 000, each going on behind the last one.
    const pages: unknown[][] = []
    let after: string | undefined
    for (;;) {
      const page: unknown[] = []
      const options = after === undefined ? {} : { from: { after } }
      for await (const { message, offset } of bus.replay('tasks.>', options).entries()) {
        page.push(message.data)
        after = offset
        if (page.length === 1_000) break
      }
      if (page.length === 0) break
      pages.push(page)
    }
    expect(pages.map((page) => page.length)).toEqual([1_000, 1_000, 500])
    expect(pages.flat()).toEqual(numbers(2_500))
    await close(bus)
  })

  test('[C38] replay of one stream, one day, one agent; consumer groups stay untouched', async () => {
    await using store = make()
    const env = fakeEnv({ wallMs: Date.UTC(2026, 0, 1) })
    const bus = await store.open({ env })
    let handled = 0
    bus.subscribe(['tasks.*', 'events.*'], () => void handled++, { group: 'workers' })
    for (const day of [1, 2]) {
      await bus.publish('tasks.a', `task ${day}`, { from: 'harold', to: 'pink' })
      await bus.publish('events.a', `event ${day}`, { from: 'pink' })
      await bus.publish('events.a', `other ${day}`, { from: 'red' })
      await env.advance(DAY_MS)
    }
    await ledgerUntil(bus, ({ acked }) => acked === 6)
    const before = await ledgerOf(bus)
    const first = { from: { time: Date.UTC(2026, 0, 1) }, to: { time: Date.UTC(2026, 0, 2) } }
    expect(await all(bus.replay('tasks.>'))).toEqual(['task 1', 'task 2'])
    expect(await all(bus.replay('>', first))).toEqual(['task 1', 'event 1', 'other 1'])
    expect(await all(bus.replay('>', { agent: 'pink' }))).toEqual(['task 1', 'event 1', 'task 2', 'event 2'])
    expect(await all(bus.replay('>', { ...first, agent: 'red' }))).toEqual(['other 1'])
    expect(await ledgerOf(bus)).toEqual(before)
    expect(handled).toBe(6)
    await close(bus)
  })

  test('[C38] a replay runs at the original pace if it is asked to', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env })
    for (const number of [0, 1, 2]) {
      await bus.publish('tasks.a', number)
      await env.advance(10_000)
    }
    const seen: [unknown, number][] = []
    const start = env.monotonicMs()
    const replaying = (async () => {
      for await (const { data } of bus.replay('tasks.>', { pace: 'original' }))
        seen.push([data, env.monotonicMs() - start])
    })()
    await until(() => seen.length === 1 && env.timers > 0)
    for (let passed = 0; passed < 25_000 && seen.length < 3; passed += 500) {
      await env.advance(500)
      await new Promise<void>((resolve) => void setTimeout(resolve, 2))
    }
    await replaying
    expect(seen.map(([data]) => data)).toEqual([0, 1, 2])
    expect(seen.map(([, atMs]) => Math.floor(atMs / 10_000))).toEqual([0, 1, 2])
    await close(bus)
  })
})
