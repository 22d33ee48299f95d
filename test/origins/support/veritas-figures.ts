import type { Bus, BusOptions, BusStats } from '../../../src/index.ts'
import type { FakeEnv } from '../../../src/testing/index.ts'
import { codeOf, follow, numbers } from './cortex-veritas.ts'

/** What moves one figure of a bus, and where it stands then; `undefined` in a list of parts means "has moved". */
export interface FigureRow {
  readonly options?: BusOptions
  readonly move: (bus: Bus, env: FakeEnv) => Promise<unknown>
  readonly stands: unknown
}

const never = (): Promise<void> => new Promise(() => undefined)
const broken = (): never => {
  throw new Error('broken')
}

async function working(bus: Bus, env: FakeEnv): Promise<void> {
  bus.declare('slow')
  await bus.send('slow', 1)
  await bus.send('slow', 2)
  await env.advance(10)
  const handler = (): Promise<void> => new Promise((resolve) => void env.after(20, resolve))
  bus.register('slow', { concurrency: 1, handler })
  await env.advance(100)
}

/** Two deliveries waited 10 and 30 ms and were handled in 20 ms each. */
const WAITED = { count: 2, avgMs: 20, minMs: 10, maxMs: 30 }
const WORKED = { count: 2, avgMs: 20, minMs: 20, maxMs: 20 }

/** Moves only with a log: woodwork-kept-figures.test.ts has its test. */
export const KEPT: FigureRow = { move: async () => undefined, stands: undefined }

