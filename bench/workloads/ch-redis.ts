import { type Bus, openBus } from '../../src/index.ts'
import { startRedis } from '../../test/servers/redis.ts'
import { serially, timed } from '../harness/clock.ts'
import { dataOf, mustBe } from '../harness/data.ts'
import { spaced } from '../harness/format.ts'
import { gap } from '../harness/gaps.ts'
import type { Contestant, Workload } from '../harness/types.ts'
import { publishAll } from './keeping.ts'

const TASKS = 20_000
const IDLE = 100
const REQUESTS = 60

/** Two participants of one swarm on a Redis without persistence, as the figures of Cortex were measured. */
async function pair(): Promise<{ readonly one: Bus; readonly two: Bus; close(): Promise<void> }> {
  const server = await startRedis({ appendonly: 'no' })
  const one = await openBus(server.url)
  const two = await openBus(server.url)
  return {
    one,
    two,
    async close() {
      await one.close()
      await two.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

function publishOnly(writers: number): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale) {
      const count = scale.count(TASKS)
      const { one, close } = await pair()
      let kept = 0
      return {
        async pass() {
          const pass = await timed(count, () => publishAll(one, 'tasks.coding', count, writers))
          kept += count
          const [channel] = await one.channels()
          mustBe('kept messages', channel?.messages, kept)
          return pass
        },
        close,
      }
    },
  }
}

function endToEnd(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale) {
      const count = scale.count(TASKS)
      const { one, two, close } = await pair()
      let seen = 0
      let target = 0
      let last = Promise.withResolvers<void>()
      two.subscribe(
        'tasks.*',
        async () => {
          if (++seen === target) last.resolve()
        },
        { group: 'agents', concurrency: 1 },
      )
      return {
        async pass() {
          target = seen + count
          last = Promise.withResolvers()
          return timed(count, async () => {
            await publishAll(one, 'tasks.coding', count, 16)
            await last.promise
          })
        },
        close,
      }
    },
  }
}

function idle(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale) {
      const count = scale.count(IDLE)
      const { one, two, close } = await pair()
      let come = Promise.withResolvers<number>()
      two.subscribe('tasks.*', async () => come.resolve(performance.now()), { group: 'agents' })
      await one.publish('tasks.coding', dataOf(0))
      await come.promise
      return {
        async pass() {
          const samples = new Float64Array(count)
          for (let id = 0; id < count; id++) {
            await gap(20 + ((id * 37) % 85))
            come = Promise.withResolvers()
            const startMs = performance.now()
            await one.publish('tasks.coding', dataOf(id))
            samples[id] = (await come.promise) - startMs
          }
          return { seconds: samples.reduce((sum, ms) => sum + ms, 0) / 1_000, units: count, samples }
        },
        close,
      }
    },
  }
}

function requests(): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale) {
      const { one, two, close } = await pair()
      two.register('pink', { handler: async ({ data }) => data })
      while (one.processes()[0]?.agents.length !== 1) await gap(5)
      return {
        pass: () =>
          serially(scale.count(REQUESTS), async (id) => {
            const { data } = await one.request<{ id: number }>('agent.pink', dataOf(id))
            mustBe('answer', data.id, id)
          }),
        close,
      }
    },
  }
}

const AROUND = 'two buses on one Redis without persistence, as Cortex was measured'

export const ch2: Workload = {
  id: 'CH2',
  rows: [1, 16].map((writers) => ({
    name: writers === 1 ? 'publish only, one by one' : `publish only, ${writers} writers`,
    work: `${spaced(TASKS)} tasks are kept, ${writers} at once; ${AROUND}`,
    timed: 'publish until its acknowledgement',
    unit: 'msg',
    contestants: [publishOnly(writers)],
    elsewhere: { system: 'cortex', figures: { perSecond: writers === 1 ? 33_600 : 53_500 }, note: 'Go, XADD alone' },
  })),
}

export const ch3: Workload = {
  id: 'CH3',
  rows: [
    {
      name: 'end to end',
      work: `${spaced(TASKS)} normal tasks to one agent, one handler at a time; ${AROUND}`,
      timed: 'publish until the last one is handled; each is acknowledged after its handler',
      unit: 'msg',
      contestants: [endToEnd()],
      elsewhere: { system: 'cortex', figures: { perSecond: 2_015 } },
    },
  ],
}

export const ch4: Workload = {
  id: 'CH4',
  rows: [
    {
      name: 'idle, single message',
      work: `one message at a time, ${IDLE} times at 20 to 104 ms gaps; ${AROUND}`,
      timed: 'from the publish until the handler of the other bus begins',
      unit: 'msg',
      main: 'p50',
      contestants: [idle()],
      bars: [{ text: 'p99 ≤ 10 ms', value: (medians) => medians.of('swarmbus', 'p99'), atMost: 10_000 }],
      elsewhere: { system: 'cortex', figures: { p50: 23_600, p95: 46_600, p99: 49_000 } },
    },
  ],
}

export const ch5: Workload = {
  id: 'CH5',
  rows: [
    {
      name: 'request',
      work: `request → reply between two buses, ${REQUESTS} times one after another; ${AROUND}`,
      timed: 'request until its answer',
      unit: 'requests',
      main: 'p50',
      contestants: [requests()],
      bars: [{ text: 'p99 ≤ 10 ms', value: (medians) => medians.of('swarmbus', 'p99'), atMost: 10_000 }],
      elsewhere: { system: 'cortex', figures: { p50: 87_600, p95: 101_800 } },
    },
  ],
}
