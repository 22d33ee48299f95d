import { type Bus, type BusOptions, type Context, defineTopic, type Message } from '../../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../../src/testing/index.ts'
import { memoryHub, memoryWire } from '../../../src/wire/memory.ts'
import { codeOf, data, follow, listen, numbers } from './cortex-veritas.ts'

/** One value of one option, and what can be seen of it: `before` without it, `after` with it. */
export interface OptionRow {
  readonly given: BusOptions
  /** Further options under which it can be seen. */
  readonly base?: BusOptions
  readonly before: unknown
  readonly after: unknown
  readonly see: (bus: Bus, env: FakeEnv) => Promise<unknown>
}

const never = (): Promise<void> => new Promise(() => undefined)
const told: unknown[] = []
const wire = memoryWire(memoryHub())

/** An agent that does not read what it gets. */
async function fill(bus: Bus, count: number): Promise<ReturnType<Bus['register']>> {
  const agent = bus.register('reader')
  for (const index of numbers(count)) await bus.send('reader', index)
  return agent
}

/** The state of a send to a full queue, the oldest message kept then, and the state of a send when there is some room again. */
async function seeOverflow(bus: Bus, env: FakeEnv): Promise<readonly unknown[]> {
  const agent = await fill(bus, 10)
  const late = follow(bus.send('reader', 'late'))
  await env.settle()
  const { state } = late
  const kept: unknown[] = []
  for (const _ of numbers(3)) kept.push((await agent.receive({ timeoutMs: 0 })).data)
  const next = follow(bus.send('reader', 'next'))
  await env.settle()
  return [state, kept[0], bus.queueSize('reader'), next.state]
}

async function stateAfter(env: FakeEnv, ms: number, promise: Promise<unknown>): Promise<string> {
  const seen = follow(promise)
  await env.advance(ms)
  return seen.state
}

async function seeRelieved(bus: Bus): Promise<number> {
  using relieved = listen('queue.relieved')
  const agent = await fill(bus, 9)
  for (const _ of numbers(5)) await agent.receive()
  return relieved.heard.length
}

async function seeFilled(bus: Bus): Promise<number> {
  using filled = listen('queue.filled')
  await fill(bus, 7)
  return filled.heard.length
}

async function seeNames(bus: Bus): Promise<unknown> {
  using published = listen('message.published')
  await bus.publish('events', 1)
  return [bus.stats().name, published.heard.map((one) => one.bus)]
}

/** The place of one low message among 20 high ones that wait. */
async function seePlace(bus: Bus): Promise<number> {
  const agent = bus.register('reader')
  await bus.send('reader', 'low', { priority: 'low' })
  for (const _ of numbers(20)) await bus.send('reader', 'high', { priority: 'high' })
  const order: unknown[] = []
  for (const _ of numbers(21)) order.push((await agent.receive()).data)
  return order.indexOf('low')
}

async function seePayload(bus: Bus): Promise<unknown> {
  const given = { nested: { value: 1 } }
  const seen: Message[] = []
  bus.subscribe('events', (message) => void seen.push(message))
  await bus.publish('events', given, { until: 'handled' })
  const [message] = seen
  return [Object.isFrozen(given.nested), message?.data === given, Object.isFrozen(message?.data)]
}

async function seeLarge(bus: Bus): Promise<unknown> {
  using large = listen('message.large')
  const published = follow(bus.publish('events', 'x'.repeat(1_000)))
  await Promise.resolve()
  await Promise.resolve()
  return [published.state, large.heard.length]
}

async function seeHistory(bus: Bus): Promise<unknown> {
  for (const index of numbers(5)) await bus.publish('events', index)
  return [bus.history().length, bus.history()[0]?.data]
}

async function fail(bus: Bus, times: number): Promise<void> {
  bus.subscribe('broken', () => {
    throw new Error('broken')
  })
  for (const index of numbers(times)) await bus.publish('broken', index, { until: 'handled' })
}

async function seeCycle(bus: Bus): Promise<unknown> {
  const handler = async (message: Message, context: Context): Promise<unknown> =>
    message.data === 0 ? 'answered' : (await context.bus.request('agent.self', 0)).data
  bus.register('self', { concurrency: 1, handler })
  return bus.request('agent.self', 1).then(
    (answer) => answer.data,
    (error: { code: string }) => error.code,
  )
}

async function seeStart(bus: Bus, env: FakeEnv): Promise<unknown> {
  const seen: Message[] = []
  bus.subscribe('events', (message) => void seen.push(message))
  const published = follow(bus.publish('events', 1))
  await env.settle()
  const before = data(seen)
  bus.start()
  await env.settle()
  return [before, data(seen), published.state]
}

