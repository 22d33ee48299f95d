import { createBus, type Message } from '../../src/index.ts'
import { type Data, dataOf } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'
import { SyncRing } from '../ring.ts'

/** One responder that answers with the id it was asked with; `A` is what the library resolves with. */
export interface Asking<A = unknown> {
  ask(id: number): Promise<A>
  /** The id in the answer to `id`; anything else says that the work was not done. */
  idIn(answer: A, id: number): number
  close?(): Promise<unknown>
}

export interface Asker<A = unknown> extends Omit<Contestant, 'open'> {
  open(): Promise<Asking<A>> | Asking<A>
}

export interface Echo {
  readonly id: number
}

/** Deadline armed, as always: the bus's own 5 s. */
export const swarmbusRequest: Asker<Message<Echo>> = {
  name: 'swarmbus',
  kind: 'ours',
  open() {
    const bus = createBus()
    bus.subscribe<Data>('bench.echo', (message): Echo => ({ id: message.data.id }))
    return {
      ask: (id) => bus.request<Echo>('bench.echo', dataOf(id)),
      idIn: (answer) => answer.data.id,
      close: () => bus.close(),
    }
  },
}

function moleculer(requestTimeout: number): () => Promise<Asking<Echo>> {
  return async () => {
    const { ServiceBroker } = await import('moleculer')
    const broker = new ServiceBroker({ logger: false, requestTimeout })
    broker.createService({
      name: 'echo',
      actions: { run: (context: { readonly params: Data }): Echo => ({ id: context.params.id }) },
    })
    await broker.start()
    return {
      ask: (id) => broker.call<Echo, Data>('echo.run', dataOf(id)),
      idIn: (answer) => answer.id,
      close: () => broker.stop(),
    }
  }
}

export const moleculerCall: Asker<Echo> = { name: 'Moleculer call', kind: 'peer', open: moleculer(0) }

export const moleculerCallDeadline: Asker<Echo> = {
  name: 'Moleculer call, deadline',
  kind: 'peer',
  open: moleculer(5_000),
}

/** The limit: a ring, a microtask, a promise; no deadline, no envelope. */
export const bareRequest: Asker<Echo> = {
  name: 'bare ring + promise',
  kind: 'limit',
  open() {
    const respond = ({ id }: Data): Echo => ({ id })
    const ring = new SyncRing<{ readonly data: Data; readonly resolve: (echo: Echo) => void }>(({ data, resolve }) =>
      resolve(respond(data)),
    )
    return {
      ask: (id) => new Promise<Echo>((resolve) => ring.push({ data: dataOf(id), resolve })),
      idIn: (answer) => answer.id,
    }
  },
}
