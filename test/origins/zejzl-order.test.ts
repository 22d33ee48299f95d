import { expect, test } from 'vitest'
import { type BusOptions, createBus, type Message, type SubscribeOptions } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { LATE_MS, numbered, PATIENT, sendLevels, take, takeAll, watched } from './support/zejzl.ts'

const DAY_MS = 86_400_000

test('[Z4] sent low, high, normal; received high, normal, low', async () => {
  const bus = createBus()
  const a = bus.register('a')
  await sendLevels(bus, 'a', ['low', 'high', 'normal'])
  expect(await take(a, 3)).toEqual(['high', 'normal', 'low'])
})

test('[Z4] [ZN10] inside a level the order is that of acceptance, whatever the clock does', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const a = bus.register('a')
  const sent = numbered('', 30).map((n) => `${['low', 'high', 'normal'][Number(n) % 3]}:${n}`)
  for (const one of sent) {
    env.setWall(env.wallMs() - DAY_MS)
    await sendLevels(bus, 'a', [one])
  }
  const of = (level: string): string[] =>
    sent.filter((one) => one.startsWith(level)).map((one) => one.split(':')[1] ?? '')
  expect(await takeAll(a)).toEqual([...of('high'), ...of('normal'), ...of('low')])
})

test('[Z4] a message that had to wait for room takes its place by acceptance', async () => {
  const bus = createBus()
  const a = bus.register('a', { limit: 2 })
  await sendLevels(bus, 'a', ['normal:1', 'normal:2'])
  const late = [bus.send('a', '3'), bus.send('a', '4')]
  const got = [...(await take(a, 1))]
  const after = bus.send('a', '5')
  got.push(...(await take(a, 4)))
  await Promise.all([...late, after])
  expect(got).toEqual(['1', '2', '3', '4', '5'])
})

/** In which order a handler gets what was sent before it could begin. */
async function handled(
  sent: readonly string[],
  options: BusOptions,
  how: SubscribeOptions,
  session?: string,
): Promise<string[]> {
  const bus = createBus({ limit: Number.POSITIVE_INFINITY, autoStart: false, beforeStart: 'buffer', ...options })
  const got: string[] = []
  const handler = async (message: Message): Promise<void> => {
    got.push(message.data as string)
    await Promise.resolve()
  }
  bus.subscribe('work.*', handler, how)
  const acks = sent.map((one) => {
    const [priority, data] = one.split(':')
    const own = session === undefined ? {} : { session }
    return bus.publish('work.x', data ?? priority, { priority: priority as 'low', ...own })
  })
  bus.start()
  await Promise.all(acks)
  await bus.idle()
  await bus.close()
  return got
}

const highs = (count: number): string[] => numbered('high:h', count)

test('[Z5] a low message waits for exactly 100 high ones by default, received by hand or by a handler, with or without a session', async () => {
  const bus = createBus()
  const a = bus.register('a')
  const sent = ['low:low1', 'low:low2', ...highs(350)]
  await sendLevels(bus, 'a', sent)
  const orders = [
    await takeAll(a),
    await handled(sent, {}, {}),
    await handled(sent, {}, { concurrency: 1 }),
    await handled(sent, {}, { concurrency: 1 }, 's'),
    await handled(sent, {}, {}, 's'),
  ]
  for (const order of orders) expect([order.indexOf('low1'), order.indexOf('low2')]).toEqual([100, 201])
})

test('[Z5] the bound is an option', async () => {
  const bus = createBus({ overtaking: 3 })
  const a = bus.register('a')
  await sendLevels(bus, 'a', ['low:l1', 'low:l2', ...highs(7)])
  expect(await takeAll(a)).toEqual(['h1', 'h2', 'h3', 'l1', 'h4', 'h5', 'h6', 'l2', 'h7'])
})

test('[Z5] of several lower levels the one passed longest goes', async () => {
  const bus = createBus({ overtaking: 3 })
  const a = bus.register('a')
  await sendLevels(bus, 'a', ['low:l1', ...highs(2)])
  expect(await take(a, 2)).toEqual(['h1', 'h2'])
  await sendLevels(bus, 'a', ['normal:n1', ...highs(5)])
  expect(await takeAll(a)).toEqual(['h1', 'l1', 'h2', 'h3', 'n1', 'h4', 'h5'])
})

test('[Z5] the bound is exact with several lower levels waiting: no level sees more than N higher ones in a row', async () => {
  const levels = ['critical', 'high', 'normal', 'low', 'background']
  for (const bound of [1, 3, 10]) {
    const bus = createBus({ overtaking: bound, limit: Number.POSITIVE_INFINITY })
    const a = bus.register('a')
    // The share of each level grows with its rank, so that all of them wait for most of the time.
    const sent = levels.flatMap((level, rank) => Array.from({ length: 2_000 >> rank }, () => level))
    await sendLevels(bus, 'a', sent)
    const got = (await takeAll(a)) as string[]
    expect(got).toHaveLength(sent.length)
    const longest = levels.map((level, rank) => {
      let inRow = 0
      let most = 0
      for (const one of got.slice(0, got.lastIndexOf(level))) {
        inRow = levels.indexOf(one) < rank ? inRow + 1 : one === level ? 0 : inRow
        most = Math.max(most, inRow)
      }
      return most
    })
    expect([bound, ...longest]).toEqual([bound, 0, bound, bound, bound, bound])
  }
})

