import { createBus } from '../../src/index.ts'
import { type Data, dataOf } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'
import { AwaitingRing } from '../ring.ts'

export interface Cycling {
  /** Resolves with the id of the message that came back. */
  cycle(id: number): Promise<number>
  close?(): Promise<unknown>
}

/** A driver hands a message to the first of `length` agents, each hands it on, the last one back to the driver. */
export interface Chain extends Omit<Contestant, 'open'> {
  open(length: number): Promise<Cycling> | Cycling
}

/** The driver's end: one cycle at a time. */
function driver(begin: (data: Data) => unknown): { cycle(id: number): Promise<number>; back(data: Data): void } {
  let resolve: (id: number) => void = () => {}
  return {
    cycle: (id) =>
      new Promise((done) => {
        resolve = done
        begin(dataOf(id))
      }),
    back: (data) => resolve(data.id),
  }
}

/** Agents whose async handlers send on in their own name, with causation, and await the acceptance. */
export const swarmbusChain: Chain = {
  name: 'swarmbus',
  kind: 'ours',
  open(length) {
    const bus = createBus()
    const { cycle, back } = driver((data) => bus.send('agent-0', data))
    for (let index = 0; index < length; index++) {
      const next = index + 1 < length ? `agent-${index + 1}` : 'driver'
      bus.register(`agent-${index}`, {
        async handler(message, context) {
          await context.bus.send(next, message.data)
        },
      })
    }
    bus.register('driver', { handler: (message) => back(message.data as Data) })
    return { cycle, close: () => bus.close() }
  },
}

export const bareChain: Chain = {
  name: 'bare rings',
  kind: 'limit',
  open(length) {
    const { cycle, back } = driver((data) => rings[0]?.push(data))
    const rings: AwaitingRing<Data>[] = Array.from(
      { length: length + 1 },
      (_, index) => new AwaitingRing(async (data) => (index < length ? rings[index + 1]?.push(data) : back(data)), 16),
    )
    return { cycle }
  },
}

export const mqemitterChain: Chain = {
  name: 'mqemitter',
  kind: 'peer',
  async open(length) {
    const { default: mqemitter } = await import('mqemitter')
    const emitter = mqemitter()
    const emit = (index: number, { id, data }: Data): void => emitter.emit({ topic: `agent/${index}`, id, data })
    const { cycle, back } = driver((data) => emit(0, data))
    for (let index = 0; index <= length; index++) {
      const handle = async (data: Data): Promise<void> => (index < length ? emit(index + 1, data) : back(data))
      emitter.on(`agent/${index}`, (message, done) => void handle(message as unknown as Data).then(done))
    }
    return { cycle }
  },
}
