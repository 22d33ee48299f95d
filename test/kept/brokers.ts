import { afterAll } from 'vitest'
import { openBus } from '../../src/index.ts'
import { startNats } from '../servers/nats.ts'
import { startRedis } from '../servers/redis.ts'
import type { Server } from '../servers/server.ts'
import { BACKENDS, type Backend, type Store } from './support.ts'

/** A place on a broker: every bus that is opened on it is one more participant, as in a process of its own. */
export interface SharedStore extends Store {
  url(): Promise<string>
}

/** A backend that several processes share. */
export interface Broker extends Backend {
  /** A new place on the one server of this test file, which ends with it. Time is the server's: nothing here takes a simulated clock. */
  make(): SharedStore
  /** The server itself, for faults: then no other test of the file may run beside. */
  server(): Promise<Server>
}

export const BROKERS: readonly Broker[] = [
  brokerOf('redis', () => startRedis()),
  brokerOf('jetstream', () => startNats()),
]

/** Every backend, for tests that need no simulated clock. */
export const EVERYWHERE: readonly Backend[] = [...BACKENDS, ...BROKERS]

let places = 0

function brokerOf(name: string, start: () => Promise<Server>): Broker {
  let started: Promise<Server> | undefined
  const server = (): Promise<Server> => (started ??= start())
  // Not with its process: a worker that is told to end does not see to its children.
  afterAll(async () => (await started)?.[Symbol.asyncDispose]())
  return {
    name,
    server,
    make() {
      const prefix = `t${process.pid}-${++places}`
      const url = async (): Promise<string> => `${(await server()).url}?prefix=${prefix}`
      return {
        url,
        open: async (options) => openBus(await url(), options),
        [Symbol.asyncDispose]: async () => undefined,
      }
    },
  }
}
