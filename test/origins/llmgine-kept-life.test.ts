import { describe, expect, test } from 'vitest'
import { createBus, openBus } from '../../src/index.ts'
import { memoryLog } from '../../src/log/index.ts'
import { AT_ONCE, BACKENDS, child, file, keptRig, ledgerOf, until } from './support/kept.ts'
import { announcements, faultIn, faultOf, gate, range } from './support/woodwork.ts'

const fails = (): never => {
  throw new Error('no')
}

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[LN6] a second bus on the same log has its dead letters and its history; filters, buffering and the log go together', async () => {
    await using store = make()
    const defaults = { retry: { ...AT_ONCE, attempts: 2 } }
    {
      await using bus = await store.open({ defaults })
      bus.subscribe('command', fails, { group: 'handlers' })
      for (const n of range(3)) await bus.publish('command', n, { until: 'handled' })
    }
    await using bus = await store.open({ defaults, autoStart: false, limit: 2 })
    expect((await bus.deadLetters.list({ order: 'oldest' })).map(({ message }) => message.data)).toEqual(range(3))
    const seen: unknown[] = []
    const replayed: unknown[] = []
    bus.subscribe('event', ({ data }) => void seen.push(data), { filter: ({ data }) => data !== 'filtered' })
    bus.subscribe('event', ({ data }) => void replayed.push(data), { group: 'late' })
    const early = [bus.publish('event', 'early'), bus.publish('event', 'filtered')]
    void Promise.allSettled(early)
    expect((await faultOf(bus.publish('event', 'too many'))).code).toBe('QUEUE_FULL')
    expect(seen).toEqual([])
    bus.start()
    await Promise.all(early)
    await until(() => seen.length === 1 && replayed.length === 2)
    expect([seen, replayed]).toEqual([['early'], ['early', 'filtered']])
    const kept: unknown[] = []
    for await (const { data } of bus.replay('>')) kept.push(data)
    expect(kept).toEqual([0, 1, 2, 'early', 'filtered'])
  })

  test('[LN7] of 1,000 queued commands a stop after 50 ms loses none, says how many are left, and the next start does them', async () => {
    await using store = make()
    const done: unknown[] = []
    {
      await using r = await keptRig(store)
      const { bus, env } = r
      bus.subscribe(
        'command',
        async ({ data }) => {
          await new Promise<void>((resolve) => void env.after(1, resolve))
          done.push(data)
        },
        { group: 'handlers', concurrency: 1 },
      )
      await Promise.all(range(1_000).map((n) => bus.publish('command', n)))
      const stopping = bus.stop({ limitMs: 50 })
      await r.advance(60)
      const report = await stopping
      expect(report.abandoned).toBeLessThanOrEqual(1)
      // A handler that was given up may still end, and is done again.
      expect([1_000 - done.length, 1_000 - done.length + report.abandoned]).toContain(report.kept)
      expect(report.kept).toBeGreaterThan(500)
      expect(bus.failures()).toEqual([])
    }
    await using bus = await store.open()
    bus.subscribe('command', ({ data }) => void done.push(data), { group: 'handlers' })
    await until(async () => (await ledgerOf(bus)).acked === 1_000)
    expect(new Set(done)).toEqual(new Set(range(1_000)))
    expect(done.length).toBeLessThanOrEqual(1_001)
  })

  test('[LN8] an event for later is kept with all its fields, and comes once and at its time though the bus ended before', async () => {
    await using store = make()
    const data = { kind: 'Reminder', nested: { list: [1, null], bytes: new Uint8Array([1, 2]) }, at: new Date(0) }
    {
      await using bus = await store.open()
      bus.subscribe('reminder', fails, { group: 'handlers' })
      await bus.publish('reminder', data, {
        delayMs: 400,
        session: 's',
        headers: { type: 'Reminder' },
        priority: 'high',
      })
      expect((await bus.channels())[0]?.ledger).toMatchObject({ delayed: 1 })
    }
    await using bus = await store.open()
    const seen: unknown[] = []
    const openedMs = performance.now()
    bus.subscribe('reminder', (message) => void seen.push([message, performance.now() - openedMs]), {
      group: 'handlers',
    })
    await until(() => seen.length === 1)
    expect(seen).toMatchObject([
      [{ data, session: 's', headers: { type: 'Reminder' }, priority: 'high' }, expect.any(Number)],
    ])
    expect(await ledgerOf(bus)).toMatchObject({ delayed: 0, dead: 0, balance: 0 })
    expect(seen).toHaveLength(1)
  })

  test('[LN9] of a burst of 20,000 to a limit of 10,000 the publishers know exactly which were kept', async () => {
    await using store = make()
    await using bus = await store.open({ channels: { burst: { limit: 10_000, overflow: 'refuse' } } })
    const wait = gate()
    let handled = 0
    bus.subscribe(
      'burst',
      async () => {
        await wait.opened
        handled++
      },
      { group: 'handlers', concurrency: 1_000, handlerTimeoutMs: 600_000 },
    )
    const outcomes: string[] = []
    for (const part of range(20)) {
      const results = await Promise.allSettled(range(1_000).map((n) => bus.publish('burst', part * 1_000 + n)))
      for (const one of results) outcomes.push(one.status === 'fulfilled' ? one.value.level : one.reason.code)
    }
    const kept = outcomes.filter((one) => one !== 'QUEUE_FULL').length
    expect(outcomes).toHaveLength(20_000)
    // Exact to those that were on their way at the same time.
    expect(kept).toBeGreaterThanOrEqual(10_000)
    expect(kept).toBeLessThan(11_001)
    wait.open()
    await until(async () => (await ledgerOf(bus)).acked === kept)
    expect(handled).toBe(kept)
  }, 120_000)
})

