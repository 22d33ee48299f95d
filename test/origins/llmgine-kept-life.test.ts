import { describe, expect, test } from 'vitest'
import { createBus, openBus } from '../../src/index.ts'
import { memoryLog } from '../../src/log/index.ts'
import { fails, llmgineKeptLifeCases } from './cases/llmgine-kept-life.ts'
import { AT_ONCE, BACKENDS, child, file, keptRig, ledgerOf, until } from './support/kept.ts'
import { announcements, faultIn, faultOf, range } from './support/woodwork.ts'

llmgineKeptLifeCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
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
