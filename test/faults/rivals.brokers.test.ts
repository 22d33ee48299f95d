import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectNats } from '../../src/broker/nats/connect.ts'
import type { Bus } from '../../src/index.ts'
import type { Server } from '../servers/server.ts'
import { KINDS, open, placeOn } from './support.ts'

// What the Redis bus of the nearest rival does wrong, each as a test, on both brokers.

/** What a server holds of a swarm: names of keys, streams and consumers, and how many connections it has. */
interface Holdings {
  readonly names: readonly string[]
  readonly connections: number
}

async function holdingsOf(kind: 'redis' | 'nats', server: Server): Promise<Holdings> {
  if (kind === 'redis') {
    const client = createClient({ url: server.url })
    await client.connect()
    try {
      const names = await client.keys('*')
      const clients = (await client.sendCommand(['CLIENT', 'LIST'])) as unknown as string
      return { names: names.sort(), connections: clients.trim().split('\n').length - 1 }
    } finally {
      client.destroy()
    }
  }
  const link = await connectNats(server.url)
  try {
    const { streams } = (await link.ask('$JS.API.STREAM.LIST')).json<{
      streams: { config: { name: string }; state: { consumer_count: number } }[] | null
    }>()
    return {
      names: (streams ?? []).map(({ config, state }) => `${config.name} ${state.consumer_count}`).sort(),
      connections: 0,
    }
  } finally {
    await link[Symbol.asyncDispose]()
  }
}

async function settled(bus: Bus, channel: string): Promise<unknown> {
  const found = (await bus.channels()).find(({ name }) => name === channel)
  return { ...found?.ledger, groups: found?.groups.length }
}

