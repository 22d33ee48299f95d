import { type Bus, type BusOptions, createBus, type Handler } from '../../src/index.ts'
import { type Data, dataOf, mustBe } from '../harness/data.ts'
import { type Channel, type Peer, TOPIC } from './peer.ts'

/** Of a row that varies how the bus is used: its options, how handlers are bound, how a message is sent. */
export interface Variant {
  readonly name?: string
  readonly options?: BusOptions
  /** Called once before the handlers are bound. */
  readonly prepare?: (bus: Bus) => void
  /** Default: a subscription to the one topic. */
  readonly bind?: (bus: Bus, handler: Handler<Data>, index: number) => unknown
  /** Default: `publish` to the one topic. */
  readonly send?: (bus: Bus, id: number) => Promise<unknown>
}

/** Everything on, as a user gets it: envelope, ids, freezing, levels, history, counters, error isolation. */
export function swarmbusAs({
  name = 'swarmbus',
  options = {},
  prepare,
  bind = subscribed,
  send = published,
}: Variant): Peer {
  return {
    name,
    kind: 'ours',
    open(handlers) {
      const bus = createBus(options)
      prepare?.(bus)
      for (const [index, handle] of handlers.entries()) bind(bus, (message) => handle(message.data), index)
      return channelOf(bus, (id) => send(bus, id))
    },
  }
}

/** The plain case, written out so that nothing stands between the loop and the bus. */
export const swarmbus: Peer = {
  name: 'swarmbus',
  kind: 'ours',
  does: { handOver: true, waits: 'in order', isolates: true, envelope: true },
  open(handlers) {
    const bus = createBus()
    for (const handle of handlers) subscribed(bus, (message) => handle(message.data))
    return {
      ...channelOf(bus, (id) => published(bus, id)),
      burst(from, to) {
        for (let id = from; id < to; id++) void bus.publish(TOPIC, dataOf(id))
      },
    }
  },
}

function channelOf(bus: Bus, send: (id: number) => Promise<unknown>): Channel {
  let counted = 0
  return {
    burst(from, to) {
      for (let id = from; id < to; id++) void send(id)
    },
    idle: () => bus.idle(),
    check(messages) {
      const stats = bus.stats()
      mustBe('messages that the bus counted', stats.messages - counted, messages)
      mustBe('deliveries that the bus counted as handled', stats.ledger.handled, stats.ledger.published)
      counted = stats.messages
    },
    close: () => bus.close(),
  }
}

function subscribed(bus: Bus, handler: Handler<Data>): unknown {
  return bus.subscribe<Data>(TOPIC, handler)
}

function published(bus: Bus, id: number): Promise<unknown> {
  return bus.publish(TOPIC, dataOf(id))
}

export function agentNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `agent-${index}`)
}
