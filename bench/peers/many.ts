import { EventEmitter } from 'node:events'
import type { Handler } from '../../src/index.ts'
import { type Data, dataOf, mustBe } from '../harness/data.ts'
import { AwaitingRing } from '../ring.ts'
import { type Handle, type Peer, TOPIC } from './peer.ts'
import { agentNames, swarmbusAs } from './swarmbus.ts'

function firstOf(handlers: readonly Handle[]): Handle {
  const [handle] = handlers
  if (handle === undefined) throw new Error('at least one handler')
  return handle
}

function topics(count: number, separator: string): readonly string[] {
  return Array.from({ length: count }, (_, index) => `bench${separator}topic-${index}`)
}

/** Agents that each subscribe to a topic of their own; messages go round. */
export function agentsWithTopics(name: string, count: number): Peer {
  const all = topics(count, '.')
  return swarmbusAs({
    name,
    bind(bus, handler) {
      for (const [index, agent] of agentNames(count).entries())
        bus.register(agent).subscribe<Data>(all[index] as string, handler)
    },
    send: (bus, id) => bus.publish(all[id % count] as string, dataOf(id)),
  })
}

/** Agents with a handler; messages go round by `send`. */
export function agentsBySend(name: string, count: number): Peer {
  const names = agentNames(count)
  return swarmbusAs({
    name,
    bind(bus, handler) {
      for (const agent of names) bus.register(agent, { handler: handler as Handler })
    },
    send: (bus, id) => bus.send(names[id % count] as string, dataOf(id)),
  })
}

/** One busy topic, and so many agents with topics of their own that get nothing. */
export function oneAmongAgents(name: string, count: number): Peer {
  const idle = topics(count, '.')
  return swarmbusAs({
    name,
    prepare(bus) {
      for (const [index, agent] of agentNames(count).entries())
        bus.register(agent).subscribe(idle[index] as string, () => {})
    },
  })
}

/** One topic with one handler; messages go round the sessions, whose order is checked. */
export function sessionsOnOneTopic(name: string, count: number): Peer {
  const sessions = Array.from({ length: count }, (_, index) => `session-${index}`)
  const latest = new Int32Array(count)
  return swarmbusAs({
    name,
    bind(bus, handler) {
      bus.subscribe<Data>(TOPIC, (message, context) => {
        const { id } = message.data
        if (id >= count) mustBe('the message before it in its session', latest[id % count], id - count)
        latest[id % count] = id
        return handler(message, context)
      })
    },
    send: (bus, id) => bus.publish(TOPIC, dataOf(id), { session: sessions[id % count] as string }),
  })
}

/** The limit: a ring for each agent, found by name. */
export function bareRings(name: string, count: number): Peer {
  const names = agentNames(count)
  return {
    name,
    kind: 'limit',
    open(handlers) {
      const handle = firstOf(handlers)
      const rings = new Map(names.map((agent) => [agent, new AwaitingRing(handle, count >= 1_000 ? 16 : 1_024)]))
      return {
        burst(from, to) {
          for (let id = from; id < to; id++) rings.get(names[id % count] as string)?.push(dataOf(id))
        },
      }
    },
  }
}

export function emitterWithTopics(name: string, count: number): Peer {
  const all = topics(count, '.')
  return {
    name,
    kind: 'peer',
    open(handlers) {
      const emitter = new EventEmitter()
      for (const topic of all) emitter.on(topic, firstOf(handlers))
      return {
        burst(from, to) {
          for (let id = from; id < to; id++) emitter.emit(all[id % count] as string, dataOf(id))
        },
      }
    },
  }
}

/** `busy`: how many of the topics get messages. */
export function mqemitterWithTopics(name: string, count: number, busy: number): Peer {
  const all = topics(count, '/')
  return {
    name,
    kind: 'peer',
    async open(handlers) {
      const { default: mqemitter } = await import('mqemitter')
      const emitter = mqemitter()
      const handle = firstOf(handlers)
      for (const topic of all) {
        emitter.on(topic, (message, done) => void (handle(message as unknown as Data) as Promise<unknown>).then(done))
      }
      return {
        burst(from, to) {
          for (let id = from; id < to; id++) emitter.emit({ topic: all[id % busy] as string, id, data: 'payload' })
        },
      }
    },
  }
}