const texts = defineTopic('events', {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => (typeof value === 'string' ? { value } : { issues: [{ message: 'no text' }] }),
  },
})

/** Every option of a bus with something that shows it. The compiler demands a row for each of them. */
export const OPTION_ROWS: Readonly<Record<keyof BusOptions, readonly OptionRow[]>> = {
  limit: [
    {
      given: { limit: 2 },
      base: { overflow: 'drop-newest' },
      before: 5,
      after: 2,
      see: async (bus) => (await fill(bus, 5)) && bus.queueSize('reader'),
    },
  ],
  overflow: (
    [
      ['refuse', ['rejected', 0, 8, 'resolved']],
      ['drop-oldest', ['resolved', 1, 8, 'resolved']],
      ['drop-newest', ['resolved', 0, 8, 'resolved']],
      ['adaptive', ['rejected', 0, 8, 'pending']],
    ] as const
  ).map(([overflow, after]) => ({
    given: { overflow },
    base: { limit: 10 },
    // The one that waited has come in.
    before: ['pending', 0, 9, 'resolved'],
    after,
    see: seeOverflow,
  })),
  waitMs: [
    {
      given: { waitMs: 100 },
      base: { limit: 1 },
      before: 'pending',
      after: 'rejected',
      see: async (bus, env) => (await fill(bus, 1)) && stateAfter(env, 150, bus.send('reader', 2)),
    },
  ],
  highWater: [{ given: { highWater: 0.6 }, base: { limit: 10 }, before: 0, after: 1, see: seeFilled }],
  lowWater: [{ given: { lowWater: 0.2 }, base: { limit: 10 }, before: 1, after: 0, see: seeRelieved }],
  name: [{ given: { name: 'own' }, before: ['bus', ['bus']], after: ['own', ['own']], see: seeNames }],
  preset: [
    {
      given: { preset: 'woodwork' },
      before: 'rejected',
      after: 'resolved',
      see: (bus, env) => stateAfter(env, 1, bus.send('nobody', 1)),
    },
    {
      given: { preset: 'veritas' },
      before: 'normal',
      after: 'high',
      see: async (bus) => (await bus.broadcast(1)) && bus.history()[0]?.priority,
    },
    { given: { preset: 'cortex' }, before: [5, undefined], after: [5, 0], see: seeHistory },
    {
      given: { preset: 'zejzl' },
      before: 'rejected',
      after: 'pending',
      see: async (bus, env) => bus.subscribe('slow', never) && stateAfter(env, 6_000, bus.request('slow', 1)),
    },
  ],
  env: [
    {
      given: { env: fakeEnv({ wallMs: 7_000 }) },
      before: Date.UTC(2026, 0, 1),
      after: 7_000,
      see: async (bus) => (await bus.publish('events', 1)) && bus.history()[0]?.time,
    },
  ],
  wire: [{ given: { wire }, before: undefined, after: 'memory', see: async (bus) => bus.stats().wire?.wire }],
  requestTimeoutMs: [
    {
      given: { requestTimeoutMs: 100 },
      before: 'pending',
      after: 'rejected',
      see: async (bus, env) => bus.subscribe('slow', never) && stateAfter(env, 150, bus.request('slow', 1)),
    },
  ],
  receiveTimeoutMs: [
    {
      given: { receiveTimeoutMs: 100 },
      before: 'pending',
      after: 'rejected',
      see: (bus, env) => stateAfter(env, 150, bus.register('reader').receive()),
    },
  ],
  handlerTimeoutMs: [
    {
      given: { handlerTimeoutMs: 100 },
      before: 'pending',
      after: 'rejected',
      see: async (bus, env) =>
        bus.subscribe('slow', never) && stateAfter(env, 150, bus.publish('slow', 1, { until: 'succeeded' })),
    },
  ],
  drainMs: [
    {
      given: { drainMs: 100 },
      before: 'pending',
      after: 'resolved',
      see: async (bus, env) => {
        bus.subscribe('slow', never)
        await bus.publish('slow', 1)
        await env.settle()
        const state = await stateAfter(env, 150, bus.stop())
        await env.advance(10_000)
        return state
      },
    },
  ],
  ttlMs: [
    {
      given: { ttlMs: 100 },
      before: 1,
      after: 0,
      see: async (bus, env) => {
        let handled = 0
        bus.declare('later')
        await bus.send('later', 1)
        await env.advance(150)
        bus.register('later', { handler: () => void handled++ })
        await env.settle()
        return handled
      },
    },
  ],
  maxHandlers: [
    {
      given: { maxHandlers: 1 },
      before: 3,
      after: 1,
      see: async (bus, env) => {
        for (const name of ['a', 'b', 'c']) bus.register(name, { handler: never })
        await bus.broadcast(1)
        await env.settle()
        return bus.stats().concurrency.active
      },
    },
  ],
  maxHops: [
    {
      given: { maxHops: 2 },
      before: 33,
      after: 3,
      see: async (bus, env) => {
        let seen = 0
        bus.subscribe('again', async (_message, context) => {
          seen++
          await context.bus.publish('again', 1)
        })
        await bus.publish('again', 1)
        for (const _ of numbers(10)) await env.settle()
        return seen
      },
    },
  ],
  overtaking: [{ given: { overtaking: 5 }, before: 20, after: 5, see: seePlace }],
  payload: [
    { given: { payload: 'copy' }, before: [true, true, true], after: [false, false, false], see: seePayload },
    { given: { payload: 'share' }, before: [true, true, true], after: [false, true, false], see: seePayload },
  ],
  maxPayloadBytes: [
    { given: { maxPayloadBytes: 500 }, before: ['resolved', 0], after: ['rejected', 0], see: seeLarge },
  ],
  warnPayloadBytes: [
    { given: { warnPayloadBytes: 500 }, before: ['resolved', 0], after: ['resolved', 1], see: seeLarge },
  ],
  history: [{ given: { history: 2 }, before: [5, undefined], after: [2, undefined], see: seeHistory }],
  historyData: [{ given: { historyData: true }, before: [5, undefined], after: [5, 0], see: seeHistory }],
  failures: [
    { given: { failures: 2 }, before: 5, after: 2, see: async (bus) => fail(bus, 5).then(() => bus.failures().length) },
  ],
  replyPriority: (['low', 'same'] as const).map((replyPriority) => ({
    given: { replyPriority },
    before: 'high',
    after: replyPriority === 'same' ? 'critical' : 'low',
    see: async (bus: Bus) => {
      bus.subscribe('echo', (message) => message.data)
      return (await bus.request('echo', 1, { priority: 'critical' })).priority
    },
  })),
  broadcastPriority: [
    {
      given: { broadcastPriority: 'low' },
      before: 'normal',
      after: 'low',
      see: async (bus) => (await bus.broadcast(1)) && bus.history()[0]?.priority,
    },
  ],
  unknownAgent: [
    {
      given: { unknownAgent: 'hold' },
      before: 'rejected',
      after: 'resolved',
      see: (bus, env) => stateAfter(env, 1, bus.send('nobody', 1)),
    },
  ],
  onCycle: [{ given: { onCycle: 'refuse' }, before: 'answered', after: 'REQUEST_CYCLE', see: seeCycle }],
  autoStart: [
    { given: { autoStart: false }, before: [[1], [1], 'resolved'], after: [[], [1], 'resolved'], see: seeStart },
  ],
  beforeStart: [
    {
      given: { beforeStart: 'refuse' },
      base: { autoStart: false },
      before: [[], [1], 'resolved'],
      after: [[], [], 'rejected'],
      see: seeStart,
    },
  ],
  healthWindowMs: [
    {
      given: { healthWindowMs: 1_000 },
      before: 3,
      after: 0,
      see: async (bus, env) => {
        await fail(bus, 3)
        await env.advance(2_000)
        return bus.health().recentFailures
      },
    },
  ],
  healthFailures: [
    {
      given: { healthFailures: 2 },
      before: 'healthy',
      after: 'unhealthy',
      see: async (bus) => fail(bus, 3).then(() => bus.health().status),
    },
  ],
  topics: [
    {
      given: { topics: [texts] },
      before: 'accepted',
      after: 'SCHEMA_MISMATCH',
      see: async (bus) => {
        await bus.publish('events', 'a text')
        return codeOf(bus.publish('events', 1)).catch(() => 'accepted')
      },
    },
  ],
  onFailure: [
    {
      given: { onFailure: (failure) => void told.push(failure.message.data) },
      before: [],
      after: [0, 1],
      see: async (bus) => {
        told.length = 0
        await fail(bus, 2)
        return [...told]
      },
    },
  ],
  onStrayAnswer: [
    {
      given: { onStrayAnswer: (answer) => void told.push(answer.data) },
      before: [],
      after: ['second'],
      see: async (bus) => {
        told.length = 0
        for (const answer of ['first', 'second']) bus.subscribe('ask', () => answer)
        await bus.request('ask', 1)
        await bus.idle()
        return [...told]
      },
    },
  ],
}
