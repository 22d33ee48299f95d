import { expect, test } from 'vitest'
import { createBus, type Failure, PRESETS, type Preset } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { announcements, faultOf, gate, imbalance, isSettled, range, rig } from './support/woodwork.ts'

test('[L14] waiting for events ends when everything accepted before the call is processed, and not later', async () => {
  await using r = rig()
  const { bus, env } = r
  const gates = new Map(['a', 'b', 'c'].map((name) => [name, gate()]))
  bus.subscribe('t', ({ data }) => gates.get(data as string)?.opened, { concurrency: 3 })
  bus.subscribe('t', ({ data }) => gates.get(data as string)?.opened, { rank: 90, concurrency: 3 })
  await bus.publish('t', 'a')
  await bus.publish('t', 'b')
  const first = bus.idle()
  await bus.publish('t', 'c')
  const second = bus.idle()
  gates.get('a')?.open()
  expect(await isSettled(first, env)).toBe(false)
  gates.get('b')?.open()
  expect(await isSettled(first, env)).toBe(true)
  expect(await isSettled(second, env)).toBe(false)
  gates.get('c')?.open()
  expect(await isSettled(second, env)).toBe(true)
  expect(await isSettled(bus.idle(), env)).toBe(true)
})

test.each([undefined, ...(Object.keys(PRESETS) as Preset[])])(
  '[L15] what is published before the start is buffered within a bound and delivered at the start (preset %s)',
  async (preset) => {
    const env = fakeEnv()
    const bus = createBus({ env, autoStart: false, limit: 4, ...(preset === undefined ? {} : { preset }) })
    const seen: unknown[] = []
    const early = [
      bus.publish('t', { n: 1 }),
      bus.publish('t', { n: 2 }),
      bus.send('agent', { n: 3 }),
      bus.publish('nobody', { n: 0 }),
    ]
    const fault = await faultOf(bus.publish('t', { n: 9 }))
    expect(fault.code).toBe('QUEUE_FULL')
    bus.subscribe('t', (message) => void seen.push(message.data))
    bus.register('agent', { handler: (message) => void seen.push(message.data) })
    await env.settle()
    expect(seen).toEqual([])
    bus.start()
    const acks = await Promise.all(early)
    await env.settle()
    expect(acks.map(({ recipients }) => recipients)).toEqual([1, 1, 1, 0])
    expect(seen).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    await bus.close()
  },
)

test('[L15] what was published before the start is what it was at the publish', async () => {
  await using r = rig({ autoStart: false })
  const { bus, env } = r
  const seen: unknown[] = []
  const data = { n: 1, bytes: new Uint8Array([1]) }
  const early = bus.publish('t', data, { ttlMs: 1_000 })
  void early.catch(() => 'looked at below')
  const wrong = faultOf(bus.publish('not..valid', 1))
  void wrong.catch(() => 'looked at below')
  Reflect.set(data, 'n', 'changed after the publish')
  data.bytes[0] = 99
  expect(await isSettled(wrong, env), 'bad input is refused at once').toBe(true)
  expect((await wrong).code).toBe('INVALID_TOPIC')
  bus.subscribe('t', (message) => void seen.push(message.data))
  bus.start()
  await early
  await env.settle()
  expect(seen).toEqual([{ n: 1, bytes: new Uint8Array([1]) }])
})

test('[L15] with nobody listening a publish keeps nothing', async () => {
  await using r = rig({ history: 0 })
  const { bus, env } = r
  for (const n of range(1_000))
    expect(await bus.publish('nobody', n, { until: 'handled' })).toMatchObject({ recipients: 0 })
  expect(bus.stats()).toMatchObject({
    messages: 1_000,
    queued: 0,
    failures: 0,
    ledger: { published: 0, handled: 0, pending: 0, expired: 0, dropped: 0, failed: 0 },
  })
  expect([env.timers, env.monotonicMs()]).toEqual([0, 0])
})

test('[L16] start and stop may be repeated, and what was published in between is refused', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: unknown[] = []
  bus.subscribe('t', ({ data }) => void seen.push(data))
  for (const n of range(3)) {
    bus.start()
    bus.start()
    const published = bus.publish('t', n)
    const stops = Promise.all([bus.stop(), bus.stop()])
    await env.advance(5)
    const reports = await stops
    expect(await published).toMatchObject({ recipients: 1 })
    expect(reports[0]).toEqual({ handled: 1, left: 0, abandoned: 0 })
    expect(await bus.stop()).toEqual({ handled: 0, left: 0, abandoned: 0 })
    expect((await faultOf(bus.publish('t', 'between'))).code).toBe('NOT_RUNNING')
  }
  await env.settle()
  expect(seen).toEqual([0, 1, 2])
  await bus.close()
  await bus.close()
  expect(() => bus.start()).toThrow('closed')
  expect((await faultOf(bus.publish('t', 1))).code).toBe('BUS_CLOSED')
})

