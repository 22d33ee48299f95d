import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serially, timed } from '../harness/clock.ts'
import { mustBe } from '../harness/data.ts'
import { spaced } from '../harness/format.ts'
import type { Bar, Contestant, Workload } from '../harness/types.ts'
import { rawInserts } from '../peers/raw-sqlite.ts'
import { keptBus, publishAll } from './keeping.ts'

const MESSAGES = 100_000
const IN_FLIGHT = 64
const RAW = [100, 1_000].map((batch) => rawInserts(MESSAGES, batch))

/** Nobody handles: the message is on disk when the promise resolves. */
function acked(inFlight: number): Contestant {
  return {
    name: inFlight === IN_FLIGHT ? 'swarmbus' : `swarmbus, ${inFlight} in flight`,
    kind: 'ours',
    async open(scale) {
      const count = scale.count(MESSAGES)
      const { bus, end } = await keptBus('sqlite')
      let kept = 0
      return {
        async pass() {
          const pass = await timed(count, () => publishAll(bus, 'kept.plain', count, inFlight))
          kept += count
          const [channel] = await bus.channels()
          mustBe('kept messages', channel?.messages, kept)
          return pass
        },
        close: end,
      }
    },
  }
}

function handled(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale) {
      const count = scale.count(MESSAGES)
      const { bus, end } = await keptBus('sqlite')
      let seen = 0
      let last = Promise.withResolvers<void>()
      let target = 0
      bus.subscribe(
        'kept.*',
        async () => {
          if (++seen === target) last.resolve()
        },
        { group: 'workers' },
      )
      const held = monitorEventLoopDelay({ resolution: 1 })
      return {
        async pass() {
          target = seen + count
          last = Promise.withResolvers()
          held.reset()
          held.enable()
          const pass = await timed(count, async () => {
            await publishAll(bus, 'kept.task', count, IN_FLIGHT)
            await last.promise
            // Until the last settlement is on disk as well.
            for (;;) {
              const [channel] = await bus.channels()
              if (channel?.ledger.acked === target) break
            }
          })
          held.disable()
          const { max, p99 } = { max: held.max / 1e6, p99: held.percentile(99) / 1e6 }
          return { ...pass, extra: { heldMaxMs: max - 1, heldP99Ms: p99 - 1 } }
        },
        close: end,
      }
    },
  }
}

function oneByOne(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale) {
      const { bus, end } = await keptBus('sqlite')
      return {
        pass: () => serially(scale.count(5_000), (id) => bus.publish('kept.one', { id, data: 'x' })),
        close: end,
      }
    },
  }
}

const ofRaw: readonly Bar[] = RAW.map(({ name }) => ({
  text: `≥ 0.35 of ${name}`,
  value: (medians) => medians.of('swarmbus') / medians.of(name),
  atLeast: 0.35,
}))

export const p5: Workload = {
  id: 'P5',
  rows: [
    {
      name: 'publish → ack',
      work: 'sqlite at level disk: 64 publishers, each waits until its message is on disk',
      timed:
        'making the data, envelope, id, freezing, encoding, commit with fsync, duplicate window, acknowledgement. Raw: JSON text into one table in this thread',
      unit: 'msg',
      contestants: [acked(IN_FLIGHT), acked(1_024), ...RAW],
      bars: [
        {
          text: `≥ ${spaced(150_000)}/s`,
          value: (medians) => medians.of('swarmbus'),
          atLeast: 150_000,
        },
        ...ofRaw,
      ],
    },
    {
      name: 'publish → handled → acked',
      work: 'the same with one durable group: until every message is handled and its settlement is on disk',
      timed: 'as above, and reading, hand-out, async handler, settlement',
      unit: 'msg',
      contestants: [handled()],
      bars: [
        { text: `≥ ${spaced(100_000)}/s`, value: (medians) => medians.of('swarmbus'), atLeast: 100_000 },
        {
          text: 'event loop held ≤ 5 ms (p99)',
          value: (medians) => medians.of('swarmbus', 'heldP99Ms'),
          atMost: 5,
        },
      ],
    },
    {
      name: 'one by one',
      work: 'sqlite at level disk: the next publish when the last one is on disk',
      timed: 'publish until its acknowledgement',
      unit: 'msg',
      main: 'p50',
      contestants: [oneByOne()],
      bars: [{ text: 'p50 ≤ 0.5 ms', value: (medians) => medians.of('swarmbus', 'p50'), atMost: 500 }],
    },
  ],
}
