import { createBus } from '../../src/index.ts'
import { mustBe } from '../harness/data.ts'
import type { Contestant, Pass, Workload } from '../harness/types.ts'
import { keptBus, type publishAll } from './keeping.ts'

const LOW = 1_000_000
/** Of the backlog, so many are handled before the critical one comes, so that reading is in full swing. */
const WARM = 1_000

/** In the queue of a live subscription: all wait in memory. */
function inProcess(): Contestant {
  return {
    name: 'in process',
    kind: 'ours',
    async open(scale) {
      const low = scale.count(LOW)
      return {
        async pass() {
          const bus = createBus({ limit: low + 1 })
          const measured = measure()
          const filled = Promise.withResolvers<void>()
          bus.subscribe(
            'tasks.*',
            async (message) => {
              // The first one holds up all others until they are there.
              if (message.data === 0) await filled.promise
              await measured.handler(message)
            },
            { concurrency: 1 },
          )
          for (let id = 0; id < low; id++) {
            void bus.publish('tasks.low', id, { priority: 'low' })
            // The event loop, as any publisher gives it: or a million promises would wait for one turn.
            if (id % 1_000 === 999) await new Promise<void>((resolve) => void setImmediate(resolve))
          }
          filled.resolve()
          const pass = await measured.run(() => bus.publish('tasks.now', 'now', { priority: 'critical' }))
          await bus.idle()
          await bus.close()
          return pass
        },
      }
    },
  }
}

function kept(where: 'memory' | 'sqlite' | 'redis'): Contestant {
  return {
    name: `kept in ${where}`,
    kind: 'ours',
    async open(scale) {
      const low = scale.count(LOW)
      const { bus, end } = await keptBus(where, { defaults: { deadLetters: true } })
      const filled = keepLow(bus, low)
      return {
        async pass() {
          await filled
          const [channel] = await bus.channels()
          const before = channel?.ledger
          mustBe('backlog', (before?.held ?? 0) + (before?.pending ?? 0) > low / 2, true)
          const measured = measure()
          const group = bus.subscribe('tasks.*', measured.handler, { group: 'workers', concurrency: 1 })
          const pass = await measured.run(() => bus.publish('tasks.now', 'now', { priority: 'critical' }))
          await group.drain()
          return pass
        },
        close: end,
      }
    },
  }
}

async function keepLow(bus: Parameters<typeof publishAll>[0], low: number): Promise<void> {
  const publishers = 1_024
  let next = 0
  const one = async (): Promise<void> => {
    for (let id = next++; id < low; id = next++) await bus.publish('tasks.low', id, { priority: 'low' })
  }
  await Promise.all(Array.from({ length: publishers }, one))
}

/** A handler of about 20 µs, and the time that a critical message takes from its publish to its handler. */
function measure(): {
  handler: (message: { data: unknown }) => Promise<void>
  run(publish: () => Promise<unknown>): Promise<Pass>
} {
  let handled = 0
  let sentMs = 0
  const warm = Promise.withResolvers<void>()
  const come = Promise.withResolvers<number>()
  return {
    async handler({ data }) {
      if (data === 'now') come.resolve(performance.now())
      if (++handled === WARM) warm.resolve()
    },
    async run(publish) {
      await warm.promise
      sentMs = performance.now()
      const [atMs] = await Promise.all([come.promise, publish()])
      const ms = atMs - sentMs
      // Counted as a tenth of a second: each pass uses up some of the backlog, so there must be few.
      return { seconds: 0.1, units: 1, extra: { ms } }
    },
  }
}

export const p10: Workload = {
  id: 'P10',
  rows: [
    {
      name: 'critical behind 1 M low',
      work: '1 000 000 low messages wait and are being handled; then one critical',
      timed:
        'from the publish of the critical one until its handler begins; on disk and in Redis the keeping is part of it',
      unit: 'msg',
      main: 'ms',
      contestants: [inProcess(), kept('memory'), kept('sqlite'), kept('redis')],
      bars: ['in process', 'kept in memory', 'kept in sqlite', 'kept in redis'].map((name) => ({
        text: `${name}: ≤ 10 ms`,
        value: (medians) => medians.of(name, 'ms'),
        atMost: 10,
      })),
    },
  ],
}
