import { createClient } from 'redis'
import { describe, expect, test } from 'vitest'
import { connectNats } from '../../src/broker/nats/connect.ts'
import { type Env, systemEnv } from '../../src/kit/env.ts'
import { BROKERS } from './brokers.ts'
import { until } from './support.ts'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

/** The real clock, on which what happens now and then in minutes (looks for what may be removed) happens in a moment. */
function hasty(): Env {
  const env = systemEnv()
  return { ...env, after: (ms, run) => env.after(ms === 15_000 ? 100 : ms, run) }
}

/** Bytes that the server itself holds for a place, by its own count. */
async function heldAt(url: string): Promise<number> {
  const { protocol, searchParams } = new URL(url)
  const prefix = searchParams.get('prefix') as string
  const server = url.split('?')[0] as string
  if (protocol === 'nats:') {
    await using link = await connectNats(server)
    const { streams } = (await link.ask('$JS.API.STREAM.LIST')).json<{
      streams: readonly { config: { name: string }; state: { bytes: number } }[]
    }>()
    const own = streams.filter(({ config }) => config.name.startsWith(prefix))
    return own.reduce((sum, { state }) => sum + state.bytes, 0)
  }
  const client = createClient({ url: server })
  await client.connect()
  try {
    const keys = await client.keys(`${prefix}:*`)
    const sizes = await Promise.all(keys.map((key) => client.memoryUsage(key, { SAMPLES: 0 })))
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  } finally {
    client.destroy()
  }
}

describe.each(BROKERS)('on $name', ({ make }) => {
  test('[CN10] [C29] a channel through which 6 000 messages of several processes went does not keep growing; unread ones are not evicted', {
    timeout: 60_000,
  }, async () => {
    await using store = make()
    // The ids of repeats are remembered for their own time, which is to be over within each round.
    const options = { env: hasty(), dedupMs: 50, defaults: { retention: { maxCount: 500 } } }
    const buses = await Promise.all(numbers(3).map((n) => store.open({ name: `p${n}`, ...options })))
    const [one, two, three] = buses as [(typeof buses)[0], (typeof buses)[0], (typeof buses)[0]]
    let handled = 0
    for (const bus of [two, three]) bus.subscribe('work.*', () => void handled++, { group: 'workers' })
    // A group that is there, and does not read.
    await two.subscribe('unread.*', () => undefined, { group: 'late' }).drain()
    await Promise.all(numbers(700).map((n) => one.publish('unread.a', n)))
    const infoOf = async (name: string) => (await one.channels()).find((channel) => channel.name === name)
    const sizes: number[] = []
    const held: number[] = []
    for (const round of numbers(3)) {
      for (const _ of numbers(4)) await Promise.all(numbers(500).map((n) => one.publish('work.a', n)))
      await until(async () => (await infoOf('work'))?.ledger.acked === (round + 1) * 2_000, 'the acknowledgements')
      await until(async () => ((await infoOf('work'))?.messages ?? 0) <= 500, 'the removal')
      sizes.push((await infoOf('work'))?.messages ?? 0)
      held.push(await heldAt(await store.url()))
    }
    expect(handled).toBe(6_000)
    // Never below what is to stay, and after each round no larger than after the one before.
    expect(sizes).toEqual([500, 500, 500])
    // All 6 700 messages would be more than a million; JetStream keeps a quarter of a million back for settlements when it is full.
    expect(Math.min(...held)).toBeGreaterThan(100_000)
    expect(Math.max(...held)).toBeLessThan(1_000_000)
    expect(await Array.fromAsync(one.replay('work.>'), ({ data }) => data)).toHaveLength(500)
    // More than may stay, but a group has them before it: all are there.
    expect((await infoOf('unread'))?.messages).toBe(700)
    const late: unknown[] = []
    three.subscribe('unread.*', ({ data }) => void late.push(data), { group: 'late' })
    await until(() => late.length === 700, 'what was unread')
    expect(late).toEqual(expect.arrayContaining(numbers(700)))
    await Promise.all(buses.map((bus) => bus.close()))
  })
})
