import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBus, messageMaker } from '../../src/index.ts'
import { sqliteLog } from '../../src/log/index.ts'
import { openJournal } from '../../src/observe/index.ts'
import { timed } from '../harness/clock.ts'
import { dataOf, mustBe } from '../harness/data.ts'
import type { Contestant, Workload } from '../harness/types.ts'
import { keptBus } from './keeping.ts'

const EVENTS = 1_000

function journal(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open() {
      const folder = mkdtempSync(join(tmpdir(), 'bench-journal-'))
      const log = await sqliteLog(join(folder, 'journal.db'))
      const journal = openJournal('bench', log, { data: true })
      const bus = createBus({ name: 'bench' })
      bus.subscribe('event.*', async () => undefined)
      return {
        async pass() {
          const before = journal.stats().stored
          const pass = await timed(EVENTS, async () => {
            for (let id = 0; id < EVENTS; id++) await bus.publish('event.started', dataOf(id))
            await bus.idle()
            await journal.flush()
          })
          mustBe('stored steps, published and handled', journal.stats().stored - before >= 2 * EVENTS, true)
          return pass
        },
        async close() {
          await bus.close()
          await journal.stop()
          await log[Symbol.asyncDispose]()
          rmSync(folder, { recursive: true })
        },
      }
    },
  }
}

function burst(count: number): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open() {
      const { bus, end } = await keptBus('memory', { defaults: { retry: 'llmgine' } })
      let handled = 0
      let target = 0
      let all = Promise.withResolvers<void>()
      bus.subscribe(
        'event.*',
        async () => {
          if (++handled === target) all.resolve()
        },
        { group: 'handlers' },
      )
      return {
        async pass() {
          target = handled + count
          all = Promise.withResolvers()
          const pass = await timed(count, async () => {
            for (let id = 0; id < count; id++) void bus.publish('event.burst', dataOf(id))
            await all.promise
          })
          mustBe('handled events', handled, target)
          return pass
        },
        close: end,
      }
    },
  }
}

function creating(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    open(scale) {
      const count = scale.count(200_000)
      const maker = messageMaker()
      return {
        async pass() {
          let made = 0
          const pass = await timed(count, async () => {
            for (let id = 0; id < count; id++) if (maker.make('event.made', dataOf(id)).topic === 'event.made') made++
          })
          mustBe('made events', made, count)
          return pass
        },
      }
    },
  }
}

function metrics(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale) {
      const bus = createBus({ limit: Number.POSITIVE_INFINITY })
      bus.subscribe('event.*', () => undefined)
      const count = scale.count(1_000_000)
      for (let id = 0; id < count; id++) {
        void bus.publish(`event.type${id % 100}`, dataOf(id))
        if (id % 1_000 === 999) await bus.idle()
      }
      await bus.idle()
      return {
        pass() {
          const startMs = performance.now()
          const { messages } = bus.stats()
          const ms = performance.now() - startMs
          mustBe('counted messages', messages, count)
          return { seconds: ms / 1_000, units: 1, extra: { ms } }
        },
        close: async () => void (await bus.close()),
      }
    },
  }
}

export const lh9: Workload = {
  id: 'LH9',
  rows: [
    {
      name: 'event log',
      work: '1 000 events with full payload into an event log on SQLite',
      timed: 'publish, handler, and until every step is on disk; two steps an event',
      unit: 'events',
      contestants: [journal()],
      elsewhere: { system: 'llmgine', figures: { perSecond: 807 }, note: '597 to 851' },
    },
    ...[9_000, 20_000].map((count) => ({
      name: `resilient burst of ${count.toLocaleString('en').replace(',', ' ')}`,
      work: `burst of ${count} unawaited publishes to a kept channel with retry and dead letters, one async handler`,
      timed: 'every publish, until the last handler has ended; nothing is lost',
      unit: 'events',
      contestants: [burst(count)],
      elsewhere: {
        system: 'llmgine' as const,
        figures: { perSecond: 32_300 },
        note: 'queue 10 000, drop oldest: 9 000 at 32 300/s, of 20 000 half is lost',
      },
    })),
    {
      name: 'event creation',
      work: 'making 200 000 messages, without a bus',
      timed: 'id, time, checks, a copy of the data, deep freezing',
      unit: 'events',
      contestants: [creating()],
      elsewhere: { system: 'llmgine', figures: { perSecond: 211_000 }, note: '211 to 215 k' },
    },
    {
      name: 'metrics after 1 M events',
      work: 'one call of stats() after 1 000 000 events of 100 topics',
      timed: 'the call',
      unit: 'calls',
      main: 'ms',
      contestants: [metrics()],
      elsewhere: { system: 'llmgine', figures: { ms: 263 } },
    },
  ],
}
