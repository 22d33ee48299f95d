import { expect, test } from 'vitest'
import { type Agent, createBus, type Message } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { errorOf, LATE_MS, numbered, PATIENT, takeAll, watched } from './support/zejzl.ts'

const never = (): Promise<void> => new Promise(() => undefined)

test('[Z9] receive returns the next message, or RECEIVE_TIMEOUT exactly when its time is up', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const a = bus.register('a')
  await bus.send('a', 'waits already')
  expect((await a.receive({ timeoutMs: 0 })).data).toBe('waits already')
  const [in500, in1000] = [watched(a.receive({ timeoutMs: 1_000 })), watched(a.receive({ timeoutMs: 1_000 }))]
  await env.advance(500)
  await bus.send('a', 'for the first in line')
  await env.advance(499)
  expect(in500.value?.data).toBe('for the first in line')
  expect(in1000.state).toBe('pending')
  await env.advance(1 + LATE_MS)
  expect(errorOf(in1000)).toMatchObject({
    code: 'RECEIVE_TIMEOUT',
    family: 'timeout',
    details: { name: 'a', timeoutMs: 1_000 },
  })
})

test('[Z9] the time covers all waiting: a busy bus, other receivers and dead messages do not lengthen it', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, maxHandlers: 1 })
  bus.subscribe('work.*', never)
  await bus.publish('work.x', 1)
  const others = Array.from({ length: 100 }, (_, n) => watched(bus.register(`other${n}`).receive()))
  const a = bus.register('a')
  for (const one of numbered('dead', 3)) await bus.send('a', one, { ttlMs: 10 })
  await env.advance(10)
  const waits = watched(a.receive({ timeoutMs: 1_000 }))
  await env.advance(999)
  expect(waits.state).toBe('pending')
  await env.advance(1 + LATE_MS)
  expect(errorOf(waits).code).toBe('RECEIVE_TIMEOUT')
  expect(new Set(others.map((one) => one.state))).toEqual(new Set(['pending']))
})

test('[Z9] a receiver that timed out or was given up takes no later message', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const a = bus.register('a')
  const control = new AbortController()
  const gone = [watched(a.receive({ timeoutMs: 100 })), watched(a.receive({ signal: control.signal }))]
  await env.advance(200)
  control.abort()
  await bus.send('a', 'stays')
  await env.settle()
  expect(gone.map((one) => errorOf(one).code)).toEqual(['RECEIVE_TIMEOUT', 'CANCELLED'])
  expect(await takeAll(a)).toEqual(['stays'])
})

/** Reads an agent's messages in a loop until it ends. */
async function readAll(agent: Agent, got: unknown[], enough: number): Promise<'ended' | 'left'> {
  for await (const message of agent) {
    got.push(message.data)
    if (got.length === enough) return 'left'
  }
  return 'ended'
}

test('[Z10] iteration is endless and shows no internal timeout, until the loop is left', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, receiveTimeoutMs: 1_000 })
  const a = bus.register('a')
  const got: unknown[] = []
  const loop = watched(readAll(a, got, 3))
  for (const one of numbered('m', 3)) {
    await env.advance(3_600_000)
    expect(loop.state).toBe('pending')
    await bus.send('a', one)
  }
  await env.settle()
  expect([loop.value, got]).toEqual(['left', numbered('m', 3)])
  await bus.send('a', 'after the loop')
  expect(await takeAll(a)).toEqual(['after the loop'])
})

test('[Z10] iteration ends without an error when its agent is unregistered or replaced and when the bus closes', async () => {
  const bus = createBus()
  const agents = ['gone', 'replaced', 'closed'].map((name) => bus.register(name))
  const loops = agents.map((agent) => watched(readAll(agent, [], 1)))
  agents[0]?.unregister()
  bus.register('replaced', { replace: true })
  await expect.poll(() => loops.map((one) => one.value), PATIENT).toEqual(['ended', 'ended', undefined])
  await bus.close()
  await expect.poll(() => loops.map((one) => one.value), PATIENT).toEqual(['ended', 'ended', 'ended'])
})

test('[Z10] iteration that waits can be cancelled at once, and then takes no later message', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const a = bus.register('a')
  const loop = a[Symbol.asyncIterator]()
  const next = watched(loop.next())
  const left = watched(loop.return?.() ?? Promise.reject(new Error('the loop cannot be left')))
  await env.settle()
  await bus.send('a', 'stays')
  await env.settle()
  expect([left.state, next.value?.done]).toEqual(['fulfilled', true])
  expect(await takeAll(a)).toEqual(['stays'])
})

