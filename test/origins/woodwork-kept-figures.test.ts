import { describe, expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { type MessageLog, memoryLog } from '../../src/log/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { AT_ONCE, BACKENDS, keptRig, ledgerOf, settled, until } from './support/kept.ts'
import { gate, range } from './support/woodwork.ts'

const fails = (): never => {
  throw new Error('no')
}

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[W15] every figure counts what happened: published, delivered, failed, retried, dead-lettered, exhausted, timed out, waiting', async () => {
    await using store = make()
    await using r = await keptRig(store, { defaults: { retry: { ...AT_ONCE, attempts: 3 } }, handlerTimeoutMs: 100 })
    const { bus } = r
    bus.subscribe('good', () => undefined, { group: 'g' })
    bus.subscribe('bad', fails, { group: 'g' })
    bus.subscribe('slow', () => new Promise(() => undefined), { group: 'g' })
    const wait = gate()
    bus.subscribe('busy', () => wait.opened, { group: 'g', handlerTimeoutMs: 60_000 })
    for (const n of range(4)) await bus.publish('good', n)
    await bus.publish('bad', 1)
    await bus.publish('slow', 1)
    for (const n of range(3)) await bus.publish('busy', n)
    await bus.publish('later', 1, { delayMs: 500 })
    bus.subscribe('later', () => undefined, { group: 'g' })
    await until(async () => {
      await r.advance(300)
      return bus.stats().deadLetters === 2
    })
    const stats = bus.stats()
    expect(stats).toMatchObject({
      messages: 10,
      subscriptions: 5,
      agents: 0,
      queued: 2,
      peakQueued: 2,
      handlerTimeouts: 3,
      retried: 4,
      deadLettered: 2,
      retriesExhausted: 2,
      deadLetters: 2,
      failures: 2,
      ledger: { failed: 2 },
    })
    expect(stats.ledger.handled).toBeGreaterThanOrEqual(4)
    expect(stats.latency.count).toBeGreaterThan(0)
    expect(stats.handling.avgMs).toBeGreaterThan(0)
    expect(stats.kept.bad).toMatchObject({ published: 1, dead: 1, acked: 0 })
    wait.open()
  })

  test('[W16] retry queue, dead letter queue, rate, success rate and the figures of a component', async () => {
    await using store = make()
    const retry = { attempts: 2, firstDelayMs: 30_000, jitter: 'none' } as const
    await using r = await keptRig(store, { defaults: { retry } })
    const { bus, env } = r
    bus.subscribe('bad', fails, { group: 'g' })
    bus.register('component', { handler: () => undefined })
    const registeredAt = env.wallMs()
    await r.advance(1_000)
    for (const n of range(3)) await bus.send('component', n)
    for (const n of range(2)) await bus.publish('bad', n)
    await r.when(() => bus.stats().retrying === 2, 1_100)
    expect(bus.stats()).toMatchObject({ running: true, retrying: 2, deadLetters: 0, retried: 2 })
    expect(bus.stats().uptimeMs).toBe(env.monotonicMs())
    expect(bus.stats().messagesPerSecond).toBeGreaterThan(0)
    expect(bus.stats().successRate).toBe(1)
    const component = bus.agent('component')
    expect(component).toMatchObject({ registeredAt, handled: { normal: 3 } })
    expect(component?.lastHandled).toBeGreaterThanOrEqual(registeredAt + 1_000)
    await r.when(() => bus.stats().deadLetters === 2, 10_000)
    expect(bus.stats()).toMatchObject({ retrying: 0, deadLettered: 2 })
    expect(bus.stats().successRate).toBeCloseTo(3 / 5, 10)
    const [first] = await bus.deadLetters.list()
    await bus.deadLetters.discard(first?.id ?? '')
    await r.when(() => bus.stats().deadLetters === 1, 1_100)
    expect(bus.stats().deadLettered).toBe(2)
  })

  test('[W17] [WN10] more than 50 dead letters make a bus unhealthy until somebody deals with them; old failures are forgotten', async () => {
    await using store = make()
    await using r = await keptRig(store, { defaults: { retry: { attempts: 1 } }, healthFailures: 60 })
    const { bus, env } = r
    bus.subscribe('bad', fails, { group: 'g' })
    const look = async (): Promise<string> => {
      bus.health()
      await settled(env)
      await env.advance(1_100)
      bus.health()
      await settled(env)
      return bus.health().status
    }
    for (const n of range(50)) await bus.publish('bad', n)
    await r.when(() => bus.stats().ledger.failed === 50)
    expect(await look()).toBe('healthy')
    expect(bus.health().backend).toEqual({
      name: expect.any(String),
      level: expect.any(String),
      state: 'good',
      deadLetters: 50,
    })
    await bus.publish('bad', 50)
    await until(async () => (await look()) === 'unhealthy')
    expect(bus.health().reasons).toEqual([expect.stringMatching(/^51 dead letters.*50/)])
    const [letter] = await bus.deadLetters.list()
    await bus.deadLetters.discard(letter?.id ?? '')
    await until(async () => (await look()) === 'healthy')
    for (const n of range(10)) await bus.publish('bad', n)
    await bus.deadLetters.discardAll()
    await r.when(() => bus.stats().ledger.failed === 61)
    await bus.deadLetters.discardAll()
    expect(await look()).toBe('unhealthy')
    expect(bus.health().reasons).toEqual([expect.stringContaining('61 deliveries failed')])
    await r.advance(310_000)
    expect(await look()).toBe('healthy')
    expect(bus.health()).toMatchObject({ recentFailures: 0, successRate: 1 })
  })

  test('[W18] [WN6] what has expired leaves within 30 s though nobody asks for it, with a record', async () => {
    await using store = make()
    await using r = await keptRig(store, { defaults: { window: 2 } })
    const { bus } = r
    const wait = gate()
    const seen: unknown[] = []
    const handler = ({ data }: { readonly data: unknown }): Promise<void> => {
      seen.push(data)
      return wait.opened
    }
    bus.subscribe('work', handler, { group: 'g', concurrency: 1, handlerTimeoutMs: 600_000 })
    await bus.publish('work', 'running')
    await r.when(() => seen.length === 1, 1)
    // Some are in hand and wait for the handler, the others lie in the log.
    for (const n of range(6)) await bus.publish('work', n, { ttlMs: 1_000 })
    await r.advance(30_000)
    await r.when(async () => (await bus.deadLetters.count()) === 6)
    expect((await bus.deadLetters.list()).map(({ reason, code }) => [reason, code])).toEqual(
      range(6).map(() => ['expired', 'MESSAGE_EXPIRED']),
    )
    expect(await ledgerOf(bus)).toMatchObject({ published: 7, expired: 6, pending: 0, balance: 0 })
    expect(seen).toEqual(['running'])
    wait.open()
    await r.when(async () => (await ledgerOf(bus)).acked === 1)
    expect(seen).toEqual(['running'])
  })

  test('[W3] [WN6] a ttl is tested at the delivery and before each retry; expiry is recorded and told', async () => {
    await using store = make()
    const retry = { attempts: 9, firstDelayMs: 700, factor: 1, jitter: 'none' } as const
    await using r = await keptRig(store, { defaults: { retry } })
    const { bus } = r
    const seen: string[] = []
    await bus.publish('late', 'late', { ttlMs: 1_000 })
    const { receipt } = await bus.publish('bad', 'bad', { ttlMs: 1_500, session: 's', receipt: true })
    await r.advance(1_200)
    bus.subscribe('late', ({ data }) => void seen.push(String(data)), { group: 'g' })
    await r.when(async () => (await bus.deadLetters.count()) === 1)
    expect(seen).toEqual([])
    bus.subscribe(
      'bad',
      ({ data }, { attempt }) => {
        seen.push(`${data} ${attempt}`)
        fails()
      },
      { group: 'g' },
    )
    await r.advance(2_000)
    await r.when(async () => (await bus.deadLetters.count()) === 2)
    expect(seen).toEqual(['bad 1'])
    expect((await bus.deadLetters.list({ order: 'oldest' })).map(({ reason }) => reason)).toEqual([
      'expired',
      'expired',
    ])
    expect((await bus.deadLetters.list({ channel: 'bad' }))[0]?.attempts).toHaveLength(1)
    expect(await receipt).toEqual([])
    const asked = bus.publish('bad', 'asked', { ttlMs: 1_500, until: 'handled' })
    await r.advance(5_000)
    expect((await asked).deliveries).toMatchObject([{ outcome: 'expired', reason: 'expired' }])
  })
})

