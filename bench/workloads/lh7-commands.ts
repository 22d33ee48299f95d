import { createBus } from '../../src/index.ts'
import { serially } from '../harness/clock.ts'
import { type Data, dataOf, mustBe } from '../harness/data.ts'
import type { Contestant, Pass, Workload } from '../harness/types.ts'
import { SyncRing } from '../ring.ts'

const COMMANDS = 10_000

/** Commands, each of which queues two events; `idle` resolves when the events are handled too. */
interface Commanding {
  execute(id: number): Promise<number>
  idle(): Promise<unknown>
  /** Events handled so far. */
  events(): number
  close?(): Promise<unknown>
}

function swarmbusCommands(): Commanding {
  let events = 0
  const bus = createBus()
  bus.subscribe('event.*', () => {
    events++
  })
  bus.subscribe<Data>('command.run', (message, context) => {
    const { id } = message.data
    void context.bus.publish('event.started', { id })
    void context.bus.publish('event.finished', { id })
    return { id }
  })
  return {
    execute: async (id) => (await bus.request<{ readonly id: number }>('command.run', dataOf(id))).data.id,
    idle: () => bus.idle(),
    events: () => events,
    close: () => bus.close(),
  }
}

function bareCommands(): Commanding {
  let events = 0
  const listeners = new SyncRing<{ readonly id: number }>(() => {
    events++
  })
  const commands = new SyncRing<{ readonly data: Data; readonly resolve: (id: number) => void }>(
    ({ data, resolve }) => {
      listeners.push({ id: data.id })
      listeners.push({ id: data.id })
      resolve(data.id)
    },
  )
  return {
    execute: (id) => new Promise((resolve) => commands.push({ data: dataOf(id), resolve })),
    idle: () => Promise.resolve(),
    events: () => events,
  }
}

function commanding(name: string, kind: Contestant['kind'], make: () => Commanding): Contestant {
  return {
    name,
    kind,
    open(scale) {
      const commands = make()
      const total = scale.count(COMMANDS)
      const pass = async (): Promise<Pass> => {
        const before = commands.events()
        const done = await serially(total, async (id) => mustBe('answer', await commands.execute(id), id))
        const startMs = performance.now()
        await commands.idle()
        const seconds = done.seconds + (performance.now() - startMs) / 1_000
        mustBe('handled events', commands.events() - before, total * 2)
        return { ...done, seconds }
      }
      return { pass, ...(commands.close === undefined ? {} : { close: commands.close }) }
    },
  }
}

export const lh7: Workload = {
  id: 'LH7',
  rows: [
    {
      name: 'commands',
      work: '10 000 sequential commands, two events queued by each',
      timed:
        'making the data, request with its deadline, handler, two publishes, answer, and until the last event is handled; two clock ' +
        'readings per command. Percentiles: the command alone',
      unit: 'commands',
      contestants: [
        commanding('swarmbus', 'ours', swarmbusCommands),
        commanding('bare rings + promise', 'limit', bareCommands),
      ],
      elsewhere: {
        system: 'llmgine',
        figures: { perSecond: 46_700, p99: 60 },
        note: 'documented commit; newest 36 700',
      },
    },
  ],
}
