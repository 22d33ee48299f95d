import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { type Bus, createBus } from '../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../src/testing/index.ts'
import { ROOT } from '../architecture/source.ts'
import { errorOf, faultOf, thrownBy, watched } from './support/zejzl.ts'

const run = promisify(execFile)
const never = (): Promise<void> => new Promise(() => undefined)

/** Four messages for a handler that needs 100 ms for each. */
async function loaded(env: FakeEnv, got: unknown[]): Promise<Bus> {
  const bus = createBus({ env })
  bus.subscribe('work.*', async ({ data }) => {
    await new Promise<void>((resolve) => void env.after(100, resolve))
    got.push(data)
  })
  for (const n of [1, 2, 3, 4]) await bus.publish('work.x', n)
  await env.settle()
  return bus
}

test('[Z24] close drains: what waits is handled within the deadline, and nothing new is taken meanwhile', async () => {
  const env = fakeEnv()
  const got: unknown[] = []
  const bus = await loaded(env, got)
  const closed = watched(bus.close({ limitMs: 1_000 }))
  await env.settle()
  expect((await faultOf(bus.publish('work.x', 'late'))).code).toBe('NOT_RUNNING')
  await env.advance(300)
  expect(closed.state).toBe('pending')
  await env.advance(110)
  expect(closed.value).toEqual({ handled: 4, left: 0, abandoned: 0 })
  expect([got, env.timers, bus.failures()]).toEqual([[1, 2, 3, 4], 0, []])
})

test('[Z24] at the deadline of the drain the rest is reported with reason "shutdown", the running handler is aborted', async () => {
  const env = fakeEnv()
  const got: unknown[] = []
  const bus = await loaded(env, got)
  const signals: AbortSignal[] = []
  bus.subscribe('slow.*', (_message, { signal }) => {
    signals.push(signal)
    return never()
  })
  await bus.publish('slow.x', 'never ends')
  const closed = watched(bus.close({ limitMs: 250 }))
  await env.advance(250)
  expect(closed.value).toEqual({ handled: 2, left: 1, abandoned: 2 })
  const reports = bus.failures().map(({ message, reason }) => [message.data, reason])
  expect(reports.toSorted()).toEqual([
    [3, 'shutdown'],
    [4, 'shutdown'],
    ['never ends', 'shutdown'],
  ])
  expect(signals.map((signal) => signal.aborted)).toEqual([true])
  expect(bus.stats().ledger).toMatchObject({ published: 5, handled: 2, pending: 0 })
})

test('[Z24] the drain is optional: with 0 ms nothing is waited for', async () => {
  const env = fakeEnv()
  const got: unknown[] = []
  const bus = await loaded(env, got)
  const closed = watched(bus.close({ limitMs: 0 }))
  await env.settle()
  expect([closed.value, got]).toEqual([{ handled: 0, left: 3, abandoned: 1 }, []])
  // The handler's own timer; none of the bus.
  expect(env.timers).toBe(1)
})

test('[Z24] open requests end with BUS_CLOSED, and a closed bus takes nothing any more', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const [a, b] = [bus.register('a'), bus.register('b')]
  const hour = { timeoutMs: 3_600_000 }
  const asked = ['taken', 'waits'].map((one) => watched(a.request('agent.b', one, hour)))
  expect((await b.receive()).data).toBe('taken')
  const closed = watched(bus.close({ limitMs: 100 }))
  await env.advance(100)
  expect(closed.state).toBe('fulfilled')
  for (const one of asked) expect(errorOf(one)).toMatchObject({ code: 'BUS_CLOSED', family: 'bus' })
  expect(bus.stats()).toMatchObject({ running: false, state: 'closed', agents: 0, requests: { pending: 0 } })
  for (const refused of [bus.publish('a.b', 1), bus.broadcast(1), bus.request('agent.b', 1), bus.send('b', 1)]) {
    expect((await faultOf(refused)).code).toBe('BUS_CLOSED')
  }
  expect(thrownBy(() => bus.register('c')).code).toBe('BUS_CLOSED')
  expect(thrownBy(() => bus.subscribe('a.b', () => undefined)).code).toBe('BUS_CLOSED')
  expect(thrownBy(() => bus.start()).code).toBe('BUS_CLOSED')
})

test('[Z24] a second close does nothing, whether during the first or after it', async () => {
  const env = fakeEnv()
  let reported = 0
  const bus = createBus({ env, onFailure: () => void reported++ })
  bus.register('a')
  await bus.send('a', 1)
  const first = bus.close({ limitMs: 50 })
  const second = bus.close({ limitMs: 3_600_000 })
  await env.advance(100)
  const report = await first
  expect(await second).toEqual(report)
  expect(await bus.close()).toEqual(report)
  await bus[Symbol.asyncDispose]()
  expect([report.left, reported, bus.failures().length]).toEqual([1, 1, 1])
  expect(bus.stats().ledger).toMatchObject({ published: 1, dropped: 1, pending: 0 })
})