describe.each(KINDS)('$name', ({ name, start }) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test('[CN10] listeners that fan out without a group leave nothing unacknowledged, however many come and go', async () => {
    const url = placeOn(server.url)
    const bus = await open(url)
    const out = await open(url)
    await out.publish('news.x', 'first')
    const counts: number[] = Array.from({ length: 20 }, () => 0)
    const live = counts.map((_, at) =>
      bus.subscribe(
        'news.x',
        () => {
          counts[at] = (counts[at] ?? 0) + 1
        },
        at % 2 === 0 ? { from: 'first' } : {},
      ),
    )
    await expect
      .poll(() => counts.filter((_, at) => at % 2 === 0))
      .toEqual(counts.filter((_, at) => at % 2 === 0).map(() => 1))
    // The other process has been told of those who listen.
    await expect.poll(() => out.processes().map(({ subscriptions }) => subscriptions)).toEqual([20])
    const hundred = async (round: number): Promise<void> => {
      for (let at = 0; at < 100; at++) await out.publish('news.x', at)
      await expect.poll(() => counts).toEqual(counts.map((_, at) => round * 100 + (at % 2 === 0 ? 1 : 0)))
    }
    await hundred(1)
    const before = await holdingsOf(name, server)
    await hundred(2)
    // No group was made for them: nothing pends, and nothing is held for ever.
    expect(await settled(bus, 'news')).toMatchObject({ pending: 0, leased: 0, delayed: 0, groups: 0 })
    expect((await holdingsOf(name, server)).names).toEqual(before.names)
    for (const one of live) one.unsubscribe()
  })

  test('a stream of parts that is finished leaves nothing on the broker', async () => {
    const url = placeOn(server.url)
    const asking = await open(url)
    const answering = await open(url)
    answering.subscribe('count', async function* ({ data }) {
      for (let at = 0; at < (data as number); at++) yield at
    })
    await expect
      .poll(() =>
        asking.request('count', 1).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    const before = await holdingsOf(name, server)
    for (let round = 0; round < 30; round++) {
      const parts: unknown[] = []
      for await (const part of asking.requestStream('count', 20)) {
        parts.push(part)
        // Every third is left in the middle.
        if (round % 3 === 0 && parts.length === 5) break
      }
      expect(parts.length).toBe(round % 3 === 0 ? 5 : 20)
    }
    expect((await holdingsOf(name, server)).names).toEqual(before.names)
    await expect
      .poll(() => [asking, answering].flatMap((bus) => bus.streams.list().filter(({ status }) => status === 'active')))
      .toEqual([])
  })

  test('100 parts, two observers join at 50 and replay from 20: each gets 20 to 99 once, ascending', async () => {
    const url = placeOn(server.url)
    const out = await open(url)
    const places: string[] = []
    const publish = async (from: number, to: number): Promise<void> => {
      for (let at = from; at < to; at++)
        places.push((await out.publish('chunks.x', at, { session: 's' })).offset as string)
    }
    await publish(0, 50)
    const observers = await Promise.all([open(url), open(url)])
    const got: unknown[][] = [[], []]
    const offset = places[20] as string
    for (const [at, bus] of observers.entries()) {
      bus.subscribe('chunks.x', ({ data }) => void got[at]?.push(data), { from: { offset } })
    }
    await publish(50, 100)
    const wanted = Array.from({ length: 80 }, (_, at) => at + 20)
    await expect.poll(() => got.map((list) => list.length), { timeout: 10_000 }).toEqual([80, 80])
    expect(got).toEqual([wanted, wanted])
  })

  test('100 live parts, observers in two other processes join at 50 and read from 20: each gets 20 to 99 once, ascending', async () => {
    const url = placeOn(server.url)
    const [out, ...others] = await Promise.all([open(url), open(url), open(url)])
    const writer = out.streams.open({ id: 'story', limit: 200 })
    for (let at = 0; at < 50; at++) await writer.write(at)
    const got: unknown[][] = [[], []]
    const reading = others.map(async (bus, at) => {
      for await (const { index, data } of bus.streams.read('story', 20)) got[at]?.push([index, data])
    })
    await expect.poll(() => got.every((list) => list.length > 0)).toBe(true)
    for (let at = 50; at < 100; at++) await writer.write(at)
    writer.complete()
    await Promise.all(reading)
    const wanted = Array.from({ length: 80 }, (_, at) => [at + 20, at + 20])
    expect(got).toEqual([wanted, wanted])
  })

  test('[I4] a hundred fetched ahead, one worker, 250 ms a message, 1 s lease, a second process beside: nothing is handled twice', async () => {
    const url = placeOn(server.url)
    const defaults = { ackWaitMs: 1_000, window: 100 }
    const [one, two] = await Promise.all([open(url, { defaults }), open(url, { defaults })])
    for (let at = 0; at < 24; at++) await one.publish('slow.x', at)
    const handled: unknown[] = []
    const attempts: number[] = []
    for (const bus of [one, two]) {
      bus.subscribe(
        'slow.x',
        async ({ data }, { attempt }) => {
          handled.push(data)
          attempts.push(attempt)
          await new Promise((resolve) => setTimeout(resolve, 250))
        },
        { group: 'g', concurrency: 1 },
      )
    }
    await expect.poll(() => settled(one, 'slow'), { timeout: 15_000 }).toMatchObject({ published: 24, acked: 24 })
    expect(handled.length).toBe(24)
    expect(new Set(attempts)).toEqual(new Set([1]))
  }, 30_000)

  test('[CN12] a thousand subscriptions that come and go leave keys, streams, consumers and connections as they were', async () => {
    const url = placeOn(server.url)
    const bus = await open(url)
    const out = await open(url)
    for (let at = 0; at < 3; at++) await out.publish('race.x', at)
    let kept = 0
    bus.subscribe('race.x', () => void kept++, { group: 'stays' })
    await expect.poll(() => kept).toBe(3)
    await expect.poll(() => settled(bus, 'race')).toMatchObject({ acked: 3, leased: 0 })
    const before = await holdingsOf(name, server)
    for (let round = 0; round < 10; round++) {
      const some = Array.from({ length: 100 }, (_, at) => {
        if (at % 4 === 0) return bus.subscribe('race.x', () => undefined, { group: 'stays' })
        if (at % 4 === 1) return bus.subscribe('race.x', () => undefined, { from: 'first' })
        return bus.subscribe(at % 4 === 2 ? 'race.>' : 'live.x', () => undefined)
      })
      if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
      if (round % 5 === 0) await out.publish('race.x', 'meanwhile')
      await Promise.all(some.map(async (one, at) => (at % 10 === 0 ? one.drain() : one.unsubscribe())))
    }
    await expect
      .poll(() => settled(bus, 'race'), { timeout: 10_000 })
      .toMatchObject({ pending: 0, leased: 0, groups: 1 })
    await expect.poll(() => holdingsOf(name, server), { timeout: 10_000 }).toEqual(before)
    const had = kept
    await out.publish('race.x', 'after')
    await expect.poll(() => kept).toBe(had + 1)
  }, 30_000)

  test('[CN6] [C24] an idle group hears a message when it is stored: no poll interval lies between', async () => {
    const url = placeOn(server.url)
    const bus = await open(url)
    const out = await open(url)
    let wake = (): void => undefined
    bus.subscribe('idle.x', () => wake(), { group: 'g' })
    await out.publish('idle.x', 'first', { until: 'handled' })
    const took: number[] = []
    for (let at = 0; at < 40; at++) {
      // Gaps of many lengths: a poll would be met at any point of its interval.
      await new Promise((resolve) => setTimeout(resolve, 20 + ((at * 7) % 60)))
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      const fromMs = performance.now()
      await Promise.all([out.publish('idle.x', at), woken])
      took.push(performance.now() - fromMs)
    }
    took.sort((a, b) => a - b)
    // The rival sleeps 50 ms between two looks: half of its messages wait longer than 23 ms. The quicker half must not wait at all.
    expect(took[20]).toBeLessThan(20)
  })
})
