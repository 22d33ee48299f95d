import { type Bus, createBus } from '../../../src/index.ts'

/** Calls with arguments that their types forbid: plain JavaScript can. */
export type Loose = Record<string, (...given: unknown[]) => unknown>
export const loose = (what: object): Loose => what as Loose

/** Wrong values by option. */
export type Table = Readonly<Record<string, readonly unknown[]>>

const NO_MS = ['5', -1, Number.NaN, Number.POSITIVE_INFINITY, null]
const NO_TEXT = [5, '', null, {}]
const NO_FLAG = ['yes', 1, null]
const NO_FUNCTION = ['f', {}, null]
export const NO_OBJECT = ['x', 5, null]
const NO_LEVEL = ['urgent', 'HIGH', 2, null, '__proto__']
const NO_COUNT = [0, -1, 1.5, '5', Number.NaN, null]
const NO_LIST = ['x', 5, {}, null, [5], ['']]
const QUEUE: Table = {
  limit: NO_COUNT,
  overflow: ['block', '', 5, null],
  waitMs: NO_MS,
  highWater: [0, 1.1, '0.8', Number.NaN, null],
  lowWater: [0, 1.1, '0.5', Number.NaN, null],
}
const PUBLISH: Table = {
  priority: NO_LEVEL,
  session: NO_TEXT,
  from: NO_TEXT,
  ttlMs: [...NO_MS, 0],
  headers: ['x', 5, null, [], { a: 1 }, { constructor: 'x' }, { a: 'x'.repeat(20_000) }],
  correlationId: NO_TEXT,
  replyTo: NO_TEXT,
  to: NO_TEXT,
  payload: ['clone', 5, null],
  id: [...NO_TEXT, 'x', '0190-0000'],
  idempotencyKey: [...NO_TEXT, 'x'.repeat(257)],
  delayMs: NO_MS,
  until: ['done', 5, null],
  receipt: NO_FLAG,
}
const SIGNAL = ['x', {}, null]
const REQUEST: Table = { ...PUBLISH, timeoutMs: [...NO_MS, 0], signal: SIGNAL }

const CREATE: Table = {
  ...QUEUE,
  name: NO_TEXT,
  preset: ['zejzl2', 5, '__proto__', null],
  env: [...NO_OBJECT, {}],
  requestTimeoutMs: [...NO_MS, 0],
  receiveTimeoutMs: NO_MS,
  handlerTimeoutMs: [...NO_MS, 0],
  drainMs: NO_MS,
  ttlMs: ['5', -1, 0, Number.NaN, null],
  maxHandlers: NO_COUNT,
  maxHops: [...NO_COUNT, 1_001],
  overtaking: NO_COUNT,
  payload: ['clone', 5, null],
  maxPayloadBytes: NO_COUNT,
  warnPayloadBytes: NO_COUNT,
  history: [-1, 1.5, '5', Number.NaN, null],
  historyData: NO_FLAG,
  failures: [-1, 1.5, '5', Number.NaN, null],
  replyPriority: NO_LEVEL,
  broadcastPriority: NO_LEVEL,
  unknownAgent: ['drop', 5, null],
  onCycle: ['stop', 5, null],
  autoStart: NO_FLAG,
  beforeStart: ['drop', 5, null],
  healthWindowMs: [...NO_MS, 999],
  healthFailures: [-1, 1.5, '5', null],
  topics: [...NO_LIST, [{}], [{ topic: 'a' }], [{ topic: 'a..b', schema: {} }], [null]],
  onFailure: NO_FUNCTION,
  wire: [5, 'redis://host', null, {}, []],
  onStrayAnswer: NO_FUNCTION,
}
const SUBSCRIBE: Table = {
  ...QUEUE,
  name: NO_TEXT,
  group: NO_TEXT,
  sender: NO_TEXT,
  maxAgeMs: [...NO_MS, 0],
  concurrency: NO_COUNT,
  session: NO_TEXT,
  from: ['alice', 5, '', null, {}, { offset: '' }, { time: -1 }, { offset: '1', time: 1 }],
  filter: NO_FUNCTION,
  rank: [-1, 101, 1.5, '5', null],
  observer: NO_FLAG,
  handlerTimeoutMs: [...NO_MS, 0],
  middleware: ['x', {}, null, [5], [null]],
}
const REGISTER: Table = {
  ...QUEUE,
  type: NO_TEXT,
  capabilities: NO_LIST,
  handler: NO_FUNCTION,
  concurrency: NO_COUNT,
  handlerTimeoutMs: [...NO_MS, 0],
  replace: NO_FLAG,
  status: ['sleeping', 5, null],
}
const STREAM: Table = {
  id: NO_TEXT,
  session: NO_TEXT,
  source: NO_TEXT,
  target: NO_TEXT,
  type: ['video', 5, null],
  limit: NO_COUNT,
  stallMs: [...NO_MS, 0],
  idleMs: [...NO_MS, 0],
  overflow: ['drop-oldest', 5, null],
  onCancel: NO_FUNCTION,
}

