import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as door from '../../src/index.ts'
import { type Bus, BusError, createBus, ERRORS, type ErrorCode, isBusError } from '../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../src/testing/index.ts'
import { ROOT } from '../architecture/source.ts'
import { faultOf, thrownBy } from './support/zejzl.ts'

test('[Z25] one base for all faults: message, code, family, details, advice and cause', () => {
  const cause = new Error('underneath')
  const error = new BusError('QUEUE_FULL', 'no room', { cause, details: { limit: 2 } })
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name: 'BusError', message: 'no room', code: 'QUEUE_FULL', family: 'resource', cause })
  expect(error.details).toEqual({ limit: 2 })
  expect(new BusError('QUEUE_FULL', 'no room').details).toEqual({})
  expect(isBusError(error, 'QUEUE_FULL') && !isBusError(error, 'BUS_CLOSED') && !isBusError(cause)).toBe(true)
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({
    code: 'QUEUE_FULL',
    family: 'resource',
    message: 'no room',
  })
})

test('[Z25] the families agent, bus, configuration, validation, timeout and resource have codes', () => {
  const families = new Set(Object.values(ERRORS).map((row) => row.family))
  for (const family of ['agent', 'bus', 'configuration', 'validation', 'timeout', 'resource'] as const) {
    expect(families).toContain(family)
  }
})

test('[Z25] no exported error name shadows a built-in', () => {
  const builtIn = new Set(Object.getOwnPropertyNames(globalThis))
  expect([...builtIn].filter((name) => name.endsWith('Error'))).toContain('TypeError')
  expect(Object.keys(door).filter((name) => builtIn.has(name))).toEqual([])
  const classes = Object.entries(door).filter(
    ([, value]) => typeof value === 'function' && value.prototype instanceof Error,
  )
  expect(classes.map(([name]) => name)).toEqual(['BusError'])
  const listed = readFileSync(join(ROOT, 'src/index.ts'), 'utf8').match(/\b\w*(?:Error|Exception|Fault)\b/g) ?? []
  expect(listed.filter((name) => builtIn.has(name))).toEqual([])
  expect(Object.keys(ERRORS).filter((code) => builtIn.has(code))).toEqual([])
})

type Fault = (bus: Bus, env: FakeEnv) => Promise<BusError>
const never = (): Promise<void> => new Promise(() => undefined)

/** One way to each fault of the bus that an agent can meet. */
const FAULTS: Readonly<Partial<Record<ErrorCode, Fault>>> = {
  INVALID_OPTION: async () => thrownBy(() => createBus({ limit: 0 })),
  INVALID_TOPIC: (bus) => faultOf(bus.publish('a..b', 1)),
  INVALID_MESSAGE: (bus) => faultOf(bus.publish('a.b', 1, { priority: 'urgent' as never })),
  INVALID_PAYLOAD: (bus) => faultOf(bus.publish('a.b', { run: () => 1 }, { payload: 'copy' })),
  PAYLOAD_TOO_LARGE: (bus) => faultOf(bus.publish('a.b', 'x'.repeat(1_048_577))),
  UNKNOWN_AGENT: (bus) => faultOf(bus.send('ghost', 1)),
  UNKNOWN_SUBSCRIPTION: async (bus) => thrownBy(() => bus.unsubscribe('ghost')),
  NO_RESPONDERS: (bus) => faultOf(bus.request('agent.ghost', 1)),
  async AGENT_EXISTS(bus) {
    bus.register('a')
    return thrownBy(() => bus.register('a'))
  },
  async SUBSCRIPTION_ENDED(bus) {
    const agent = bus.register('a')
    const waits = faultOf(agent.receive())
    agent.unregister()
    return waits
  },
  async RECEIVE_TIMEOUT(bus, env) {
    const waits = faultOf(bus.register('a').receive({ timeoutMs: 10 }))
    await env.advance(100)
    return waits
  },
  async REQUEST_TIMEOUT(bus, env) {
    bus.register('a')
    const waits = faultOf(bus.request('agent.a', 1, { timeoutMs: 10 }))
    await env.advance(100)
    return waits
  },
  async HANDLER_TIMEOUT(bus, env) {
    bus.register('a', { handler: never, handlerTimeoutMs: 10 })
    const waits = faultOf(bus.request('agent.a', 1))
    await env.advance(100)
    return waits
  },
  async HANDLER_FAILED(bus) {
    bus.register('a', { handler: () => Promise.reject(new TypeError('of the agent')) })
    const error = await faultOf(bus.request('agent.a', 1))
    expect(error.cause).toBeInstanceOf(TypeError)
    return error
  },
  async CANCELLED(bus) {
    bus.register('a')
    return faultOf(bus.request('agent.a', 1, { signal: AbortSignal.abort() }))
  },
  async QUEUE_FULL(bus) {
    bus.register('a', { limit: 1, overflow: 'refuse' })
    await bus.send('a', 1)
    return faultOf(bus.send('a', 2))
  },
  async MESSAGE_DROPPED(bus) {
    bus.register('a', { limit: 1, overflow: 'drop-oldest' })
    await bus.send('a', 1)
    await bus.send('a', 2)
    return failureOf(bus)
  },
  async MESSAGE_EXPIRED(bus, env) {
    const agent = bus.register('a')
    await bus.send('a', 1, { ttlMs: 10 })
    await env.advance(11)
    await faultOf(agent.receive({ timeoutMs: 0 }))
    return failureOf(bus)
  },
  async HOP_LIMIT(bus) {
    bus.configure({ maxHops: 1 })
    const seen = Promise.withResolvers<BusError>()
    bus.subscribe('round.*', (_message, { bus: inner }) => inner.publish('round.again', 1).catch(seen.resolve))
    await bus.publish('round.again', 1)
    return seen.promise
  },
  async REQUEST_CYCLE(bus) {
    bus.configure({ onCycle: 'refuse' })
    bus.register('a', { handler: (_message, { bus: inner }) => inner.request('agent.a', 1) })
    return faultOf(bus.request('agent.a', 1))
  },
  async NOT_RUNNING(bus) {
    await bus.stop()
    return faultOf(bus.publish('a.b', 1))
  },
  async BUS_CLOSED(bus) {
    await bus.close()
    return faultOf(bus.publish('a.b', 1))
  },
  async SESSION_ENDED(bus) {
    const session = bus.session('s')
    await session.close()
    return faultOf(session.publish('a.b', 1))
  },
}

/** The error of the one failure that the bus has reported. */
function failureOf(bus: Bus): BusError {
  const [failure] = bus.failures()
  if (!(failure?.error instanceof BusError)) throw new Error('no failure with a BusError was reported')
  return failure.error
}

test.each(Object.keys(FAULTS) as ErrorCode[])(
  '[Z25] the fault %s is a BusError with family, message and details',
  async (code) => {
    const env = fakeEnv()
    const error = await (FAULTS[code] as Fault)(createBus({ env }), env)
    expect(error.code).toBe(code)
    expect(error.family).toBe(ERRORS[code].family)
    expect(error.message.length).toBeGreaterThan(10)
    expect(error.details).toBeTypeOf('object')
    expect(error.next).toBe(ERRORS[code].next)
  },
)