/** Every field of `bus.stats()`. The compiler demands a row for each of them. */
export const FIGURE_ROWS: Readonly<Record<keyof BusStats, FigureRow>> = {
  name: { move: async (bus) => bus.configure({ name: 'renamed' }), stands: 'renamed' },
  running: { move: (bus) => bus.stop(), stands: false },
  state: { move: (bus) => bus.close(), stands: 'closed' },
  // Of a bus that is made 5 s later: see the test.
  startedAt: { move: async () => undefined, stands: Date.UTC(2026, 0, 1) + 5_000 },
  kept: KEPT,
  // Moves only with a wire: src/bus/far has its tests.
  wire: KEPT,
  retried: KEPT,
  retrying: KEPT,
  deadLettered: KEPT,
  retriesExhausted: KEPT,
  deadLetters: KEPT,
  uptimeMs: { move: (_bus, env) => env.advance(1_234), stands: 1_234 },
  messages: { move: async (bus) => Promise.all(numbers(3).map(() => bus.publish('events', 1))), stands: 3 },
  messagesPerSecond: {
    move: async (bus, env) => {
      await Promise.all(numbers(120).map(() => bus.publish('events', 1)))
      await env.advance(10_000)
    },
    stands: 12,
  },
  ledger: {
    move: async (bus, env) => {
      bus.subscribe('good', () => undefined)
      bus.subscribe('bad', broken)
      bus.register('full', { limit: 1, overflow: 'drop-newest' })
      for (const topic of ['good', 'good', 'bad', 'agent.full', 'agent.full']) await bus.publish(topic, 1)
      const late = bus.register('late')
      await bus.send('late', 1, { ttlMs: 10 })
      await env.advance(20)
      await codeOf(late.receive({ timeoutMs: 0 }))
    },
    stands: { published: 6, handled: 2, pending: 1, expired: 1, dropped: 1, failed: 1 },
  },
  refused: {
    options: { limit: 1, overflow: 'refuse' },
    move: async (bus) => {
      bus.register('full')
      await bus.send('full', 1)
      await codeOf(bus.send('full', 2))
      await codeOf(bus.request('agent.full', 3))
    },
    stands: 2,
  },
  successRate: {
    move: async (bus) => {
      bus.subscribe('good', () => undefined)
      bus.subscribe('bad', broken)
      for (const topic of ['good', 'good', 'bad', 'good']) await bus.publish(topic, 1, { until: 'handled' })
    },
    stands: 0.75,
  },
  requests: {
    move: async (bus, env) => {
      bus.subscribe('twice', () => 1)
      bus.subscribe('twice', () => 2)
      bus.subscribe('slow', never)
      await bus.request('twice', 1)
      follow(bus.request('slow', 1, { timeoutMs: 100 }))
      follow(bus.request('slow', 1, { timeoutMs: 100 }))
      await env.advance(150)
      follow(bus.request('slow', 1))
    },
    stands: { sent: 4, pending: 1, timeouts: 2, strayAnswers: 1 },
  },
  subscriptions: { move: async (bus) => [bus.subscribe('a', never), bus.inbox('b')], stands: 2 },
  wildcardSubscriptions: { move: async (bus) => [bus.subscribe('a.*', never), bus.subscribe('b', never)], stands: 1 },
  agents: { move: async (bus) => [bus.register('a'), bus.register('b'), bus.declare('c')], stands: 2 },
  topics: { move: async (bus) => Promise.all(['a', 'b', 'a'].map((topic) => bus.publish(topic, 1))), stands: 2 },
  queued: {
    move: async (bus) => {
      bus.register('a')
      bus.inbox('b')
      for (const topic of ['agent.a', 'b', 'b']) await bus.publish(topic, 1)
    },
    stands: 3,
  },
  peakQueued: {
    move: async (bus) => {
      const reader = bus.register('a')
      for (const _ of numbers(3)) await bus.send('a', 1)
      for (const _ of numbers(3)) await reader.receive()
    },
    stands: 3,
  },
  utilization: {
    move: async (bus) => {
      bus.register('a', { limit: 4 })
      bus.register('b', { limit: 10 })
      for (const _ of numbers(3)) await bus.broadcast(1)
    },
    stands: 0.75,
  },
  latency: { move: working, stands: { ...WAITED, p50Ms: undefined, p95Ms: undefined, p99Ms: undefined } },
  handling: { move: working, stands: { ...WORKED, p50Ms: undefined, p95Ms: undefined, p99Ms: undefined } },
  concurrency: {
    options: { maxHandlers: 1 },
    move: async (bus, env) => {
      const handler = (): Promise<void> => new Promise((resolve) => void env.after(20, resolve))
      bus.register('a', { handler })
      bus.register('b', { handler })
      await bus.send('a', 1)
      await env.settle()
      await bus.send('b', 1)
      await env.advance(30)
    },
    stands: { limit: 1, active: 1, acquired: 2, released: 1, waits: 1, totalWaitMs: 20, avgWaitMs: 20 },
  },
  handlerTimeouts: {
    options: { handlerTimeoutMs: 100 },
    move: async (bus, env) => {
      bus.subscribe('slow', never)
      await bus.publish('slow', 1)
      await env.advance(150)
    },
    stands: 1,
  },
  callbackFaults: {
    options: { onFailure: broken },
    move: async (bus) => {
      bus.subscribe('bad', broken)
      await bus.publish('bad', 1, { until: 'handled' })
    },
    stands: 1,
  },
  failures: {
    move: async (bus) => {
      bus.subscribe('bad', broken)
      for (const _ of numbers(2)) await bus.publish('bad', 1, { until: 'handled' })
    },
    stands: 2,
  },
  history: {
    options: { history: 2 },
    move: async (bus) => Promise.all(numbers(3).map(() => bus.publish('events', 1))),
    stands: 2,
  },
  streams: {
    move: async (bus) => {
      bus.streams.open().complete()
      const open = bus.streams.open()
      await open.write('12345')
    },
    stands: { active: 1, opened: 2, bytes: undefined },
  },
  channels: {
    move: async (bus, env) => {
      bus.declare('gone')
      await bus.publish('tasks.coding', 1)
      await working(bus, env)
    },
    stands: {
      tasks: undefined,
      agent: undefined,
    },
  },
  config: { move: async (bus) => bus.configure({ waitMs: 77 }), stands: undefined },
}
