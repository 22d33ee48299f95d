import { expect, test } from 'vitest'
import { type Message, pathOf } from '../../src/index.ts'
import { announcements, faultIn, faultOf, gate, imbalance, isSettled, range, rig } from './support/woodwork.ts'

test('[W4] the operations of a bus: nothing is sent before the start, and everything has its figure afterwards', async () => {
  await using r = rig({ autoStart: false, beforeStart: 'refuse' })
  const { bus, env } = r
  const seen: unknown[] = []
  const agent = bus.register('worker', { handler: ({ data }) => void seen.push(data) })
  const subscription = bus.subscribe('news', ({ data }) => void seen.push(data))
  const refused = [
    bus.publish('news', 0),
    bus.send('worker', 0),
    bus.broadcast(0),
    bus.request('news', 0),
    bus.requestAll([['news', 0]]),
    bus.requestMany('news', 0).next(),
    bus.requestStream('news', 0)[Symbol.asyncIterator]().next(),
  ]
  for (const one of refused) {
    const fault = await faultOf(one)
    expect(fault.code).toBe('NOT_RUNNING')
    expect(fault.message).toContain('idle')
  }
  expect(bus.health()).toMatchObject({ status: 'unhealthy', reasons: ['the bus is idle'] })
  bus.start()
  await bus.publish('news', 1)
  await bus.send('worker', 2)
  await env.settle()
  expect(seen.sort()).toEqual([1, 2])
  expect(bus.stats()).toMatchObject({ running: true, subscriptions: 1, agents: 1, messages: 2, ledger: { handled: 2 } })
  expect(bus.health().status).toBe('healthy')

  expect(subscription.id).toMatch(/\S/)
  bus.unsubscribe(subscription.id)
  expect(subscription.active).toBe(false)
  expect(subscription.unsubscribe()).toBe(false)
  expect(faultIn(() => bus.unsubscribe(subscription.id)).code).toBe('UNKNOWN_SUBSCRIPTION')
  expect((await bus.publish('news', 3)).recipients).toBe(0)
  expect(agent.unregister()).toBe(true)
  expect(agent.unregister()).toBe(false)
  expect((await faultOf(bus.send('worker', 4))).code).toBe('UNKNOWN_AGENT')
  await bus.stop()
  expect((await faultOf(bus.publish('news', 5))).code).toBe('NOT_RUNNING')
  expect(seen).toHaveLength(2)
})

test('[W5] a subscription takes a name or a pattern, limited to a session or a sender, before anything is delivered', async () => {
  await using r = rig()
  const { bus, env } = r
  const heard: Record<string, string[]> = {}
  const listen = (name: string, pattern: string, options: object = {}) =>
    bus.subscribe(pattern, ({ topic }) => void (heard[name] ??= []).push(topic), { name, ...options })
  listen('exact', 'component.mail')
  listen('below', 'component.*')
  listen('one', '*')
  listen('all', '>')
  const bound = listen('session', 'component.*', { session: 's1' })
  const from = listen('from', 'component.*', { sender: 'alice' })
  let looked = 0
  const filtered = listen('filtered', 'component.*', {
    filter: (message: Message) => ++looked > 0 && message.data === 'yes',
  })
  const acks = [
    await bus.publish('component.mail', 'no', { session: 's1' }),
    await bus.publish('component.web', 'no', { session: 's2', from: 'alice' }),
    await bus.publish('component.web.deep', 'yes'),
    await bus.publish('solo', 'yes'),
    await bus.publish('component.web', 'yes', { from: 'bob' }),
  ]
  expect(looked).toBe(3)
  await env.settle()
  expect(heard).toEqual({
    exact: ['component.mail'],
    below: ['component.mail', 'component.web', 'component.web'],
    one: ['solo'],
    all: ['component.mail', 'component.web', 'component.web.deep', 'solo', 'component.web'],
    session: ['component.mail'],
    from: ['component.web'],
    filtered: ['component.web'],
  })
  expect(acks.map((ack) => ack.recipients)).toEqual([4, 3, 1, 2, 3])
  for (const one of [bound, from, filtered]) expect(one.stats().enqueued).toBe(1)
})

