import { expect, test } from 'vitest'
import { createBus, type Message, PRIORITIES, type Priority, priorityFrom } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { gate, numbers, still, until } from './support/cortex-veritas.ts'

const TASK_TYPES = ['coding', 'code_task', 'review', 'deploy', 'monitor', 'heartbeat', 'message', 'query']

test('[C3] every task type has a topic of its own, coding is also reached as code_task, and the set is open', async () => {
  await using bus = createBus()
  const byType = new Map<string, unknown[]>()
  const all: string[] = []
  for (const type of TASK_TYPES) {
    const seen: unknown[] = []
    byType.set(type, seen)
    bus.subscribe(`tasks.${type}`, (message) => void seen.push(message.data))
  }
  const coders: unknown[] = []
  bus.subscribe(['tasks.coding', 'tasks.code_task'], (message) => void coders.push(message.data))
  bus.subscribe('tasks.*', (message) => void all.push(message.topic))
  for (const type of [...TASK_TYPES, 'a-type-of-tomorrow']) await bus.publish(`tasks.${type}`, type)
  await bus.idle()
  for (const type of TASK_TYPES) expect(byType.get(type)).toEqual([type])
  expect(coders).toEqual(['coding', 'code_task'])
  expect(all).toEqual([...TASK_TYPES, 'a-type-of-tomorrow'].map((type) => `tasks.${type}`))
})

const LEVELS: readonly (readonly [unknown, Priority])[] = [
  [0, 'critical'],
  ['critical', 'critical'],
  ['error', 'critical'],
  ['alert', 'critical'],
  [1, 'high'],
  ['high', 'high'],
  ['warning', 'high'],
  [2, 'normal'],
  ['normal', 'normal'],
  ['info', 'normal'],
  ['whatever', 'normal'],
  [undefined, 'normal'],
  [3, 'low'],
  ['low', 'low'],
  ['debug', 'low'],
  [4, 'background'],
  ['heartbeat', 'background'],
]

test('[C4] names and numbers of the five levels order the delivery, and an unknown one counts as normal', async () => {
  await using bus = still({ env: fakeEnv() })
  const busy = gate()
  const order: Priority[] = []
  bus.subscribe('events.>', async (message) => {
    if (message.topic === 'events.first') return busy.closed
    order.push(message.priority)
    return undefined
  })
  await bus.publish('events.first', 0)
  for (const [given, level] of LEVELS) expect(priorityFrom(given), String(given)).toBe(level)
  for (const [given] of LEVELS.toReversed()) await bus.publish('events.next', given, { priority: priorityFrom(given) })
  busy.open()
  await bus.idle()
  const expected = PRIORITIES.flatMap((level) => LEVELS.filter((one) => one[1] === level).map(() => level))
  expect(order).toEqual(expected)
})

test('[C5] behind 2 000 waiting low messages, 5 critical ones are the next that are handed out', async () => {
  await using bus = still({ env: fakeEnv() })
  const order: Priority[] = []
  const started: (() => void)[] = []
  bus.register('pink', {
    concurrency: 1,
    handler: (message) => {
      order.push(message.priority)
      return new Promise<void>((resolve) => void started.push(resolve))
    },
  })
  for (const index of numbers(2_000)) await bus.send('pink', index, { priority: 'low' })
  // The handler is awake and holds exactly one low message: nothing beyond it may have left the queue.
  expect(order).toEqual(['low'])
  expect(bus.queueSize('pink')).toBe(1_999)
  for (const index of numbers(5)) await bus.send('pink', index, { priority: 'critical' })
  for (const _ of numbers(10)) {
    const before = order.length
    started.shift()?.()
    await until(() => order.length > before)
  }
  expect(order.slice(0, 7)).toEqual(['low', 'critical', 'critical', 'critical', 'critical', 'critical', 'low'])
  await bus.close({ limitMs: 0 })
})

test('[C5] low and background messages are passed by at most 100 higher ones in a row', async () => {
  await using bus = still({ env: fakeEnv() })
  const busy = gate()
  const order: Priority[] = []
  bus.subscribe('work', (message) => {
    if (message.data === 'first') return busy.closed
    order.push(message.priority)
    return undefined
  })
  await bus.publish('work', 'first')
  for (const index of numbers(10)) {
    await bus.publish('work', index, { priority: 'low' })
    await bus.publish('work', index, { priority: 'background' })
  }
  for (const index of numbers(3_000)) await bus.publish('work', index, { priority: 'high' })
  busy.open()
  await bus.idle()
  for (const level of ['low', 'background'] as const) {
    let passed = 0
    let worst = 0
    for (const one of order.slice(0, order.lastIndexOf(level) + 1)) {
      passed = one === level ? 0 : passed + 1
      worst = Math.max(worst, passed)
    }
    // Two starving levels may fall due together; then one waits for the other's turn.
    expect(worst, level).toBeLessThanOrEqual(101)
    expect(order.indexOf(level), level).toBeLessThanOrEqual(101)
  }
})

