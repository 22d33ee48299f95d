import { expect, test } from 'vitest'
import { type Agent, createBus, type Message, pathOf } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { codeOf, follow, numbers, still } from './support/cortex-veritas.ts'

test('[C8] 1 000 messages to pink while red listens too reach pink only: 1 000 at pink, 0 at red', async () => {
  await using bus = createBus()
  const pink: Message[] = []
  const red: Message[] = []
  bus.register('pink', { handler: (message) => void pink.push(message) })
  bus.register('red', { handler: (message) => void red.push(message) })
  for (const index of numbers(1_000)) await bus.send('pink', index)
  await bus.idle()
  expect(pink.map((one) => one.data)).toEqual(numbers(1_000))
  expect(new Set(pink.map((one) => one.to))).toEqual(new Set(['pink']))
  expect(red).toEqual([])
  expect(bus.stats().ledger.handled).toBe(1_000)
})

test('[C8] an agent without a handler can neither receive nor empty the inbox of another agent', async () => {
  await using bus = still({ env: fakeEnv() })
  const pink = bus.register('pink')
  const red = bus.register('red')
  for (const index of numbers(1_000)) await bus.send('pink', index)
  expect(await codeOf(red.receive({ timeoutMs: 0 }))).toBe('RECEIVE_TIMEOUT')
  expect(red.clear()).toBe(0)
  expect(bus.queueSize('pink')).toBe(1_000)
  for (const index of numbers(1_000)) expect((await pink.receive({ timeoutMs: 0 })).data).toBe(index)
})

interface Worker {
  readonly agent: Agent
  readonly got: Message[]
}

function workers(bus: ReturnType<typeof createBus>, names: readonly string[]): Record<string, Worker> {
  return Object.fromEntries(names.map((name) => [name, { agent: bus.register(name), got: [] }]))
}

function join(worker: Worker | undefined, topic: string, group: string): () => void {
  const joined = worker?.agent.subscribe(topic, async (message) => void worker.got.push(message), { group })
  return () => void joined?.unsubscribe()
}

test('[C9] pools by type share the work evenly, each message goes to exactly one member, and no pool sees another', async () => {
  await using bus = createBus()
  const { pink, red, harold, ring } = workers(bus, ['pink', 'red', 'harold', 'ring'])
  join(pink, 'tasks.coding', 'coders')
  join(red, 'tasks.coding', 'coders')
  join(harold, 'tasks.deploy', 'deployers')
  join(ring, 'tasks.monitor', 'health-ring')
  for (const index of numbers(1_000)) await bus.publish('tasks.coding', index)
  for (const index of numbers(10)) await bus.publish('tasks.deploy', index)
  for (const index of numbers(20)) await bus.publish('tasks.monitor', index)
  await bus.idle()
  const coding = [...(pink?.got ?? []), ...(red?.got ?? [])].map((one) => one.data as number)
  expect(coding.toSorted((a, b) => a - b)).toEqual(numbers(1_000))
  expect(pink?.got.length).toBeGreaterThanOrEqual(400)
  expect(red?.got.length).toBeGreaterThanOrEqual(400)
  expect(harold?.got.map((one) => one.topic)).toEqual(numbers(10).map(() => 'tasks.deploy'))
  expect(ring?.got.map((one) => one.topic)).toEqual(numbers(20).map(() => 'tasks.monitor'))
})

test('[C9] members join and leave a pool while it works, and every message still goes to exactly one', async () => {
  await using bus = createBus()
  const { pink, red, blue } = workers(bus, ['pink', 'red', 'blue'])
  const leave = [join(pink, 'tasks.coding', 'coders'), join(red, 'tasks.coding', 'coders')]
  const publish = async (from: number): Promise<void> => {
    for (const index of numbers(300)) await bus.publish('tasks.coding', from + index)
  }
  await publish(0)
  leave[0]?.()
  await publish(300)
  await bus.idle()
  const pinkAtLeaving = pink?.got.length
  join(blue, 'tasks.coding', 'coders')
  await publish(600)
  leave[1]?.()
  await publish(900)
  await bus.idle()
  expect(pink?.got.length).toBe(pinkAtLeaving)
  expect(blue?.got.length).toBeGreaterThanOrEqual(400)
  const all = [pink, red, blue].flatMap((one) => one?.got ?? []).map((one) => one.data as number)
  expect(all.toSorted((a, b) => a - b)).toEqual(numbers(1_200))
})

test('[C9] a task that a member of the pool gives to its own pool goes to exactly one member too', async () => {
  await using bus = createBus()
  const { pink, red } = workers(bus, ['pink', 'red'])
  join(pink, 'tasks.coding', 'coders')
  join(red, 'tasks.coding', 'coders')
  for (const index of numbers(10)) await pink?.agent.publish('tasks.coding', index)
  for (const index of numbers(10)) await red?.agent.publish('tasks.coding', 10 + index)
  await bus.idle()
  const all = [...(pink?.got ?? []), ...(red?.got ?? [])].map((one) => one.data as number)
  expect(all.toSorted((a, b) => a - b)).toEqual(numbers(20))
})

test('[C10] 300 broadcasts reach each of 3 agents: 900 deliveries', async () => {
  await using bus = createBus()
  const got: Record<string, unknown[]> = { harold: [], pink: [], red: [] }
  for (const name of Object.keys(got)) bus.register(name, { handler: (message) => void got[name]?.push(message.data) })
  for (const index of numbers(300)) await bus.broadcast(index, { from: 'operator' })
  await bus.idle()
  for (const name of Object.keys(got)) expect(got[name], name).toEqual(numbers(300))
  expect(bus.stats().ledger).toMatchObject({ published: 900, handled: 900, pending: 0 })
})

