import { expect, test } from 'vitest'
import { isBusError } from '../kit/errors.ts'
import { messageMaker } from '../message/make.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { type LogOptions, logOver } from './front.ts'
import type { Delivery, Gap, Item, MessageLog } from './log.ts'
import { type MemoryLogOptions, memoryLog, memoryStore } from './memory.ts'
import type { BadEntry, Store } from './store.ts'

const maker = messageMaker()
const item = (data: unknown): Item => ({ message: maker.make('t', data) })
const items = (count: number): Item[] => Array.from({ length: count }, (_, index) => item(index + 1))

interface Watched {
  readonly log: MessageLog
  readonly env: ReturnType<typeof fakeEnv>
  /** Calls of `page`: from where, how many. */
  readonly pages: [from: number, most: number][]
  /** Offsets that cannot be trusted. */
  readonly bad: Map<number, BadEntry['reason']>
  fault: Error | undefined
}

/** A log over a store that is watched, and that can lose its mind. */
async function make(options: LogOptions = {}): Promise<Watched> {
  const env = fakeEnv()
  const inner = memoryStore({ env })
  const pages: [number, number][] = []
  const bad = new Map<number, BadEntry['reason']>()
  const store: Store = {
    ...inner,
    async page(stream, from, most) {
      pages.push([from, most])
      if (watched.fault !== undefined) throw watched.fault
      return (await inner.page(stream, from, most)).map((entry) => {
        const reason = bad.get(entry.offset)
        return reason === undefined ? entry : { type: 'bad', offset: entry.offset, reason }
      })
    },
  }
  const watched: Watched = { log: await logOver(store, { env, ...options }), env, pages, bad, fault: undefined }
  return watched
}

async function take(log: MessageLog, count: number, group: string = 'g'): Promise<Delivery[]> {
  const iterator = log.consume('c/a', group, { maxInFlight: 100_000 })[Symbol.asyncIterator]()
  const taken: Delivery[] = []
  while (taken.length < count) taken.push((await iterator.next()).value as Delivery)
  return taken
}

test('[I16] entries that cannot be trusted are settled as dropped, and reported once', async () => {
  const seen: Gap[] = []
  const { log, env, bad } = await make({
    tailCount: 0,
    onDamage(gap) {
      seen.push(gap)
      throw new Error('from the observer')
    },
  })
  await log.append('c/a', items(10))
  for (const offset of [1, 4, 5]) bad.set(offset, 'damaged')
  bad.set(10, 'lost')
  for (const group of ['g', 'h']) {
    const taken = await take(log, 6, group)
    expect(taken.map(({ message }) => message.data)).toEqual([2, 3, 6, 7, 8, 9])
    await Promise.all(taken.map((delivery) => delivery.settle('acked')))
  }
  const iterator = log.consume('c/a', 'g')[Symbol.asyncIterator]()
  void iterator.next()
  await env.settle()
  expect(await log.groups('c/a')).toMatchObject([
    { group: 'g', acked: 6, dropped: 4, pending: 0, leased: 0 },
    { group: 'h', acked: 6, pending: 1 },
  ])
  expect(seen.map(({ from, to, reason }) => [from, to, reason])).toEqual([
    ['1', '1', 'damaged'],
    ['4', '4', 'damaged'],
    ['5', '5', 'damaged'],
    ['10', '10', 'lost'],
  ])
  expect((await log.streams('c'))[0]).toMatchObject({ count: 9, gaps: seen })
  await log[Symbol.asyncDispose]()
})

test('[I13] a read says each hole once, holes that touch as one, also across pages and at the end', async () => {
  const { log, bad } = await make({ tailCount: 0 })
  await log.append('c/a', items(600))
  for (let offset = 200; offset <= 300; offset++) bad.set(offset, 'damaged')
  for (const offset of [301, 302, 599, 600]) bad.set(offset, 'lost')
  bad.set(500, 'damaged')
  const gaps: unknown[] = []
  const data: unknown[] = []
  for await (const entry of log.read('c/a')) {
    if (entry.type === 'gap') gaps.push([entry.from, entry.to, entry.reason])
    else data.push(entry.message.data)
  }
  expect(gaps).toEqual([
    ['200', '300', 'damaged'],
    ['301', '302', 'lost'],
    ['500', '500', 'damaged'],
    ['599', '600', 'lost'],
  ])
  expect(data).toHaveLength(600 - 101 - 2 - 1 - 2)
  const last = []
  for await (const entry of log.read('c/a', { last: 2 })) if (entry.type === 'entry') last.push(entry.message.data)
  expect(last).toEqual([597, 598])
  await log[Symbol.asyncDispose]()
})