test('[L16] a stop drains what waits, with all that it causes, and reports what is left at its deadline', async () => {
  const told: Failure[] = []
  await using r = rig({ onFailure: (failure) => void told.push(failure) })
  const { bus, env } = r
  const seen: unknown[] = []
  bus.subscribe('t', async ({ data }, context) => {
    await new Promise<void>((resolve) => void env.after(10, resolve))
    await context.bus.publish('caused', data)
  })
  bus.subscribe('caused', ({ data }) => void seen.push(data))
  for (const n of range(5)) await bus.publish('t', n)
  const stopping = bus.stop({ limitMs: 1_000 })
  expect((await faultOf(bus.publish('t', 'late'))).code).toBe('NOT_RUNNING')
  await env.advance(60)
  expect(await stopping).toEqual({ handled: 10, left: 0, abandoned: 0 })
  expect(seen).toEqual(range(5))

  bus.start()
  bus.subscribe('stuck', () => new Promise(() => undefined), { name: 'stuck' })
  for (const n of range(4)) await bus.publish('stuck', n)
  await env.settle()
  const second = bus.stop({ limitMs: 100 })
  await env.advance(90)
  expect(await isSettled(second, env)).toBe(false)
  await env.advance(20)
  expect(await second).toEqual({ handled: 0, left: 3, abandoned: 1 })
  expect(told.map(({ reason, outcome }) => `${reason} ${outcome}`).sort()).toEqual([
    ...range(3).map(() => 'shutdown dropped'),
    'shutdown failed',
  ])
  expect(bus.stats()).toMatchObject({ handlerTimeouts: 0, ledger: { pending: 0 } })
  bus.start()
  await env.advance(60_000)
  expect(bus.stats().handlerTimeouts, 'what was abandoned is not counted again').toBe(0)
})

test('[L16] a reset clears handlers, middleware, filters and errors', async () => {
  await using r = rig()
  const { bus, env } = r
  const calls: string[] = []
  const looked: unknown[] = []
  bus.use((next) => (message, context) => {
    calls.push('middleware')
    return next(message, context)
  })
  bus.subscribe('t', () => Promise.reject(new Error('no')), { filter: ({ data }) => looked.push(data) > 0 })
  bus.register('agent', { handler: () => void calls.push('agent') })
  bus.declare('held')
  await bus.send('held', 1)
  await bus.publish('t', 1, { until: 'handled' })
  const inbox = bus.inbox('t')
  const received = faultOf(inbox.receive())
  expect([bus.failures().length, bus.history().length, calls.length]).toEqual([1, 2, 1])
  bus.reset()
  expect([bus.failures(), bus.history(), bus.agents(), bus.subscribers('t')]).toEqual([[], [], [], []])
  expect(bus.stats()).toMatchObject({ running: true, subscriptions: 0, agents: 0, ledger: { pending: 0 } })
  expect(await isSettled(received, env), 'whoever waits at an inbox hears of its end').toBe(true)
  expect((await received).code).toBe('SUBSCRIPTION_ENDED')
  expect((await bus.publish('t', 2)).recipients).toBe(0)
  bus.subscribe('t', () => void calls.push('new'))
  await bus.publish('t', 3)
  await env.settle()
  expect(calls).toEqual(['middleware', 'new'])
  expect(looked).toEqual([1])
  expect(bus.failures()).toEqual([])
})

test('[LN7] of 1,000 queued messages a stop after 50 ms loses none without a report', async () => {
  const told: Failure[] = []
  await using r = rig({ onFailure: (failure) => void told.push(failure), failures: 2_000 })
  const { bus, env } = r
  const handled: unknown[] = []
  bus.subscribe('t', async ({ data }, { signal }) => {
    await new Promise<void>((resolve) => void env.after(1, resolve))
    if (!signal.aborted) handled.push(data)
  })
  for (const n of range(1_000)) await bus.publish('t', n)
  const stopping = bus.stop({ limitMs: 50 })
  await env.advance(60)
  const report = await stopping
  expect(report.handled).toBe(handled.length)
  expect(report.handled).toBeGreaterThan(20)
  expect(report.handled).toBeLessThan(60)
  expect(report.handled + report.left + report.abandoned).toBe(1_000)
  expect(told).toHaveLength(1_000 - report.handled)
  expect(new Set(told.map(({ reason }) => reason))).toEqual(new Set(['shutdown']))
  const all = [...handled, ...told.map(({ message }) => message.data)]
  expect(all.sort((a, b) => Number(a) - Number(b))).toEqual(range(1_000))
  expect(bus.failures()).toHaveLength(told.length)
  expect(imbalance(bus.stats().ledger)).toBe(0)
})

test('[LN22] two buses share no handlers, agents, middleware, figures, history, failures or streams', async () => {
  await using one = rig({ name: 'one', limit: 7 })
  await using two = rig({ name: 'two' })
  const calls: string[] = []
  for (const { bus } of [one, two]) {
    const { name } = bus.stats()
    bus.subscribe('t', () => void calls.push(`${name} handler`))
    bus.register('agent', { handler: () => Promise.reject(new Error('no')) })
  }
  one.bus.use((next) => (message, context) => {
    calls.push('one middleware')
    return next(message, context)
  })
  one.bus.streams.open({ id: 'stream' })
  one.bus.declare('held')
  const announced = await announcements('message.published', async () => {
    await one.bus.publish('t', 1, { session: 's' })
    await one.bus.send('agent', 1)
    await one.bus.idle()
  })
  expect(announced).toMatchObject([{ bus: 'one' }, { bus: 'one' }])
  expect(calls).toEqual(['one middleware', 'one handler', 'one middleware'])
  expect(one.bus.stats()).toMatchObject({ messages: 2, failures: 1, ledger: { published: 2 }, streams: { active: 1 } })
  expect(two.bus.stats()).toMatchObject({
    name: 'two',
    messages: 0,
    failures: 0,
    ledger: { published: 0 },
    streams: { active: 0, opened: 0 },
    config: { limit: 10_000 },
  })
  expect([two.bus.history(), two.bus.failures(), two.bus.agent('held'), two.bus.streams.info('stream')]).toEqual([
    [],
    [],
    undefined,
    undefined,
  ])
  await one.bus.close({ limitMs: 0 })
  await two.bus.publish('t', 2)
  await two.env.settle()
  expect(calls.at(-1)).toBe('two handler')
})