test('[C10] heartbeats and global events reach every watcher whole, beside a pool that shares the work', async () => {
  await using bus = createBus()
  const watchers = numbers(5).map((): unknown[] => [])
  for (const seen of watchers) {
    bus.subscribe(['heartbeats', 'events.global'], (message) => void seen.push(message.data))
  }
  for (const index of numbers(100)) {
    await bus.publish('heartbeats', index, { priority: 'background' })
    await bus.publish('events.global', index)
  }
  await bus.idle()
  for (const seen of watchers) {
    expect(seen.length).toBe(200)
    expect((seen as number[]).toSorted((a, b) => a - b)).toEqual(numbers(200).map((index) => Math.floor(index / 2)))
  }
})

test('[C13] an idle request is answered by correlation id and reply address without the clock moving', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  let request: Message | undefined
  bus.register('pink', {
    handler: async (message) => {
      request = message
      return { done: message.data }
    },
  })
  for (const index of numbers(20)) {
    const asked = follow(bus.request('agent.pink', index))
    await env.settle()
    expect(asked.state).toBe('resolved')
    expect(asked.value?.data).toEqual({ done: index })
    expect(asked.value?.correlationId).toBe(request?.correlationId)
    expect(asked.value?.correlationId).not.toBeUndefined()
    expect(asked.value?.topic).toBe(request?.replyTo)
    await env.advance(60_000)
  }
  expect(bus.stats().latency.maxMs).toBe(0)
})

test('[C13] a request waiting in an inbox wakes its reader at once: nothing polls', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const pink = bus.register('pink')
  const readers = follow(pink.receive({ timeoutMs: 10_000 }))
  await env.advance(5_000)
  const asked = follow(bus.request('agent.pink', 'ping'))
  await env.settle()
  expect(readers.state).toBe('resolved')
  expect(bus.respond(readers.value as Message, 'pong')).toBe(true)
  await env.settle()
  expect(asked.value?.data).toBe('pong')
})

test('[C45] a bus event arrives unchanged, and the publisher gets its own only on request', async () => {
  await using bus = createBus()
  const event = {
    event_type: 'lobe_complete',
    payload: { confidence: 0.75, path: ['a', 'b'], nested: { none: null, yes: true } },
    timestamp: '2026-01-01T00:00:00Z',
    source: 'harold',
  }
  const harold = bus.register('harold')
  const pink = bus.register('pink')
  const own: Message[] = []
  const echoed: Message[] = []
  const others: Message[] = []
  harold.subscribe('events.global', (message) => void own.push(message))
  harold.subscribe('events.global', (message) => void echoed.push(message), { echo: true })
  pink.subscribe('events.global', (message) => void others.push(message))
  await harold.publish('events.global', event)
  await bus.idle()
  expect(own).toEqual([])
  expect(echoed.map((one) => one.data)).toEqual([event])
  // The event itself, not a wrapper around it.
  expect(others.map((one) => one.data)).toEqual([event])
  expect(others[0]?.from).toBe('harold')
  expect(Object.keys(others[0]?.data as object)).toEqual(['event_type', 'payload', 'timestamp', 'source'])
})

test('[C58] harold sends a critical task to pink, pink starts at once, and the result reaches harold, on a standing clock', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const results: Message[] = []
  const started: { readonly message: Message; readonly afterMs: number; readonly backlog: number }[] = []
  const harold = bus.register('harold', { handler: (message) => void results.push(message) })
  bus.register('pink', {
    concurrency: 1,
    handler: async (message, context) => {
      if (message.priority !== 'critical') return
      started.push({ message, afterMs: env.wallMs() - message.time, backlog: bus.queueSize('pink') })
      await context.bus.send('harold', { task: message.data, status: 'fixed' }, { priority: message.priority })
    },
  })
  const beforeMs = env.monotonicMs()
  for (const index of numbers(2_000)) await bus.publish('agent.pink', index, { priority: 'low' })
  const ack = await harold.send('pink', 'production is down', { priority: 'critical' })
  await env.settle()
  expect(env.monotonicMs()).toBe(beforeMs)
  const [run] = started
  expect(started.length).toBe(1)
  expect(run?.afterMs).toBe(0)
  expect(run?.message).toMatchObject({ id: ack.id, from: 'harold', to: 'pink', priority: 'critical' })
  expect(results.length).toBe(1)
  const [result] = results as [Message]
  expect(result.data).toEqual({ task: 'production is down', status: 'fixed' })
  expect(result).toMatchObject({ from: 'pink', to: 'harold', causationId: ack.id, rootId: ack.id, hops: 1 })
  expect(pathOf(result)).toEqual(['agent.pink', 'agent.harold'])
  expect(bus.stats().ledger).toMatchObject({ pending: 0, failed: 0, expired: 0, dropped: 0 })
})

test('[C58] the critical task overtakes pink’s waiting work: it is the next one pink starts', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const harold = bus.register('harold')
  const order: unknown[] = []
  const busy = Promise.withResolvers<void>()
  bus.register('pink', {
    concurrency: 1,
    handler: (message) => {
      order.push(message.data)
      return message.data === 'first' ? busy.promise : { result: message.data }
    },
  })
  await harold.send('pink', 'first')
  for (const index of numbers(500)) await harold.send('pink', index, { priority: 'high' })
  const asked = follow(harold.request('agent.pink', 'production is down', { priority: 'critical' }))
  busy.resolve()
  await env.settle()
  expect(order.slice(0, 2)).toEqual(['first', 'production is down'])
  expect(asked.value?.data).toEqual({ result: 'production is down' })
  expect(asked.value?.from).toBe('pink')
  expect(asked.value?.causationId).toBe(asked.value?.rootId)
})