test('a store that gives no entry where there must be one counts as a hole, and stops nobody', async () => {
  const env = fakeEnv()
  const inner = memoryStore({ env })
  const log = await logOver({ ...inner, page: async () => [] }, { env, tailCount: 2 })
  await log.append('c/a', items(5))
  const seen: unknown[] = []
  for await (const entry of log.read('c/a'))
    seen.push(entry.type === 'gap' ? [entry.from, entry.to] : entry.message.data)
  expect(seen).toEqual([['1', '3'], 4, 5])
  expect((await take(log, 2)).map(({ message }) => message.data)).toEqual([4, 5])
  await log[Symbol.asyncDispose]()
})

test('consumers near the end of a stream read nothing from the store', async () => {
  const { log, pages } = await make()
  await log.append('c/a', items(4_000))
  const taken = await take(log, 4_000)
  await Promise.all(taken.map((delivery, index) => (index % 2 === 0 ? delivery.settle('acked') : delivery.nack())))
  const seen = []
  for await (const entry of log.read('c/a', { last: 1_000 })) seen.push(entry)
  expect(seen).toHaveLength(1_000)
  expect(pages).toEqual([])
  await log[Symbol.asyncDispose]()
})

test('a consumer that lags reads whole pages, each entry once', async () => {
  const { log, pages } = await make({ tailCount: 64 })
  await log.append('c/a', items(2_000))
  const taken = await take(log, 2_000)
  expect(taken.map(({ message }) => message.data)).toEqual(items(2_000).map(({ message }) => message.data))
  expect(pages.length).toBeLessThanOrEqual(9)
  expect(pages.map(([from]) => from)).toEqual([1, 257, 513, 769, 1_025, 1_281, 1_537, 1_793])
  await log[Symbol.asyncDispose]()
})

test('[I9] pages and the entries in memory are bounded by their bytes, too', async () => {
  const { log, pages } = await make({ tailBytes: 1_000_000 })
  for (let count = 0; count < 40; count++) await log.append('c/a', [item('x'.repeat(400_000))])
  expect(await take(log, 40)).toHaveLength(40)
  expect(pages.length).toBeGreaterThanOrEqual(4)
  expect(Math.max(...pages.map(([, most]) => most))).toBeLessThanOrEqual(10)
  await log[Symbol.asyncDispose]()
})

test('a store that cannot be read ends the consumers that wait for it, with its fault, and loses nothing', async () => {
  const watched = await make({ tailCount: 0 })
  const { log } = watched
  await log.append('c/a', items(3))
  watched.fault = new Error('EIO')
  const iterator = log.consume('c/a', 'g')[Symbol.asyncIterator]()
  await expect(iterator.next()).rejects.toMatchObject({ code: 'STORE_FAILED', cause: watched.fault })
  expect(await iterator.next()).toEqual({ done: true, value: undefined })
  const reader = log.read('c/a')[Symbol.asyncIterator]()
  await expect(reader.next()).rejects.toMatchObject({ code: 'STORE_FAILED' })
  expect(await reader.next()).toEqual({ done: true, value: undefined })
  watched.fault = undefined
  expect((await take(log, 3)).map(({ attempt }) => attempt)).toEqual([1, 1, 1])
  await log[Symbol.asyncDispose]()
})

test('an idle log holds no timer, whatever was leased, delayed and settled before', async () => {
  const { log, env } = await make()
  await log.append('c/a', items(50))
  const controller = new AbortController()
  const iterator = log.consume('c/a', 'g', { signal: controller.signal })[Symbol.asyncIterator]()
  for (let count = 0; count < 50; count++) {
    const { value } = (await iterator.next()) as { value: Delivery }
    if (count % 10 === 0) await env.advance(100)
    await value.settle('acked')
  }
  await env.advance(200)
  expect(env.timers).toBe(0)
  await log.append('c/a', items(2))
  const { value } = (await iterator.next()) as { value: Delivery }
  await value.nack({ delayMs: 60_000 })
  await iterator.next()
  expect(env.timers).toBe(1)
  controller.abort()
  expect(env.timers).toBe(0)
  await log[Symbol.asyncDispose]()
})

