import { hasSubscribers, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'
import { createBus, EVENTS } from '../../src/index.ts'
import { type MessageLog, memoryLog, sqliteLog } from '../../src/log/index.ts'
import { openJournal } from '../../src/observe/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { place } from './support/cortex-kept.ts'
import { numbers } from './support/cortex-veritas.ts'

// Event log to a SQLite file, as LH9 measured it; the figures are in the benchmarks.

/** The announcements to which somebody listens. */
function listened(): readonly string[] {
  return EVENTS.filter((event) => hasSubscribers(`swarmbus.${event}`))
}

test('[L60] the event log is off by default: nobody listens to a bus that was only made', async () => {
  await using bus = createBus()
  bus.subscribe('events', () => undefined)
  await bus.publish('events', 1, { until: 'handled' })
  expect(listened()).toEqual([])
  const journal = openJournal('bus', memoryLog())
  expect(listened()).toContain('message.published')
  await journal.stop()
  expect(listened()).toEqual([])
})

test('[L60] 1 000 events with their full payload are in a SQLite file after the flush at stop, and after a restart', async () => {
  using at = place()
  const ids: string[] = []
  const payload = (number: number): object => ({
    number,
    text: 'x'.repeat(200),
    nested: { list: [number, null, true] },
  })
  {
    await using log = await sqliteLog(at.file)
    await using journal = openJournal('llm', log, { data: true })
    await using bus = createBus({ name: 'llm' })
    for (const number of numbers(1_000)) ids.push((await bus.publish('events.a', payload(number))).id)
    await journal.stop()
    expect(journal.stats()).toMatchObject({ heard: 1_000, stored: 1_000, waiting: 0, dropped: 0, lost: 0, faults: 0 })
  }
  await using log = await sqliteLog(at.file)
  await using journal = openJournal('llm', log)
  expect(await journal.evaluate()).toMatchObject({ published: 1_000, missing: 0 })
  for (const number of [0, 499, 999]) {
    const [step] = await journal.trace(ids[number] as string)
    expect(step).toMatchObject({ event: 'published', topic: 'events.a', data: payload(number) })
  }
})

test('[L60] events are stored in batches outside of the publish path: many publishes, few appends, none awaited', async () => {
  const inner = memoryLog()
  const sizes: number[] = []
  const gate = Promise.withResolvers<void>()
  const log: MessageLog = {
    ...inner,
    async append(stream, items) {
      sizes.push(items.length)
      await gate.promise
      return inner.append(stream, items)
    },
  }
  const env = fakeEnv()
  const journal = openJournal('llm', log, { env })
  await using bus = createBus({ name: 'llm' })
  for (const number of numbers(1_000)) await bus.publish('events.a', number)
  // All were published while the log has not answered once.
  expect(sizes).toEqual([])
  await env.advance(100)
  expect(sizes).toEqual([500])
  gate.resolve()
  await journal.flush()
  expect(sizes).toEqual([500, 500])
  expect(journal.stats().stored).toBe(1_000)
  await journal.stop()
})

test('[L60] a fault of the event log is counted and told, and reaches no publisher and no handler', async () => {
  const log: MessageLog = { ...memoryLog(), append: () => Promise.reject(new Error('disk on fire')) }
  const told: unknown[] = []
  const listen = (fields: unknown): void => void told.push((fields as { error: unknown }).error)
  subscribe('swarmbus.journal.failed', listen)
  const env = fakeEnv()
  const journal = openJournal('llm', log, { env, stopMs: 0 })
  await using bus = createBus({ name: 'llm' })
  const handled: unknown[] = []
  bus.subscribe('events.a', ({ data }) => void handled.push(data))
  for (const number of numbers(100)) await bus.publish('events.a', number, { until: 'succeeded' })
  await env.advance(100)
  expect(handled).toEqual(numbers(100))
  expect(bus.failures()).toEqual([])
  expect(journal.stats().faults).toBeGreaterThan(0)
  expect(String(told[0])).toContain('disk on fire')
  const stopping = journal.stop()
  await env.advance(1)
  await stopping
  expect(journal.stats()).toMatchObject({ waiting: 0, stored: 0, lost: 200 })
  unsubscribe('swarmbus.journal.failed', listen)
})

test('[L60] retention of the file: steps beyond the number or the age that is kept are cleaned up, restarts included', async () => {
  using at = place()
  const env = fakeEnv()
  for (const round of numbers(3)) {
    await using log = await sqliteLog(at.file, { env })
    const journal = openJournal('llm', log, { env, maxCount: 300, maxAgeMs: 86_400_000 })
    await using bus = createBus({ name: 'llm' })
    for (const number of numbers(1_000)) await bus.publish('events.a', number)
    await journal.flush()
    await journal.stop()
    const [stream] = await log.streams('journal')
    expect([round, stream?.count]).toEqual([round, 300])
  }
  await env.advance(2 * 86_400_000)
  await using log = await sqliteLog(at.file, { env })
  const journal = openJournal('llm', log, { env, maxCount: 300, maxAgeMs: 86_400_000 })
  await using bus = createBus({ name: 'llm' })
  const { id } = await bus.publish('events.a', 'today')
  await journal.flush()
  expect((await journal.evaluate()).published).toBe(1)
  expect((await journal.trace(id)).length).toBe(1)
  await journal.stop()
})
