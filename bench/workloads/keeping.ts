import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bus, type OpenOptions, openBus } from '../../src/index.ts'
import type { Server } from '../../test/servers/server.ts'
import { timed } from '../harness/clock.ts'
import { mustBe } from '../harness/data.ts'
import type { Contestant, Pass, Scale } from '../harness/types.ts'
import { natsServer, redisServer } from '../peers/servers.ts'

/** Where messages are kept. */
export type Where = 'memory' | 'sqlite' | 'redis' | 'jetstream'

/** A bus whose messages are kept, with its folder or server, and how to end all. */
export interface Kept {
  readonly bus: Bus
  /** Another bus in the same place, as another process opens it; for brokers. */
  another(options?: OpenOptions): Promise<Bus>
  end(): Promise<void>
}

/** Opens a bus on a file or a server of its own, or in memory. */
export async function keptBus(where: Where, options: OpenOptions = {}): Promise<Kept> {
  if (where === 'redis' || where === 'jetstream') return onServer(await serverFor(where), options)
  const folder = mkdtempSync(join(tmpdir(), 'bench-kept-'))
  const bus = await openBus(where === 'memory' ? 'memory:' : `sqlite:${join(folder, 'bench.db')}`, options)
  return {
    bus,
    another: () => Promise.reject(new Error(`${where} belongs to one process`)),
    async end() {
      await bus.close()
      rmSync(folder, { recursive: true })
    },
  }
}

function serverFor(where: 'redis' | 'jetstream'): Promise<Server> {
  return where === 'redis' ? redisServer() : natsServer()
}

async function onServer(server: Server, options: OpenOptions): Promise<Kept> {
  const others: Bus[] = []
  const bus = await openBus(server.url, options)
  return {
    bus,
    async another(more = {}) {
      const made = await openBus(server.url, { ...options, ...more })
      others.push(made)
      return made
    },
    async end() {
      for (const one of [...others, bus]) await one.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** So many publishers, each of which goes on when its message is kept. */
export async function publishAll(bus: Bus, topic: string, total: number, publishers: number): Promise<void> {
  let next = 0
  const one = async (): Promise<void> => {
    for (let id = next++; id < total; id = next++) await bus.publish(topic, { id, data: 'payload' })
  }
  await Promise.all(Array.from({ length: publishers }, one))
}

/** Nobody handles: the message is kept when the promise resolves. */
export function acked(where: Where, messages: number, inFlight: number, name: string = 'swarmbus'): Contestant {
  return {
    name,
    kind: 'ours',
    async open(scale) {
      const count = scale.count(messages)
      const { bus, end } = await keptBus(where)
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

/** One durable group with an async handler: until every message is handled and its settlement is kept. */
export function handled(
  where: Where,
  messages: number,
  inFlight: number,
  around: (run: () => Promise<Pass>) => Promise<Pass> = (run) => run(),
): Contestant {
  return {
    name: 'swarmbus',
    kind: 'ours',
    async open(scale: Scale) {
      const count = scale.count(messages)
      const { bus, end } = await keptBus(where)
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
      return {
        async pass() {
          target = seen + count
          last = Promise.withResolvers()
          return around(() =>
            timed(count, async () => {
              await publishAll(bus, 'kept.task', count, inFlight)
              await last.promise
              // Until the last settlement is kept as well.
              for (;;) {
                const [channel] = await bus.channels()
                if (channel?.ledger.acked === target) break
              }
            }),
          )
        },
        close: end,
      }
    },
  }
}
