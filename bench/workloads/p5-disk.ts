import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serially } from '../harness/clock.ts'
import { mustBe } from '../harness/data.ts'
import { spaced } from '../harness/format.ts'
import type { Bar, Contestant, Pass, Workload } from '../harness/types.ts'
import { rawInserts } from '../peers/raw-sqlite.ts'
import { acked, handled, keptBus } from './keeping.ts'

const MESSAGES = 100_000
const IN_FLIGHT = 64
const RAW = [100, 1_000].map((batch) => rawInserts(MESSAGES, batch))

/** The milliseconds for which the event loop was held meanwhile. */
async function watched(run: () => Promise<Pass>): Promise<Pass> {
  const held = monitorEventLoopDelay({ resolution: 1 })
  held.enable()
  const pass = await run()
  held.disable()
  const { max, p99 } = { max: held.max / 1e6, p99: held.percentile(99) / 1e6 }
  return { ...pass, extra: { heldMaxMs: max - 1, heldP99Ms: p99 - 1 } }
}

function oneByOne(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale) {
      const { bus, end } = await keptBus('sqlite')
      let kept = 0
      return {
        async pass() {
          const count = scale.count(5_000)
          const pass = await serially(count, (id) => bus.publish('kept.one', { id, data: 'x' }))
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
      contestants: [
        acked('sqlite', MESSAGES, IN_FLIGHT),
        acked('sqlite', MESSAGES, 1_024, 'swarmbus, 1024 in flight'),
        ...RAW,
      ],
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
      contestants: [handled('sqlite', MESSAGES, IN_FLIGHT, watched)],
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