test('[LN6] a plain bus says that it has no log instead of silently staying plain', async () => {
  await using bus = createBus()
  expect(faultIn(() => bus.deadLetters).code).toBe('UNSUPPORTED')
  expect((await faultOf(bus.publish('t', 1, { delayMs: 10 }))).code).toBe('UNSUPPORTED')
  expect(faultIn(() => bus.replay('t')).code).toBe('UNSUPPORTED')
  expect(faultIn(() => bus.subscribe('t', () => undefined, { from: 'first' })).code).toBe('UNSUPPORTED')
})

test('[LN6] a bus that is opened on a log that was made before does not end it', async () => {
  await using log = memoryLog()
  for (const n of range(3)) {
    await using bus = await openBus(log, { defaults: { retry: { attempts: 1 } } })
    bus.subscribe('command', fails, { group: 'handlers' })
    await bus.publish('command', n, { until: 'handled' })
  }
  await using bus = await openBus(log)
  await until(async () => (await bus.deadLetters.count()) === 3)
  expect((await bus.deadLetters.list({ order: 'oldest' })).map(({ message }) => message.data)).toEqual(range(3))
})

test('[LN8] [L39] killed with events for later and dead letters: both are there, the events at their time, the letters as they were', async () => {
  const path = file()
  const worker = child(
    path,
    `{ defaults: { retry: { attempts: 2, firstDelayMs: 1, jitter: 'none' } } }`,
    `bus.subscribe('command', () => { throw new Error('no') }, { group: 'handlers' })
     for (let n = 0; n < 3; n++) await bus.publish('command', n, { until: 'handled' })
     for (let n = 0; n < 5; n++) await bus.publish('later', n, { delayMs: 500, session: 's' })
     while (await bus.deadLetters.count() < 3) await new Promise((resolve) => setTimeout(resolve, 5))
     say(JSON.stringify((await bus.deadLetters.list()).map((one) => one.id)))
     say('ready')`,
  )
  await worker.said('ready')
  await worker.kill()
  await using bus = await openBus(`sqlite:${path}`, { defaults: { retry: AT_ONCE } })
  expect((await bus.deadLetters.list()).map(({ id }) => id)).toEqual(JSON.parse(worker.lines[0] ?? '[]'))
  expect((await bus.deadLetters.list())[0]).toMatchObject({ attempts: { length: 2 }, redriven: 0 })
  const seen: unknown[] = []
  bus.subscribe('later', ({ data }) => void seen.push(data), { group: 'handlers' })
  await until(() => seen.length >= 5)
  expect(seen).toEqual(range(5))
  bus.subscribe('command', ({ data }) => void seen.push(`again ${data}`), { group: 'handlers' })
  expect(await bus.deadLetters.redriveAll()).toBe(3)
  await until(() => seen.length >= 8)
  expect(seen.slice(5).toSorted()).toEqual(['again 0', 'again 1', 'again 2'])
  const evicted = await announcements('dead-letter.evicted', async () => {
    await until(async () => (await bus.deadLetters.count()) === 0)
  })
  expect(evicted).toEqual([])
}, 60_000)