test('[W6] a handler gets a message for it once, a declared absent one gets them held and in order, an unknown one is refused', async () => {
  await using r = rig({ limit: 5, overflow: 'refuse' })
  const { bus, env } = r
  const direct: unknown[] = []
  bus.register('here', { handler: ({ data }) => void direct.push(data) })
  expect(await bus.send('here', 'x')).toMatchObject({ recipients: 1, held: false })
  await env.settle()
  expect(direct).toEqual(['x'])

  bus.declare('late')
  for (const n of range(4)) expect(await bus.send('late', n)).toMatchObject({ recipients: 1, held: true })
  expect(bus.agent('late')).toMatchObject({ held: true, queued: 4 })
  const seen: unknown[] = []
  bus.register('late', { handler: ({ data }) => void seen.push(data) })
  await bus.send('late', 4)
  await env.settle()
  expect(seen).toEqual([0, 1, 2, 3, 4])

  bus.declare('tight')
  for (const n of range(5)) await bus.send('tight', n)
  expect((await faultOf(bus.send('tight', 5))).code).toBe('QUEUE_FULL')

  bus.declare('never')
  await bus.send('never', 'old', { ttlMs: 1_000 })
  await env.advance(1_001)
  await bus.send('never', 'new')
  const rest: unknown[] = []
  bus.register('never', { handler: ({ data }) => void rest.push(data) })
  await env.settle()
  expect(rest).toEqual(['new'])
  expect(bus.failures()).toMatchObject([{ name: 'never', reason: 'expired', message: { data: 'old' } }])

  const fault = await faultOf(bus.send('nobody', 1))
  expect(fault.code).toBe('UNKNOWN_AGENT')
  expect(fault.details.wanted).toBe('nobody')
  expect(bus.agent('nobody')).toBeUndefined()
})

test('[W6] the preset "woodwork" holds messages for an absent component and says so in the receipt', async () => {
  await using r = rig({ preset: 'woodwork' })
  const { bus, env } = r
  bus.declare('analytics')
  const acks = await Promise.all(range(20).map((n) => bus.send('analytics', n)))
  expect(acks.every((ack) => ack.held)).toBe(true)
  const seen: unknown[] = []
  bus.register('analytics', { handler: ({ data }) => void seen.push(data) })
  await env.settle()
  expect(seen).toEqual(range(20))
})

test('[W7] every subscriber is served on its own, and the result names the failures of each', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: string[] = []
  const stuck = gate()
  bus.subscribe('t', () => void seen.push('a'), { name: 'a' })
  bus.subscribe('t', () => Promise.reject(new Error('b fails')), { name: 'b' })
  bus.subscribe('t', () => stuck.opened, { name: 'slow' })
  bus.subscribe(
    't',
    () => {
      throw new Error('c fails')
    },
    { name: 'c' },
  )
  bus.subscribe('t', () => stuck.opened, { name: 'full', limit: 1, overflow: 'refuse' })
  bus.subscribe('t', () => void seen.push('z'), { name: 'z' })
  await bus.publish('t', 0)
  await env.settle()
  await bus.publish('t', 1)
  await env.settle()
  seen.length = 0
  const ack = await bus.publish('t', 2, { receipt: true })
  await env.settle()
  expect(seen).toEqual(['a', 'z'])
  expect(env.monotonicMs()).toBe(0)
  expect(ack.refused.map(({ name, error }) => [name, (error as { code?: string }).code])).toEqual([
    ['full', 'QUEUE_FULL'],
  ])
  stuck.open()
  const reports = (await ack.receipt) ?? []
  const outcomes = Object.fromEntries(reports.map(({ name, outcome }) => [name, outcome]))
  expect(outcomes).toEqual({ a: 'handled', b: 'failed', slow: 'handled', c: 'failed', full: 'refused', z: 'handled' })
  expect(reports.find(({ name }) => name === 'c')?.error).toMatchObject({ message: 'c fails' })
  expect(imbalance(bus.stats().ledger)).toBe(0)
})

