import { createBus, type Handler } from '../../src/index.ts'
import { type Data, dataOf, Sink } from '../harness/data.ts'
import type { Contestant, Figures, Pass, Row, Workload } from '../harness/types.ts'
import { agentNames } from '../peers/swarmbus.ts'

/** Somewhere to put messages for components that come later. */
interface Held {
  put(box: number, data: Data): unknown
  /** The components come; resolves when the sink has everything. */
  arrive(sink: Sink, total: number): Promise<void>
  close(): Promise<unknown> | void
}

function swarmbusHeld(count: number, total: number): Held {
  const bus = createBus({ limit: Math.max(total, 1) })
  const names = agentNames(count)
  for (const name of names) bus.declare(name)
  return {
    put: (box, data) => bus.send(names[box] as string, data),
    async arrive(sink, all) {
      const done = sink.reached(all)
      const handler: Handler = (message) => sink.take(message.data as Data)
      for (const name of names) bus.register(name, { handler })
      await done
      await bus.idle()
    },
    close: () => bus.close(),
  }
}

function bareHeld(count: number): Held {
  const names = agentNames(count)
  const lists = new Map(names.map((name) => [name, [] as Data[]]))
  return {
    put: (box, data) => lists.get(names[box] as string)?.push(data),
    async arrive(sink) {
      for (const list of lists.values()) for (const data of list) sink.take(data)
    },
    close: () => lists.clear(),
  }
}

/** `both`: the clock goes on until everything is drained; otherwise it covers the enqueueing alone. */
function absent(
  name: string,
  kind: Contestant['kind'],
  make: (count: number, total: number) => Held,
  setting: Setting,
): Contestant {
  const { messages, components, both } = setting
  return {
    name,
    kind,
    open(scale) {
      const total = scale.count(messages)
      const sink = new Sink()
      const pass = async (): Promise<Pass> => {
        const held = make(components, total)
        const startMs = performance.now()
        let last: unknown
        for (let id = 0; id < total; id++) last = held.put(id % components, dataOf(id))
        await last
        const queuedMs = performance.now()
        await held.arrive(sink, total)
        const drainedMs = performance.now()
        sink.verify(total)
        await held.close()
        const rate = (ms: number): number => (total / ms) * 1_000
        const extra = { enqueuePerSecond: rate(queuedMs - startMs), drainPerSecond: rate(drainedMs - queuedMs) }
        return both
          ? { seconds: (drainedMs - startMs) / 1_000, units: total, extra }
          : { seconds: (queuedMs - startMs) / 1_000, units: total }
      }
      return { pass }
    },
  }
}

interface Setting {
  readonly messages: number
  readonly components: number
  readonly both: boolean
}

function row(name: string, work: string, setting: Setting, figures: Figures): Row {
  return {
    name,
    work,
    timed: setting.both
      ? 'making the data, send without waiting for each, then registering and every handler; the queue limit is raised to the count'
      : 'making the data and send without waiting for each, round robin; the handlers run, checked, after the clock',
    unit: 'msg',
    contestants: [
      absent('swarmbus', 'ours', swarmbusHeld, setting),
      absent('arrays in a Map', 'limit', bareHeld, setting),
    ],
    elsewhere: { system: 'woodwork', figures },
  }
}

export const wh3: Workload = {
  id: 'WH3',
  rows: [
    row(
      'one component',
      '50 000 messages to an absent component, which then registers',
      { messages: 50_000, components: 1, both: true },
      { perSecond: 213_988, enqueuePerSecond: 238_038, drainPerSecond: 2_115_821 },
    ),
    row(
      '10 queues',
      'enqueue 20 000 messages over 10 absent components',
      { messages: 20_000, components: 10, both: false },
      { perSecond: 228_000 },
    ),
    row(
      '1 000 queues',
      'enqueue 5 000 messages over 1 000 absent components',
      { messages: 5_000, components: 1_000, both: false },
      { perSecond: 38_000 },
    ),
  ],
}
