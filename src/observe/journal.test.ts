import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { until } from '../../test/kept/support.ts'
import { listen } from '../../test/origins/support/cortex-veritas.ts'
import { createBus, type Message, openBus } from '../index.ts'
import { BusError } from '../kit/errors.ts'
import { type MessageLog, memoryLog, sqliteLog } from '../log/index.ts'
import { fakeEnv } from '../testing/index.ts'
import { type Journal, openJournal, type Step } from './index.ts'

const FAST = { attempts: 2, firstDelayMs: 1, jitter: 'none' } as const

/** A log whose appends fail as long as `fault` is set, and wait as long as `gate` is. */
function badLog(): { log: MessageLog; state: { fault: BusError | undefined; gate: Promise<void> | undefined } } {
  const inner = memoryLog()
  const state: { fault: BusError | undefined; gate: Promise<void> | undefined } = { fault: undefined, gate: undefined }
  const log: MessageLog = {
    ...inner,
    async append(stream, items) {
      await state.gate
      if (state.fault !== undefined) throw state.fault
      return inner.append(stream, items)
    },
  }
  return { log, state }
}

function events(steps: readonly Step[]): string[] {
  return steps.map((step) => step.event)
}

function balance(journal: Journal): number {
  const { heard, stored, waiting, dropped, lost } = journal.stats()
  return heard - stored - waiting - dropped - lost
}

test('a message of a bus without a log leaves its steps: published, handled, and who failed why', async () => {
  await using journal = openJournal('first', memoryLog())
  await using bus = createBus({ name: 'first' })
  bus.subscribe('jobs', () => undefined, { name: 'good' })
  bus.subscribe('jobs', () => Promise.reject(new TypeError('cannot')), { name: 'bad' })
  const { id } = await bus.publish('jobs', { secret: 1 }, { from: 'harold', session: 's', until: 'handled' })
  const steps = await journal.trace(id)
  expect(events(steps).toSorted()).toEqual(['failed', 'handled', 'published'])
  expect(steps[0]).toMatchObject({ event: 'published', topic: 'jobs', from: 'harold', session: 's', rootId: id })
  expect(steps.find((one) => one.event === 'failed')).toMatchObject({
    name: 'bad',
    error: 'TypeError: cannot',
    attempt: 1,
  })
  expect(steps.some((one) => 'data' in one)).toBe(false)
})

test('a journal hears its own bus only, and only the topics it was told', async () => {
  const log = memoryLog()
  await using one = openJournal('one', log, { channel: 'one', topics: ['jobs.*'] })
  await using two = openJournal('two', log, { channel: 'two' })
  await using first = createBus({ name: 'one' })
  await using second = createBus({ name: 'two' })
  const a = await first.publish('jobs.a', 1)
  const b = await first.publish('other', 1)
  const c = await second.publish('other', 1)
  expect(events(await one.trace(a.id))).toEqual(['published'])
  for (const id of [b.id, c.id]) expect(await one.trace(id)).toEqual([])
  expect(events(await two.trace(c.id))).toEqual(['published'])
  expect(await two.trace(a.id)).toEqual([])
})

test('with `data` the payload is written, as it was at publishing, and nobody is hindered by one that cannot be', async () => {
  await using journal = openJournal('data', memoryLog(), { data: true })
  await using bus = createBus({ name: 'data' })
  const payload = { list: [1, { deep: true }], when: new Date(5), bytes: new Uint8Array([1, 2]) }
  const first = await bus.publish('jobs', payload)
  const odd = { run: () => 1 }
  const second = await bus.publish('jobs', odd, { payload: 'share' })
  expect((await journal.trace(first.id))[0]?.data).toEqual(payload)
  const [step] = await journal.trace(second.id)
  expect([step?.event, step?.data]).toEqual(['published', undefined])
  expect(Object.isFrozen(odd)).toBe(false)
  expect(journal.stats().lost).toBe(0)
})

test('a log that fails neither delays nor fails a publish; the steps are stored once it works again', async () => {
  const { log, state } = badLog()
  const env = fakeEnv()
  const journal = openJournal('failing', log, { env })
  using failed = listen('journal.failed')
  await using bus = createBus({ name: 'failing' })
  state.fault = new BusError('STORE_FULL', 'no room')
  const acks = await Promise.all(Array.from({ length: 10 }, (_, index) => bus.publish('jobs', index)))
  await env.advance(100)
  expect(journal.stats()).toMatchObject({ heard: 10, stored: 0, waiting: 10, lost: 0 })
  expect(failed.heard[0]).toMatchObject({ bus: 'failing', journal: 'journal', count: 10 })
  await expect(journal.flush()).rejects.toMatchObject({ code: 'STORE_FULL' })
  state.fault = undefined
  await env.advance(1_000)
  expect(journal.stats()).toMatchObject({ stored: 10, waiting: 0 })
  for (const { id } of acks) expect(events(await journal.trace(id))).toEqual(['published'])
  expect(balance(journal)).toBe(0)
  await journal.stop()
  expect(env.timers).toBe(0)
})

test('a log that hangs lets the buffer fill to its limit; by policy the oldest or the newest steps go, counted and told', async () => {
  for (const overflow of ['drop-oldest', 'drop-newest'] as const) {
    const { log, state } = badLog()
    const gate = Promise.withResolvers<void>()
    state.gate = gate.promise
    const env = fakeEnv()
    const journal = openJournal('full', log, { env, limit: 10, overflow })
    using dropped = listen('journal.dropped')
    await using bus = createBus({ name: 'full' })
    const ids: string[] = []
    for (let index = 0; index < 25; index++) ids.push((await bus.publish('jobs', index)).id)
    expect(journal.stats()).toMatchObject({ heard: 25, waiting: 10, dropped: 15 })
    expect(dropped.heard).toEqual([{ bus: 'full', journal: 'journal', count: 1 }])
    gate.resolve()
    await journal.flush()
    const kept = overflow === 'drop-oldest' ? ids.slice(15) : ids.slice(0, 10)
    const found = await Promise.all(ids.map(async (id) => (await journal.trace(id)).length > 0))
    expect(ids.filter((_, index) => found[index])).toEqual(kept)
    expect((await journal.evaluate()).missing).toBe(15)
    expect(balance(journal)).toBe(0)
    await journal.stop()
  }
})