test('[W8] [WN1] a throwing handler is called once, the other subscribers once, and it is not forgotten', async () => {
  await using r = rig()
  const { bus, env } = r
  const calls: string[] = []
  const attempts: number[] = []
  bus.subscribe('t', () => void calls.push('good'))
  const bad = bus.subscribe('t', (_, context) => {
    calls.push('bad')
    attempts.push(context.attempt)
    throw new Error('no')
  })
  bus.register('direct', {
    handler: () => {
      calls.push('direct')
      return Promise.reject(new Error('no'))
    },
  })
  await bus.publish('t', 1)
  await bus.send('direct', 1)
  await env.advance(3_600_000)
  expect(calls.sort()).toEqual(['bad', 'direct', 'good'])
  expect(attempts).toEqual([1])
  expect(bad.active).toBe(true)
  await bus.publish('t', 2)
  await env.settle()
  expect(attempts).toEqual([1, 1])
  expect(bus.failures().map(({ reason, attempt }) => [reason, attempt])).toEqual(
    range(3).map(() => ['handler-error', 1]),
  )
  expect(bus.stats().ledger).toMatchObject({ published: 5, handled: 2, failed: 3, pending: 0 })
})

test('[W13] messages of one session, sender, target and level keep their order, also those from before the registration', async () => {
  await using r = rig()
  const { bus, env } = r
  const order = new Map<string, number[]>()
  let most = 0
  let running = 0
  const handler = async ({ data, session, from, to, priority }: Message) => {
    most = Math.max(most, ++running)
    // A pause that differs from message to message.
    for (let turn = Math.floor(env.random() * 4); turn > 0; turn--)
      await new Promise((resolve) => setImmediate(resolve))
    running--
    const key = [session, from, to, priority].join('/')
    order.set(key, [...(order.get(key) ?? []), data as number])
    if (data === 3) throw new Error('one of them fails')
  }
  const send = async (numbers: readonly number[]): Promise<void> => {
    for (const n of numbers) {
      for (const session of ['s1', 's2']) {
        for (const from of ['alice', 'bob']) {
          for (const to of ['early', 'late']) {
            for (const priority of ['high', 'normal', 'low'] as const)
              await bus.send(to, n, { session, from, priority })
          }
        }
      }
    }
  }
  bus.declare('late')
  bus.register('early', { handler, concurrency: 4 })
  await send(range(10))
  bus.register('late', { handler, concurrency: 4 })
  await send(range(10).map((n) => n + 10))
  while (running > 0 || bus.stats().ledger.pending > 0) await env.settle()
  expect(order.size).toBe(24)
  for (const [key, numbers] of order) expect(numbers, key).toEqual(range(20))
  expect(most).toBeGreaterThan(1)
})

test('[W13] different sessions are handled at the same time', async () => {
  await using r = rig()
  const { bus, env } = r
  const started: unknown[] = []
  const wait = gate()
  bus.subscribe('t', ({ session, data }) => {
    started.push([session, data])
    return wait.opened
  })
  for (const n of [1, 2]) for (const session of ['a', 'b', 'c']) await bus.publish('t', n, { session })
  await env.settle()
  expect(started).toEqual([
    ['a', 1],
    ['b', 1],
    ['c', 1],
  ])
  wait.open()
  await env.settle()
  expect(started).toHaveLength(6)
})

