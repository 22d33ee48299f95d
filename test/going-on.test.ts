import { expect, test } from 'vitest'
import { createBus, type Failure } from '../src/index.ts'
import { fakeEnv } from '../src/testing/index.ts'

// A handler that has ended hands its place to the next message of its queue; these are the messages for which that is not enough.

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('messages that need more than a place keep their order among those that do not', async () => {
  await using bus = createBus()
  const seen: unknown[] = []
  bus.subscribe(
    't',
    async ({ data }) => {
      seen.push(data instanceof Date ? 'date' : data)
      await Promise.resolve()
    },
    { concurrency: 1 },
  )
  const done = [
    bus.publish('t', 1),
    bus.publish('t', 2, { ttlMs: 60_000 }),
    bus.publish('t', 3),
    bus.publish('t', new Date(0)),
    bus.publish('t', 4, { receipt: true }),
    bus.publish('t', 5, { session: 's' }),
    bus.publish('t', 6),
  ]
  await Promise.all(done)
  await bus.idle()
  expect(seen).toEqual([1, 2, 3, 'date', 4, 5, 6])
  expect(bus.stats().ledger).toMatchObject({ published: 7, handled: 7, pending: 0 })
})

test('handlers that end at once and handlers that wait take turns, one at a time, and give every place back', async () => {
  await using bus = createBus()
  const seen: number[] = []
  let running = 0
  let most = 0
  bus.subscribe<number>('t', ({ data }) => {
    seen.push(data)
    if (data % 3 === 0) return undefined
    if (data % 7 === 0) throw new Error('seven')
    most = Math.max(most, ++running)
    return Promise.resolve().then(() => {
      running--
      if (data % 5 === 0) throw new Error('five')
      return data % 2 === 0 ? data : undefined
    })
  })
  for (let n = 0; n < 300; n++) await (n % 11 === 0 ? bus.publish('t', n) : void bus.publish('t', n))
  await bus.idle()
  expect(seen).toEqual(Array.from({ length: 300 }, (_, n) => n))
  expect(most).toBe(1)
  const { concurrency, ledger } = bus.stats()
  expect(concurrency).toMatchObject({ active: 0 })
  expect(concurrency.released).toBe(concurrency.acquired)
  expect(ledger).toMatchObject({ published: 300, pending: 0 })
})

test('a request that was given up while another message was handled is dropped in a queue in which nothing runs', async () => {
  const failures: (readonly [Failure['reason'], number])[] = []
  await using bus = createBus({
    onFailure: ({ reason }) => failures.push([reason, bus.stats().concurrency.active]),
  })
  const caller = new AbortController()
  const seen: unknown[] = []
  bus.subscribe('t', async ({ data }) => {
    seen.push(data)
    if (data === 'first') caller.abort()
  })
  void bus.publish('t', 'first')
  const request = bus.request('t', 'given up', { signal: caller.signal })
  void bus.publish('t', 'last')
  await expect(request).rejects.toMatchObject({ code: 'CANCELLED' })
  await bus.idle()
  expect(seen).toEqual(['first', 'last'])
  expect(failures).toEqual([['cancelled', 0]])
})

test('data that cannot be frozen is copied for each recipient that goes on to it', async () => {
  await using bus = createBus()
  const seen: unknown[] = []
  for (let recipient = 0; recipient < 2; recipient++) {
    bus.subscribe<number | Date>('t', async ({ data }) => {
      if (!(data instanceof Date)) return
      seen.push(data.getTime())
      data.setTime(9)
    })
  }
  void bus.publish('t', 1)
  void bus.publish('t', new Date(0))
  await bus.idle()
  expect(seen).toEqual([0, 0])
})

test('a handler that goes on in the place of another has its own time limit and its own signal', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, handlerTimeoutMs: 100 })
  const aborted: unknown[] = []
  bus.subscribe('t', async ({ data }, context) => {
    context.signal.addEventListener('abort', () => aborted.push(data))
    if (data === 'hangs') await new Promise(() => {})
  })
  for (const data of ['a', 'hangs', 'b']) void bus.publish('t', data)
  await env.advance(150)
  await env.advance(1)
  expect(aborted).toEqual(['hangs'])
  expect(bus.stats().ledger).toMatchObject({ handled: 2, failed: 1, pending: 0 })
  expect(bus.stats().concurrency.active).toBe(0)
})

test('a subscription with room for several fills it again after it went on in one place', async () => {
  await using bus = createBus()
  let running = 0
  let most = 0
  bus.subscribe(
    't',
    async () => {
      most = Math.max(most, ++running)
      await turn()
      running--
    },
    { concurrency: 4 },
  )
  void bus.publish('t', 0)
  await turn()
  for (let n = 1; n < 40; n++) void bus.publish('t', n)
  await bus.idle()
  expect(most).toBe(4)
})