test('[I14] steps of the wall clock move neither leases nor waits', async () => {
  const { log, env } = await make()
  await log.append('c/a', items(2))
  const iterator = log.consume('c/a', 'g', { ackWaitMs: 1_000 })[Symbol.asyncIterator]()
  await iterator.next()
  const { value: second } = (await iterator.next()) as { value: Delivery }
  await second.nack({ delayMs: 500 })
  const back: unknown[] = []
  const next = (): void => {
    void iterator.next().then(({ value }) => back.push([value?.message.data, value?.attempt]))
  }
  next()
  env.setWall(env.wallMs() + 86_400_000)
  await env.advance(499)
  expect(back).toEqual([])
  env.setWall(0)
  await env.advance(1)
  expect(back).toEqual([[2, 2]])
  next()
  await env.advance(499)
  expect(back).toHaveLength(1)
  await env.advance(1)
  expect(back).toEqual([
    [2, 2],
    [1, 2],
  ])
  await log.append('c/a', items(1))
  const times = []
  for await (const entry of log.read('c/a')) if (entry.type === 'entry') times.push(entry.storedAt)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  await log[Symbol.asyncDispose]()
})

test('a full memory refuses what does not fit, whole appends only, and takes again when there is room', async () => {
  const log = memoryLog({ maxBytes: 2_000 })
  await log.append('c/a', [item('x'.repeat(500))])
  await expect(log.append('c/a', items(100))).rejects.toSatisfy((error) => isBusError(error, 'STORE_FULL'))
  expect((await log.streams())[0]).toMatchObject({ count: 1 })
  await log.append('c/a', [item('x'.repeat(500))])
  await expect(log.append('c/a', [item('x'.repeat(900))])).rejects.toMatchObject({ details: { maxBytes: 2_000 } })
  expect(await log.trim('c/a', { maxCount: 0 })).toBe(2)
  await log.append('c/a', [item('x'.repeat(900))])
  await log[Symbol.asyncDispose]()
})

test('[I9] more keys than the limit are forgotten, the oldest first', async () => {
  const log = memoryLog({ dedupLimit: 100 })
  const sent = items(1_000)
  for (const one of sent) await log.append('c/a', [one])
  const repeats = await log.append('c/a', sent.toReversed())
  const known = repeats.filter(({ duplicate }) => duplicate).length
  expect(known).toBeGreaterThanOrEqual(50)
  expect(known).toBeLessThanOrEqual(100)
  expect(repeats.slice(0, known).every(({ duplicate }) => duplicate)).toBe(true)
  await log[Symbol.asyncDispose]()
})

test('messages in memory are handed out as they are, the very objects', async () => {
  await using log = memoryLog()
  const sent = item({ a: 1 })
  await log.append('c/a', [sent])
  const [delivery] = await take(log, 1)
  expect(delivery?.message).toBe(sent.message)
})

test('retention in memory frees what it removes', async () => {
  const log = memoryLog({ tailCount: 10 })
  const weak: WeakRef<object>[] = []
  for (let count = 0; count < 50; count++) {
    const one = item({ large: 'x'.repeat(100) })
    weak.push(new WeakRef(one.message))
    await log.append('c/a', [{ ...one, key: false }])
  }
  await log.trim('c/a', { maxCount: 5 })
  // A WeakRef holds its object until the turn of the event loop ends.
  await fakeEnv().settle()
  globalThis.gc?.()
  expect(weak.filter((one) => one.deref() !== undefined).length).toBeLessThanOrEqual(20)
  await log[Symbol.asyncDispose]()
})

test('wrong options of a log are refused by name', async () => {
  const wrong: object[] = [
    { tailCount: -1 },
    { tailBytes: 1.5 },
    { onDamage: 1 },
    { env: 1 },
    { dedupMs: -1 },
    { dedupLimit: 0.5 },
    { maxBytes: -1 },
    { maxByte: 1 },
  ]
  for (const options of wrong) {
    expect(() => memoryLog(options as MemoryLogOptions)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  }
  await expect(logOver(memoryStore(), { dedupMs: 1 } as LogOptions)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})