test('[W14] subscriptions, inboxes and replies of 1,000 sessions at once see no other session', async () => {
  await using r = rig()
  const { bus, env } = r
  bus.subscribe('ask', ({ session, data }) => ({ session, data }))
  const heard = new Map<string, unknown[]>()
  const rooms = range(1_000).map((n) => {
    const session = bus.session(`s${n}`)
    session.subscribe('talk', ({ data }) => void heard.set(session.id, [...(heard.get(session.id) ?? []), data]))
    return { session, inbox: session.inbox('talk') }
  })
  const answers = await Promise.all(
    rooms.map(async ({ session }, n) => {
      await session.publish('talk', n)
      return session.request('ask', n)
    }),
  )
  await env.settle()
  for (const [n, { session, inbox }] of rooms.entries()) {
    expect(heard.get(session.id)).toEqual([n])
    expect(inbox.size).toBe(1)
    expect(await inbox.receive({ timeoutMs: 0 })).toMatchObject({ data: n, session: session.id })
    expect(answers[n]).toMatchObject({ data: { session: session.id, data: n }, session: session.id })
  }
  expect(bus.stats().subscriptions).toBe(2_001)
  await Promise.all(rooms.map(({ session }) => session.close()))
  expect(bus.stats().subscriptions).toBe(1)
  expect((await faultOf(rooms[7]!.session.publish('talk', 1))).code).toBe('SESSION_ENDED')
  expect((await faultOf(rooms[7]!.inbox.receive())).code).toBe('SUBSCRIPTION_ENDED')
  expect(faultIn(() => rooms[7]!.session.subscribe('talk', () => undefined)).code).toBe('SESSION_ENDED')
  expect((await bus.publish('talk', 1, { session: 's7' })).recipients).toBe(0)
  await using again = bus.session('s7')
  const heardAgain: unknown[] = []
  again.subscribe('talk', ({ data }) => void heardAgain.push(data))
  await again.publish('talk', 'back')
  await env.settle()
  expect(heardAgain).toEqual(['back'])
})

test('[W34] every message knows its hops and its path, and a cycle ends with one diagnostic', async () => {
  await using r = rig({ maxHops: 32 })
  const { bus, env } = r
  const seen: Message[] = []
  const relay =
    (next: string) => async (message: Message, context: { bus: typeof bus | { publish: typeof bus.publish } }) => {
      seen.push(message)
      await context.bus.publish(next, message.data)
    }
  bus.subscribe('a', relay('b'))
  bus.subscribe('b', relay('a'))
  const told = await announcements('hops.exceeded', async () => {
    await bus.publish('a', 'x')
    await env.settle()
    await bus.idle()
  })
  expect(seen.map(({ hops }) => hops)).toEqual(range(33))
  expect(new Set(seen.map(({ rootId }) => rootId))).toEqual(new Set([seen[0]?.id]))
  for (const [n, message] of seen.entries()) {
    expect(pathOf(message)).toEqual(range(n + 1).map((hop) => (hop % 2 === 0 ? 'a' : 'b')))
    expect(message.causationId).toBe(seen[n - 1]?.id)
  }
  expect(told).toHaveLength(1)
  expect(bus.failures()).toHaveLength(1)
  const fault = bus.failures()[0]?.error as { code: string; details: { path: string[] } }
  expect(fault.code).toBe('HOP_LIMIT')
  expect(fault.details.path).toHaveLength(34)
})

test('[W34] a cycle of 1,000 hops needs no stack', async () => {
  await using r = rig({ maxHops: 1_000 })
  const { bus, env } = r
  let calls = 0
  bus.subscribe('a', async (_, context) => {
    calls++
    await context.bus.publish('a', 1)
  })
  await bus.publish('a', 1)
  while (bus.stats().ledger.pending > 0) await env.settle()
  expect(calls).toBe(1_001)
  expect(bus.failures().map(({ error }) => (error as { code: string }).code)).toEqual(['HOP_LIMIT'])
})

test('[W35] a slow handler never blocks its sender, and its time limit ends it', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: unknown[] = []
  let signal: AbortSignal | undefined
  const slow = bus.subscribe(
    't',
    ({ data }, context) => {
      seen.push(data)
      if (data !== 0) return undefined
      signal = context.signal
      return new Promise(() => undefined)
    },
    { name: 'slow', handlerTimeoutMs: 100 },
  )
  for (const n of range(3)) expect(await isSettled(bus.publish('t', n), env)).toBe(true)
  expect(env.monotonicMs()).toBe(0)
  expect(seen).toEqual([0])
  expect(slow.stats()).toMatchObject({ running: 1, waiting: 2 })
  await env.advance(99)
  expect(seen).toEqual([0])
  await env.advance(20)
  expect(signal?.aborted).toBe(true)
  expect(seen).toEqual([0, 1, 2])
  expect(bus.failures()).toMatchObject([{ name: 'slow', reason: 'handler-timeout', message: { data: 0 } }])
  expect(bus.stats().handlerTimeouts).toBe(1)
})