test('[W17] a log that fails whoever reads it makes the bus unhealthy, by name and reason, as long as it lasts', async () => {
  const env = fakeEnv()
  await using real = memoryLog({ env })
  let broken = false
  const working = (): void => {
    if (broken) throw new Error('the disk is gone')
  }
  const log: MessageLog = {
    ...real,
    consume: (...args) => {
      working()
      return real.consume(...args)
    },
    read: (...args) => {
      working()
      return real.read(...args)
    },
  }
  await using bus = await openBus(log, { env })
  const seen: unknown[] = []
  broken = true
  bus.subscribe('work', ({ data }) => void seen.push(data), { group: 'g' })
  const replayed: unknown[] = []
  bus.subscribe('work', ({ data }) => void replayed.push(data), { from: 'first' })
  await bus.publish('work', 1)
  for (const _ of range(10)) {
    await env.advance(1_000)
    expect(bus.health()).toMatchObject({ status: 'unhealthy', backend: { name: 'memory', state: 'failing' } })
  }
  expect(bus.health().reasons.join('\n')).toMatch(/work\/normal for g.*the disk is gone/)
  broken = false
  await env.advance(6_000)
  expect(bus.health()).toMatchObject({ status: 'healthy', reasons: [], backend: { state: 'good' } })
  expect(seen).toEqual([1])
  expect(replayed).toEqual([1])
})