test('[C6] 20 000 messages of one level come out of one inbox first in, first out', async () => {
  await using bus = createBus({ limit: 20_000 })
  const busy = gate()
  const seen: unknown[] = []
  bus.register('pink', {
    concurrency: 1,
    handler: (message) => (message.data === 'first' ? busy.closed : void seen.push(message.data)),
  })
  await bus.send('pink', 'first')
  for (const index of numbers(20_000)) await bus.send('pink', index)
  expect(bus.queueSize('pink')).toBe(20_000)
  busy.open()
  await bus.idle()
  expect(seen).toEqual(numbers(20_000))
})

test('[C6] 20 000 messages of five levels, to two inboxes, keep their order inside each level and inbox', async () => {
  await using bus = createBus({ limit: 20_000 })
  const seen: Message[] = []
  for (const name of ['pink', 'red']) {
    bus.register(name, { concurrency: 1, handler: async (message) => void seen.push(message) })
  }
  for (const index of numbers(20_000)) {
    const priority = PRIORITIES[(index * 7) % 5] as Priority
    await bus.send(index % 2 === 0 ? 'pink' : 'red', index, { priority })
  }
  await bus.idle()
  expect(seen.length).toBe(20_000)
  for (const name of ['pink', 'red']) {
    for (const level of PRIORITIES) {
      const line = seen.filter((one) => one.to === name && one.priority === level).map((one) => one.data as number)
      expect(line).toEqual(line.toSorted((a, b) => a - b))
      expect(line.length).toBe(2_000)
    }
  }
})

const COUNTS = { critical: 1, high: 2, normal: 3, low: 4, background: 5 } as const

test('[C7] a subscription counts what it handled by level, and when it was last', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const watcher = bus.subscribe('events', () => undefined)
  expect(watcher.stats().lastHandled).toBeUndefined()
  for (const level of PRIORITIES) {
    for (const index of numbers(COUNTS[level])) await bus.publish('events', index, { priority: level })
  }
  await env.advance(7_000)
  await bus.publish('events', 'last')
  await env.settle()
  expect(watcher.stats().handled).toEqual({ ...COUNTS, normal: 4 })
  expect(watcher.stats().lastHandled).toBe(env.wallMs())
})

test('[C7] the figures of each agent tell its handled messages by level and when it handled the last one', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  bus.register('pink', { handler: async () => undefined })
  bus.register('red', { handler: async () => undefined })
  for (const level of PRIORITIES) {
    for (const index of numbers(COUNTS[level])) await bus.send('pink', index, { priority: level })
  }
  await env.settle()
  const lastHandled = env.wallMs()
  await env.advance(60_000)
  // Cast to a plain object: the fields are what this row asks for.
  expect(bus.agent('pink') as object).toMatchObject({ name: 'pink', handled: COUNTS, lastHandled })
  expect(bus.agent('red') as object).toMatchObject({
    handled: { critical: 0, high: 0, normal: 0, low: 0, background: 0 },
    lastHandled: undefined,
  })
})

test('[CN20] latency runs from publish to handler, not from arrival to arrival', async () => {
  const env = fakeEnv()
  await using bus = still({ env })
  const busy = gate()
  bus.subscribe('work', (message) => (message.data === 'slow' ? busy.closed : undefined))
  await bus.publish('work', 1)
  await env.advance(10_000)
  await bus.publish('work', 2)
  await env.advance(10_000)
  expect(bus.stats().latency).toMatchObject({ count: 2, maxMs: 0, avgMs: 0 })
  await bus.publish('work', 'slow')
  await bus.publish('work', 3)
  await env.advance(500)
  busy.open()
  await env.settle()
  expect(bus.stats().latency.count).toBe(4)
  expect(bus.stats().latency.maxMs).toBe(500)
  expect(bus.stats().handling.maxMs).toBe(500)
})

test('[CN20] figures of no event and of one event are finite numbers', async () => {
  await using bus = still({ env: fakeEnv() })
  bus.subscribe('work', () => undefined)
  const finite = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) finite(inner, `${path}.${key}`)
    } else if (typeof value === 'number' && path !== 'stats.config.ttlMs') {
      expect(Number.isFinite(value), path).toBe(true)
    }
  }
  finite(bus.stats(), 'stats')
  finite(bus.snapshot(), 'snapshot')
  finite(bus.health(), 'health')
  await bus.publish('work', 1)
  await bus.idle()
  expect(bus.stats().latency.count).toBe(1)
  finite(bus.stats(), 'stats')
  finite(bus.snapshot(), 'snapshot')
  finite(bus.health(), 'health')
})

test('[CN20] nested data is encoded with every message, history entry, figure and failure', async () => {
  await using bus = createBus({ historyData: true })
  let nested: unknown = 'the heart'
  for (const level of numbers(60)) nested = { level, inner: nested }
  const seen: Message[] = []
  bus.subscribe('work', (message) => {
    seen.push(message)
    throw new Error('for the failures')
  })
  await bus.publish('work', nested, { headers: { a: 'b' } })
  await bus.idle()
  const [message] = seen as [Message]
  expect(JSON.parse(JSON.stringify(message)).data).toEqual(nested)
  expect(JSON.parse(JSON.stringify(bus.history()))[0].data).toEqual(nested)
  expect(JSON.parse(JSON.stringify(bus.failures()))[0].message.data).toEqual(nested)
  expect(JSON.parse(JSON.stringify(bus.stats())).failures).toBe(1)
  expect(JSON.parse(JSON.stringify(bus.health())).recentFailures).toBe(1)
})