test('stop stores what waits, gives up on a log that stays broken, and leaves no listener and no timer', async () => {
  const env = fakeEnv()
  const { log, state } = badLog()
  const journal = openJournal('ending', log, { env, stopMs: 3_000 })
  await using bus = createBus({ name: 'ending' })
  const { id } = await bus.publish('jobs', 1)
  state.fault = new BusError('STORE_FAILED', 'broken')
  let stopped = false
  const stopping = journal.stop().then(() => {
    stopped = true
  })
  await env.advance(2_900)
  expect(stopped).toBe(false)
  await env.advance(200)
  await stopping
  await journal.stop()
  expect(journal.stats()).toMatchObject({ heard: 1, stored: 0, lost: 1, waiting: 0 })
  await bus.publish('jobs', 2)
  expect(journal.stats().heard).toBe(1)
  expect(env.timers).toBe(0)
  expect(await journal.trace(id)).toEqual([])
})

test('steps that are too old or too many go', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  const journal = openJournal('aging', log, { env, maxAgeMs: 3_600_000, maxCount: 50 })
  await using bus = createBus({ name: 'aging', env })
  const old = await bus.publish('jobs', 'old')
  await journal.flush()
  await env.advance(3_500_000)
  expect((await journal.trace(old.id)).length).toBe(1)
  await env.advance(200_000)
  const young = await bus.publish('jobs', 'young')
  await journal.flush()
  expect(await journal.trace(old.id)).toEqual([])
  expect((await journal.trace(young.id)).length).toBe(1)
  for (let index = 0; index < 200; index++) await bus.publish('jobs', index)
  await journal.flush()
  await env.advance(61_000)
  const last = await bus.publish('jobs', 'last')
  await journal.flush()
  expect((await log.streams('journal'))[0]?.count).toBe(50)
  expect((await journal.trace(last.id)).length).toBe(1)
  const [stopping] = [journal.stop(), bus.close({ limitMs: 0 })]
  await stopping
})

test('what a journal wrote is read by the next one on the same file, and retention holds for it too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'swarmbus-journal-'))
  try {
    const ids: string[] = []
    for (let round = 0; round < 3; round++) {
      await using log = await sqliteLog(join(folder, 'journal.db'))
      await using journal = openJournal('again', log)
      await using bus = createBus({ name: 'again' })
      ids.push((await bus.publish('jobs', round)).id)
      for (const id of ids) expect(events(await journal.trace(id))).toEqual(['published'])
    }
    await using log = await sqliteLog(join(folder, 'journal.db'))
    await using journal = openJournal('again', log, { maxCount: 2 })
    await using bus = createBus({ name: 'again' })
    ids.push((await bus.publish('jobs', 3)).id)
    await journal.flush()
    const left = await Promise.all(ids.map(async (id) => (await journal.trace(id)).length))
    expect(left).toEqual([0, 0, 1, 1])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a journal in the log of the bus itself is not handed to its groups, nor replayed', async () => {
  await using log = memoryLog()
  const seen: string[] = []
  for (let round = 0; round < 2; round++) {
    await using journal = openJournal('same', log)
    await using bus = await openBus(log, { name: 'same' })
    bus.subscribe('>', ({ topic }: Message) => void seen.push(topic), { group: 'all' })
    await bus.publish('tasks.a', round, { until: 'handled' })
    await journal.flush()
    const replayed: string[] = []
    for await (const { topic } of bus.replay('>')) replayed.push(topic)
    expect(new Set(replayed)).toEqual(new Set(['tasks.a']))
  }
  await until(() => seen.length >= 2)
  expect(seen).toEqual(['tasks.a', 'tasks.a'])
})

test('a dead letter, its redrive and the replay of its message stand in its trace', async () => {
  await using journal = openJournal('kept', memoryLog())
  await using bus = await openBus('memory:', { name: 'kept', defaults: { retry: FAST } })
  let broken = true
  bus.subscribe(
    'tasks.*',
    () => {
      if (broken) throw new Error('broken')
    },
    { group: 'workers', name: 'pink' },
  )
  const { id } = await bus.publish('tasks.a', 1, { until: 'handled' })
  await until(async () => (await bus.deadLetters.count()) === 1)
  broken = false
  for (const letter of await bus.deadLetters.list()) await bus.deadLetters.redrive(letter.id)
  await until(async () => events(await journal.trace(id)).includes('acked'))
  for await (const message of bus.replay('tasks.>')) expect(message.id).toBe(id)
  const steps = await journal.trace(id)
  expect(events(steps)).toEqual(
    expect.arrayContaining(['published', 'retried', 'failed', 'died', 'redriven', 'replayed']),
  )
  expect(steps.filter((one) => one.name === 'pink' && one.attempt !== undefined).map((one) => one.attempt)).toEqual([
    1, 2, 1,
  ])
})

test('wrong options and ids are refused with their name', () => {
  const log = memoryLog()
  for (const options of [{ limit: 0 }, { overflow: 'wait' }, { nonsense: 1 }, { topics: ['a..b'] }] as object[]) {
    expect(() => openJournal('bus', log, options)).toThrow(BusError)
  }
  expect(() => openJournal('', log)).toThrow(/"bus"/)
})
