import { type Ack, createBus, type Message } from '../../src/index.ts'
import { type Data, dataOf } from '../harness/data.ts'
import { TOPIC } from './peer.ts'
import { type Asker, bareRequest, type Echo } from './requests.ts'

/** Sends to an agent and waits until its handler has ended. */
export const sendUntilHandled: Asker<Ack> = {
  name: 'swarmbus',
  kind: 'ours',
  open() {
    let handled = -1
    const bus = createBus()
    bus.register('sink', {
      handler(message) {
        handled = (message.data as Data).id
      },
    })
    return {
      ask: (id) => bus.send('sink', dataOf(id), { until: 'handled' }),
      idIn: () => handled,
      close: () => bus.close(),
    }
  },
}

/** Publishes and waits until the one subscriber's handler has ended, failures told apart. */
export const publishUntilHandled: Asker<Ack> = {
  name: 'swarmbus',
  kind: 'ours',
  open() {
    const bus = createBus()
    const handled = new Set<number>()
    bus.subscribe<Data>(TOPIC, (message) => {
      handled.add(message.data.id)
    })
    return {
      ask: (id) => bus.publish(TOPIC, dataOf(id), { until: 'handled' }),
      idIn: ({ deliveries = [] }, id) => (deliveries[0]?.outcome === 'handled' && handled.delete(id) ? id : -1),
      close: () => bus.close(),
    }
  },
}

/** An agent's echo, asked by its name. */
export const agentRequest: Asker<Message<Echo>> = {
  name: 'swarmbus',
  kind: 'ours',
  open() {
    const bus = createBus()
    bus.register('echo', { handler: (message) => ({ id: (message.data as Data).id }) })
    return {
      ask: (id) => bus.request<Echo>('agent.echo', dataOf(id)),
      idIn: (answer) => answer.data.id,
      close: () => bus.close(),
    }
  },
}

/** The handler asks another agent before it answers. With `concurrency`, the outer agent works on so many at once. */
export function nestedRequest(name: string, concurrency: number | undefined): Asker<Message<Echo>> {
  return {
    name,
    kind: 'ours',
    open() {
      const bus = createBus()
      bus.register('inner', { handler: async (message) => ({ id: (message.data as Data).id }) })
      bus.register('outer', {
        ...(concurrency === undefined ? {} : { concurrency }),
        handler: async (message, context) => (await context.bus.request('agent.inner', message.data)).data,
      })
      return {
        ask: (id) => bus.request<Echo>('agent.outer', dataOf(id)),
        idIn: (answer) => answer.data.id,
        close: () => bus.close(),
      }
    },
  }
}

/** Two rings, one behind the other. */
export const bareNested: Asker<Echo> = {
  name: 'two bare rings + promises',
  kind: 'limit',
  async open() {
    const inner = await bareRequest.open()
    const outer = await bareRequest.open()
    return { ask: async (id) => inner.ask((await outer.ask(id)).id), idIn: (answer) => answer.id }
  },
}