test('[Z11] [ZN14] callbacks may be synchronous or asynchronous, and subscribing returns how to stop', async () => {
  const bus = createBus()
  const got: string[] = []
  const sync = bus.subscribe('news.*', (message) => void got.push(`sync ${message.data as string}`))
  const later = bus.subscribe('news.*', async (message) => {
    await Promise.resolve()
    got.push(`async ${message.data as string}`)
  })
  await bus.publish('news.x', '1')
  await bus.idle()
  expect(got.toSorted()).toEqual(['async 1', 'sync 1'])
  expect([sync.unsubscribe(), sync.unsubscribe()]).toEqual([true, false])
  await bus.publish('news.x', '2')
  await bus.idle()
  expect(later.unsubscribe()).toBe(true)
  await bus.publish('news.x', '3')
  await bus.idle()
  expect(got.toSorted()).toEqual(['async 1', 'async 2', 'sync 1'])
  expect(bus.failures()).toEqual([])
})

/** Handles ten messages, the first ones slowest; tells the order of starts and ends, and how many ran at once. */
async function runTen(concurrency: number | undefined): Promise<{ starts: unknown[]; ends: unknown[]; most: number }> {
  const env = fakeEnv()
  const bus = createBus({ env })
  const starts: unknown[] = []
  const ends: unknown[] = []
  let running = 0
  let most = 0
  const handler = async ({ data }: Message): Promise<void> => {
    starts.push(data)
    most = Math.max(most, ++running)
    await new Promise<void>((resolve) => void env.after(100 - 10 * (data as number), resolve))
    running--
    ends.push(data)
  }
  bus.subscribe('work.*', handler, concurrency === undefined ? {} : { concurrency })
  for (let n = 0; n < 10; n++) await bus.publish('work.x', n)
  await env.advance(2_000)
  return { starts, ends, most }
}

test('[Z11] one message at a time and strictly in order by default; a parallelism of 3 runs 3 at once', async () => {
  const inOrder = Array.from({ length: 10 }, (_, n) => n)
  expect(await runTen(undefined)).toEqual({ starts: inOrder, ends: inOrder, most: 1 })
  expect(await runTen(1)).toEqual({ starts: inOrder, ends: inOrder, most: 1 })
  const three = await runTen(3)
  expect([three.starts, three.most]).toEqual([inOrder, 3])
  expect(three.ends).not.toEqual(inOrder)
})

test('[Z11] a callback that throws or rejects is reported and does not stop later messages', async () => {
  const bus = createBus()
  const got: unknown[] = []
  const fault = new Error('of the callback')
  bus.subscribe('news.*', ({ data }) => {
    if (data === 2) throw fault
    if (data === 3) return Promise.reject(fault)
    return void got.push(data)
  })
  for (const n of [1, 2, 3, 4]) await bus.publish('news.x', n)
  await bus.idle()
  expect(got).toEqual([1, 4])
  const reports = bus.failures().map(({ message, reason, error }) => [message.data, reason, error])
  expect(reports).toEqual([2, 3].map((n) => [n, 'handler-error', fault]))
  expect(bus.stats().ledger).toMatchObject({ handled: 2, failed: 2, pending: 0 })
})

test('[ZN14] a slow callback blocks no other agent', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const got: unknown[] = []
  const slow = bus.register('slow', { handler: never })
  bus.register('quick', { handler: ({ data }) => void got.push(data) })
  for (let n = 0; n < 1_000; n++) {
    await slow.broadcast(n, { echo: true })
    await bus.send('slow', n)
  }
  await env.settle()
  expect(got).toHaveLength(1_000)
  expect(bus.queueSize('slow')).toBe(1_999)
})

test('[ZN7] 1 000 and 10 000 idle receivers keep no further agent waiting', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const idle: { readonly state: string }[] = []
  for (const count of [1_000, 10_000]) {
    while (idle.length < count) idle.push(watched(bus.register(`idle${idle.length}`).receive()))
    expect(bus.stats().concurrency).toMatchObject({ active: 0, waits: 0, limit: 1_000 })
    const next = bus.register(`next${count}`)
    const byHand = watched(next.receive())
    const helped: unknown[] = []
    bus.register(`helper${count}`, { handler: ({ data }) => void helped.push(data) })
    await bus.send(next.name, 'at once')
    await bus.send(`helper${count}`, 'at once')
    // The clock stands still: whatever waited for a slot or a time would wait for ever.
    await env.settle()
    expect([byHand.value?.data, helped]).toEqual(['at once', ['at once']])
  }
  expect(new Set(idle.map((one) => one.state))).toEqual(new Set(['pending']))
  await bus.close({ limitMs: 0 })
  await env.settle()
  expect(new Set(idle.map((one) => one.state))).toEqual(new Set(['rejected']))
})