/** A handler that does nothing. */
export const handler = (): undefined => undefined

/** A bus with one of everything, and the verbs that take options: how each is called with some. */
export function verbs(bus: Bus) {
  bus.subscribe('t', handler, { name: 'listener' })
  const agent = bus.register('worker')
  const session = bus.session('s')
  const inbox = bus.inbox('by-hand')
  const writer = bus.streams.open()
  const throwing: Record<string, [(options: unknown) => unknown, Table]> = {
    createBus: [(options) => createBus(options as never), CREATE],
    configure: [(options) => loose(bus).configure?.(options), CREATE],
    subscribe: [(options) => loose(bus).subscribe?.('t', handler, options), SUBSCRIBE],
    inbox: [(options) => loose(bus).inbox?.('t', options), SUBSCRIBE],
    'session.subscribe': [
      (options) => loose(session).subscribe?.('t', handler, options),
      { ...SUBSCRIBE, session: [] },
    ],
    'agent.subscribe': [(options) => loose(agent).subscribe?.('t', handler, options), { ...SUBSCRIBE, echo: NO_FLAG }],
    register: [(options) => loose(bus).register?.('new', options), REGISTER],
    'streams.open': [(options) => loose(bus.streams).open?.(options), STREAM],
    watch: [
      (options) => loose(bus).watch?.(options instanceof Object ? { onStall: handler, ...options } : options),
      { limitMs: [...NO_MS, 0], checkMs: [...NO_MS, 0], onStall: NO_FUNCTION },
    ],
  }
  const rejecting: Record<string, [(options: unknown) => Promise<unknown>, Table]> = {}
  for (const [name, publisher] of Object.entries({ bus, agent, session })) {
    const of = loose(publisher)
    const calls: Record<string, [(options: unknown) => unknown, Table]> = {
      publish: [(options) => of.publish?.('t', 1, options), PUBLISH],
      send: [(options) => of.send?.('worker', 1, options), PUBLISH],
      broadcast: [(options) => of.broadcast?.(1, options), { ...PUBLISH, exclude: NO_LIST, echo: NO_FLAG }],
      request: [(options) => of.request?.('t', 1, options), REQUEST],
      requestAll: [(options) => of.requestAll?.([['t', 1]], options), REQUEST],
      requestMany: [
        (options) => publisher.requestMany('t', 1, options as never).next(),
        {
          ...PUBLISH,
          count: NO_COUNT,
          maxWaitMs: [...NO_MS, 0],
          stallMs: [...NO_MS, 0],
          sentinel: NO_FUNCTION,
          signal: SIGNAL,
        },
      ],
      requestStream: [
        (options) =>
          publisher
            .requestStream('t', 1, options as never)
            [Symbol.asyncIterator]()
            .next(),
        { ...PUBLISH, stallMs: [...NO_MS, 0], signal: SIGNAL },
      ],
    }
    for (const [verb, [call, table]] of Object.entries(calls)) {
      rejecting[`${name}.${verb}`] = [(options) => call(options) as Promise<unknown>, table]
    }
  }
  const drains: Table = { limitMs: NO_MS }
  for (const verb of ['stop', 'drain', 'close']) {
    rejecting[verb] = [(options) => loose(bus)[verb]?.(options) as Promise<unknown>, drains]
  }
  rejecting['agent.receive'] = [
    (options) => loose(agent).receive?.(options) as Promise<unknown>,
    { timeoutMs: NO_MS, signal: SIGNAL },
  ]
  rejecting['inbox.receive'] = [
    (options) => loose(inbox).receive?.(options) as Promise<unknown>,
    { timeoutMs: NO_MS, signal: SIGNAL },
  ]
  rejecting['stream.write'] = [
    (options) => loose(writer).write?.(1, options) as Promise<unknown>,
    { final: NO_FLAG, metadata: NO_OBJECT, index: [-1, 1.5, '0', null], checksum: NO_TEXT },
  ]
  return { throwing, rejecting }
}