test('[ZN9] one low message under 50 000 high ones is the 101st to be delivered', async () => {
  const bus = createBus()
  const a = bus.register('a', { limit: 60_000 })
  const sent = ['low:the one', ...highs(50_000)]
  await sendLevels(bus, 'a', sent)
  expect((await takeAll(a)).indexOf('the one')).toBe(100)
  expect((await handled(sent, {}, {})).indexOf('the one')).toBe(100)
})

test('[ZN9] a low message comes through a stream of high ones that never ends', async () => {
  const bus = createBus()
  const seen = Promise.withResolvers<number>()
  let count = 0
  bus.subscribe('work.*', async (message, { bus: inner }) => {
    if (message.priority === 'low') seen.resolve(count)
    else if (++count < 50_000) await inner.publish('work.x', count, { priority: 'high' }).catch(() => undefined)
  })
  bus.configure({ maxHops: 1_000 })
  // Each chain ends at its hop limit; several keep the queue filled with high ones.
  for (let n = 0; n < 50; n++) void bus.publish('work.x', n, { priority: 'high' })
  void bus.publish('work.x', 'the one', { priority: 'low' })
  expect(await seen.promise).toBeLessThanOrEqual(100)
})

test('[Z23] an unknown agent has 0 messages, and clearing returns how many went', async () => {
  const bus = createBus()
  const a = bus.register('a')
  expect(bus.queueSize('ghost')).toBe(0)
  await sendLevels(bus, 'a', ['low', 'high', 'normal'])
  expect(bus.queueSize('a')).toBe(3)
  expect(a.clear()).toBe(3)
  expect([bus.queueSize('a'), a.clear()]).toEqual([0, 0])
})

test('[Z23] [ZN6] a cleared inbox keeps its order, its overtaking bound and its waiting receiver', async () => {
  const bus = createBus({ overtaking: 3 })
  const a = bus.register('a')
  await sendLevels(bus, 'a', ['low:old', ...highs(4)])
  await take(a, 2)
  expect(a.clear()).toBe(3)
  await sendLevels(bus, 'a', ['low', 'high', 'normal'])
  expect(await takeAll(a)).toEqual(['high', 'normal', 'low'])
  await sendLevels(bus, 'a', ['low:l1', ...highs(5)])
  expect(await takeAll(a)).toEqual(['h1', 'h2', 'h3', 'l1', 'h4', 'h5'])

  const waits = watched(a.receive())
  expect(a.clear()).toBe(0)
  await bus.send('a', 'for the one who waits')
  await expect.poll(() => waits.value?.data, PATIENT).toBe('for the one who waits')
})

test('[ZN6] after an unregister nobody hangs, and the next of the name orders anew', async () => {
  const bus = createBus()
  const first = bus.register('a')
  const waits = watched(first.receive())
  first.unregister()
  await expect.poll(() => waits.state, PATIENT).toBe('rejected')
  const second = bus.register('a')
  await sendLevels(bus, 'a', ['low', 'high', 'normal'])
  expect(await takeAll(second)).toEqual(['high', 'normal', 'low'])
  await sendLevels(bus, 'a', ['low'])
  second.unregister()
  const third = bus.register('a')
  expect(third.info.queued).toBe(0)
  await sendLevels(bus, 'a', ['low:l', 'high:h'])
  expect(await takeAll(third)).toEqual(['h', 'l'])
})

test('[ZN10] ten messages of one level and time stamp come in the order sent', async () => {
  const bus = createBus({ env: fakeEnv() })
  const a = bus.register('a')
  for (const one of numbered('m', 10)) await bus.send('a', one)
  const entries = bus.history()
  expect(new Set(entries.map((entry) => entry.time)).size).toBe(1)
  expect(entries.map((entry) => entry.id)).toEqual(entries.map((entry) => entry.id).toSorted())
  expect(await takeAll(a)).toEqual(numbered('m', 10))
})

test('[ZN10] a clock set back or forward reorders, expires and times out nothing', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const [a, b] = [bus.register('a'), bus.register('b')]
  const waits = [
    watched(a.receive({ timeoutMs: 10_000 })),
    watched(a.request('agent.b', 'asked', { timeoutMs: 10_000 })),
  ]
  await bus.send('b', 'first', { ttlMs: 10_000 })
  for (const step of [-DAY_MS, 2 * DAY_MS, -3 * DAY_MS]) {
    env.setWall(env.wallMs() + step)
    await bus.send('b', `after ${step}`, { ttlMs: 10_000 })
    await env.advance(1_500)
  }
  expect(waits.map((one) => one.state)).toEqual(['pending', 'pending'])
  expect(await takeAll(b)).toEqual([
    'asked',
    'first',
    ...[-DAY_MS, 2 * DAY_MS, -3 * DAY_MS].map((step) => `after ${step}`),
  ])
  expect(bus.failures()).toEqual([])
  await env.advance(5_500 + LATE_MS)
  expect(waits.map((one) => one.error)).toMatchObject([{ code: 'RECEIVE_TIMEOUT' }, { code: 'REQUEST_TIMEOUT' }])
})
