import { describe, expect, test } from 'vitest'
import { type Failure, openBus } from '../../src/index.ts'
import { woodworkKeptStopCases } from './cases/woodwork-kept-stop.ts'
import { AT_ONCE, BACKENDS, child, file, keptRig, ledgerOf, settled, until } from './support/kept.ts'
import { faultOf, gate, range } from './support/woodwork.ts'

woodworkKeptStopCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[W19] [WN7] of 100 queued and 5 retrying messages a stop reports all that it keeps, and the next start does them', async () => {
    await using store = make()
    const dropped: Failure[] = []
    const done = new Set<unknown>()
    const retry = { attempts: 3, firstDelayMs: 60_000, jitter: 'none' } as const
    {
      await using r = await keptRig(store, {
        defaults: { retry },
        drainMs: 50,
        onFailure: (failure) => void dropped.push(failure),
      })
      const { bus, env } = r
      const busy = gate()
      let failed = 0
      bus.subscribe(
        'work',
        ({ data }) => {
          if ((data as number) >= 100) {
            failed++
            throw new Error('not yet')
          }
          done.add(data)
          return busy.opened
        },
        { group: 'g', concurrency: 1 },
      )
      for (const n of range(5)) await bus.publish('work', 100 + n, { priority: 'critical', session: `s${n % 3}` })
      await r.when(() => failed >= 3)
      for (const n of range(100)) await bus.publish('work', n)
      await r.when(() => done.size > 0)
      const stopping = bus.stop()
      await settled(env)
      expect((await faultOf(bus.publish('work', 1_000))).code).toBe('NOT_RUNNING')
      await r.advance(60)
      const report = await stopping
      expect(report).toMatchObject({ handled: 0, abandoned: 1, kept: 105 })
      expect(dropped).toEqual([])
      expect(await ledgerOf(bus)).toMatchObject({ published: 105, acked: 0, balance: 0 })
      expect(await bus.close()).toEqual({ handled: 0, left: 0, abandoned: 0 })
      busy.open()
    }
    await using bus = await store.open({ defaults: { retry: AT_ONCE } })
    const after: unknown[] = []
    bus.subscribe('work', ({ data }) => void after.push(data), { group: 'g' })
    await until(async () => (await ledgerOf(bus)).acked === 105)
    expect(new Set(after)).toEqual(new Set(range(105)))
  })
})

test('[WN7] [W19] a killed process loses nothing of 100 queued and 5 retrying messages', async () => {
  const path = file()
  const worker = child(
    path,
    `{ defaults: { retry: { attempts: 9, firstDelayMs: 60000, jitter: 'none' } } }`,
    `let failed = 0
       let failedAll
       const allFailed = new Promise((resolve) => { failedAll = resolve })
       bus.subscribe('work', ({ data }) => {
         if (data < 100) return new Promise(() => say('busy'))
         if (++failed === 5) { say('failed'); failedAll() }
         throw new Error('not yet')
       }, { group: 'g', concurrency: 1 })
       await Promise.all(Array.from({ length: 5 }, (_, n) => bus.publish('work', 100 + n, { priority: 'high' })))
       // Whoever is busy with one of the others takes no more.
       await allFailed
       await Promise.all(Array.from({ length: 100 }, (_, n) => bus.publish('work', n)))
       say('published')
       while ((await bus.channels())[0].ledger.delayed < 5) await new Promise((resolve) => setTimeout(resolve, 5))
       // Commits are made in order: with this one their waits are on disk.
       await bus.publish('zone', 0)
       say('delayed')`,
  )
  for (const line of ['failed', 'published', 'busy', 'delayed']) await worker.said(line)
  await worker.kill()
  await using bus = await openBus(`sqlite:${path}`, { defaults: { retry: AT_ONCE } })
  expect((await bus.channels())[0]?.ledger).toMatchObject({ published: 105, acked: 0, dead: 0, dropped: 0 })
  const seen = new Set<unknown>()
  bus.subscribe('work', ({ data }) => void seen.add(data), { group: 'g' })
  await until(() => range(100).every((n) => seen.has(n)))
  // Those that wait for another try wait on.
  await until(async () => (await ledgerOf(bus)).acked === 100)
  expect((await bus.channels())[0]?.ledger).toMatchObject({ delayed: 5, dead: 0, dropped: 0 })
  expect(seen).toEqual(new Set(range(100)))
}, 60_000)