/** Every kind of promise that a bus hands out, all of them open. */
async function openPromises(bus: Bus): Promise<Record<string, PromiseLike<unknown>>> {
  const hour = { timeoutMs: 3_600_000 }
  const slow = { handlerTimeoutMs: 3_600_000 }
  const [reader, looper, a] = [bus.register('reader'), bus.register('looper'), bus.register('a')]
  const b = bus.register('b')
  const taken = { one: a.request('agent.b', 'q', hour), many: manyOf(bus), parts: partsOf(bus) }
  for (let n = 0; n < 3; n++) await b.receive({ timeoutMs: 0 })
  bus.register('full', { limit: 2, waitMs: 3_600_000 })
  for (const n of [1, 2]) await bus.send('full', n)
  bus.subscribe('call.*', never, slow)
  const drained = bus.subscribe('drain.*', never, slow)
  await bus.publish('drain.x', 1)
  const { receipt } = await bus.publish('call.x', 1, { receipt: true })
  const nested = Promise.withResolvers<unknown>()
  bus.subscribe('outer.*', (_message, { bus: inner }) => inner.request('call.x', 'q', hour).catch(nested.resolve))
  await bus.publish('outer.x', 1)
  return {
    receive: reader.receive(hour),
    loop: looper[Symbol.asyncIterator]().next(),
    inbox: bus.inbox('some.*').receive(hour),
    request: a.request('agent.b', 'q', hour),
    callback: bus.request('call.x', 'q', hour),
    nested: nested.promise,
    many: manyOf(bus),
    stream: partsOf(bus),
    taken: taken.one,
    takenMany: taken.many,
    takenStream: taken.parts,
    read: bus.streams.read(bus.streams.open().id).next(),
    room: bus.send('full', 'waits for room'),
    roomOfMany: bus.broadcast('waits for room', { exclude: ['reader', 'looper'] }),
    handled: bus.publish('call.x', 2, { until: 'handled' }),
    succeeded: bus.send('a', 'is not read', { until: 'succeeded' }),
    receipt: receipt ?? Promise.reject(new Error('there is no receipt')),
    idle: bus.idle(),
    drained: drained.drain(),
  }
}

const manyOf = (bus: Bus): Promise<unknown> => bus.requestMany('agent.b', 'q', { maxWaitMs: 3_600_000 }).next()
const partsOf = (bus: Bus): Promise<unknown> =>
  bus.requestStream('agent.b', 'q', { stallMs: 3_600_000 })[Symbol.asyncIterator]().next()

test('[ZN12] close with open requests, receivers and callbacks leaves no promise unsettled and no timer alive', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const stalls: unknown[] = []
  bus.watch({ onStall: (stall) => void stalls.push(stall) })
  const promises = await openPromises(bus)
  const open = Object.entries(promises).map(([name, promise]) => [name, watched(promise)] as const)
  await env.settle()
  expect(open.filter(([, one]) => one.state !== 'pending').map(([name]) => name)).toEqual([])
  const closed = watched(bus.close({ limitMs: 100 }))
  await env.advance(150)
  expect(closed.state).toBe('fulfilled')
  expect(open.filter(([, one]) => one.state === 'pending').map(([name]) => name)).toEqual([])
  for (const [name, one] of open)
    if (one.state === 'rejected') expect([name, errorOf(one).code]).toEqual([name, expect.any(String)])
  expect(env.timers).toBe(0)
  expect(bus.stats()).toMatchObject({ queued: 0, requests: { pending: 0 }, ledger: { pending: 0 } })
})

test('[ZN12] promises of a bus that never started are settled as well', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, autoStart: false })
  bus.register('a')
  const open = [bus.publish('a.b', 1), bus.send('a', 1), bus.broadcast(1)].map((one) => watched(one))
  await bus.close()
  await env.settle()
  expect(open.map((one) => one.state)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(env.timers).toBe(0)
})

test('[ZN12] after close a process ends by itself, whatever had an hour left', async () => {
  const script = `
    import { createBus } from ${JSON.stringify(pathToFileURL(join(ROOT, 'src/index.ts')).href)}
    const hour = { timeoutMs: 3_600_000 }
    const bus = createBus({ handlerTimeoutMs: 3_600_000, ttlMs: 3_600_000, waitMs: 3_600_000 })
    bus.watch({ onStall() {} })
    const [a, b] = [bus.register('a'), bus.register('b', { limit: 1 })]
    bus.subscribe('call.*', () => new Promise(() => undefined))
    const open = [a.receive(hour), a.request('agent.b', 1, hour), bus.request('call.x', 1, hour), bus.send('b', 2)]
    const ends = Promise.allSettled(open)
    await bus.close({ limitMs: 20 })
    console.log((await ends).map((end) => end.reason?.code).join())`
  const { stdout } = await run(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    timeout: 15_000,
  })
  expect(stdout.trim()).toBe('SUBSCRIPTION_ENDED,BUS_CLOSED,BUS_CLOSED,BUS_CLOSED')
})
