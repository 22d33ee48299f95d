import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { MACHINE_MS } from '../../../test/machine.ts'
import { startProxy } from '../../../test/servers/proxy.ts'
import { startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import type { RedisLink } from '../../broker/redis/link.ts'
import { isBusError } from '../../kit/errors.ts'
import { messageMaker } from '../../message/make.ts'
import type { Delivery, Entry, Gap, Item, LogEvent, MessageLog } from '../log.ts'
import { type RedisLogOptions, redisLog } from './redis.ts'
import { SCRIPTS } from './scripts.ts'

const maker = messageMaker()
let server: Server
let admin: RedisLink
let count = 0

beforeAll(async () => {
  server = await startRedis()
  admin = await connectRedis(server.url, { retryMs: 10, longestRetryMs: 200 })
})
// Some tests kill the server: the next one begins when it can be asked again.
beforeEach(() => expect.poll(() => admin.watch.isUp, { timeout: 5_000 }).toBe(true))
afterAll(async () => {
  await admin[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

interface Opened extends AsyncDisposable {
  readonly log: MessageLog
  readonly link: RedisLink
  readonly prefix: string
  readonly events: LogEvent[]
}

/** A log on a link of its own, as a process has. */
async function open(options: RedisLogOptions = {}, url = server.url): Promise<Opened> {
  const link = await connectRedis(url, { commandTimeoutMs: 2_000, retryMs: 10, longestRetryMs: 200 })
  const prefix = options.prefix ?? `f${++count}`
  const events: LogEvent[] = []
  const log = await redisLog(link, { ...options, prefix, onEvent: (event) => void events.push(event) })
  return {
    ...{ log, link, prefix, events },
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
    },
  }
}

function items(many: number, from = 1): Item[] {
  return Array.from({ length: many }, (_, index) => ({ message: maker.make('t', from + index) }))
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const one of source) list.push(one)
  return list
}

function dataOf(list: readonly (Entry | Gap)[]): unknown[] {
  return list.map((one) => (one.type === 'gap' ? [one.from, one.to, one.reason] : one.message.data))
}

async function codeOf(run: Promise<unknown>): Promise<string> {
  try {
    await run
    return 'none'
  } catch (error) {
    return isBusError(error) ? error.code : String(error)
  }
}

/** Handles everything by acknowledging it, one after the other or `together`; what was handled. */
function work(
  log: MessageLog,
  stream: string,
  { together = false } = {},
): { readonly seen: unknown[]; stop(): Promise<void> } {
  const controller = new AbortController()
  const seen: unknown[] = []
  const handle = async (delivery: Delivery): Promise<void> => {
    if (await delivery.settle('acked').catch(() => false)) seen.push(delivery.message.data)
  }
  const done = (async () => {
    for await (const delivery of log.consume(stream, 'g', { signal: controller.signal })) {
      const handled = handle(delivery)
      if (!together) await handled
    }
  })()
  return {
    seen,
    async stop() {
      controller.abort()
      await done
    },
  }
}

test('[I1] after kill -9 of the server nothing acknowledged is lost, and publishers and consumers go on by themselves', async () => {
  await using one = await open()
  await using two = await open({ prefix: one.prefix })
  const worker = work(two.log, 'c/a', { together: true })
  const acked: unknown[] = []
  const results = new Set<string>()
  let next = 1
  let stop = false
  const publishing = (async () => {
    while (!stop) {
      const batch = items(5, next)
      next += 5
      const code = await codeOf(
        one.log.append('c/a', batch).then(() => void acked.push(...batch.map(({ message }) => message.data))),
      )
      results.add(code)
      if (code !== 'none') await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  await expect.poll(() => acked.length).toBeGreaterThan(200)
  await server.kill()
  await expect.poll(() => results.has('STORE_FAILED')).toBe(true)
  await server.start()
  const back = performance.now()
  const had = acked.length
  await expect.poll(() => acked.length, { timeout: 5_000 }).toBeGreaterThan(had + 100)
  const newest = acked.at(-1)
  await expect.poll(() => worker.seen.includes(newest), { timeout: 5_000 }).toBe(true)
  expect(performance.now() - back).toBeLessThan(5_000)
  stop = true
  await publishing
  await expect.poll(() => acked.filter((data) => !worker.seen.includes(data)), { timeout: 10_000 }).toEqual([])
  await worker.stop()
  const kept = new Set(dataOf(await all(two.log.read('c/a'))))
  expect(acked.filter((data) => !kept.has(data))).toEqual([])
  for (const code of results) expect(['none', 'STORE_FAILED', 'PUBLISH_UNKNOWN']).toContain(code)
  expect(one.events.map(({ type }) => type)).toEqual(expect.arrayContaining(['disconnected', 'reconnected']))
  expect(one.events.filter(({ type }) => type === 'data-loss')).toEqual([])
}, 40_000)

test('a publish whose answer does not come is unknown, and its repeat is stored once', async () => {
  await using one = await open({ publishTimeoutMs: 300 })
  await one.log.append('c/a', items(1))
  const [sent] = items(1, 2) as [Item]
  server.pause()
  const error = await one.log.append('c/a', [sent]).catch((thrown: unknown) => thrown)
  server.resume()
  expect(isBusError(error, 'PUBLISH_UNKNOWN') && error.details.id).toBe(sent.message.id)
  const [again] = await one.log.append('c/a', [sent])
  expect(again).toMatchObject({ duplicate: true, offset: '2' })
  expect(dataOf(await all(one.log.read('c/a')))).toEqual([1, 2])
})

test('[I16] a server that lost everything is told once, offsets go on above it, holes are said, and consumers go on', async () => {
  await using one = await open()
  const worker = work(one.log, 'c/a')
  await one.log.append('c/a', items(10))
  await expect.poll(() => worker.seen.length).toBe(10)
  await server.kill()
  await server.start({ wipe: true })
  await expect.poll(() => one.events.filter(({ type }) => type === 'data-loss').length, { timeout: 8_000 }).toBe(1)
  const [loss] = one.events.filter((event) => event.type === 'data-loss')
  expect(loss?.error).toMatchObject({
    code: 'DATA_LOSS',
    details: { ranges: [{ stream: 'c/a', from: '1', to: '10' }] },
  })
  const [appended] = await one.log.append('c/a', items(1, 11))
  expect(appended?.offset).toBe('11')
  await expect.poll(() => worker.seen, { timeout: 5_000 }).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  expect(dataOf(await all(one.log.read('c/a')))).toEqual([['1', '10', 'lost'], 11])
  await worker.stop()
  expect(one.events.filter(({ type }) => type === 'data-loss')).toHaveLength(1)
}, 30_000)

test('FLUSHALL under way is such a loss, noticed with the next call', async () => {
  await using one = await open()
  await one.log.append('c/a', items(3))
  await admin.command(undefined, ['FLUSHALL'])
  expect(await one.log.append('c/a', items(1, 4))).toMatchObject([{ offset: '4', duplicate: false }])
  expect(one.events.map(({ type }) => type)).toEqual(['data-loss'])
})

test('[I16] a loss is told to each log, also when the one that began the data notices it first and begins them anew', async () => {
  await using one = await open()
  await using two = await open({ prefix: one.prefix })
  await one.log.append('c/a', items(3))
  await two.log.append('c/a', items(1, 4))
  for (let loss = 1; loss <= 2; loss++) {
    await admin.command(undefined, ['FLUSHALL'])
    for (const { log } of [one, two]) await log.append('c/a', items(1, 4 + loss))
    const told = [one, two].map(({ events }) => events.map(({ type }) => type))
    expect(told).toEqual([1, 2].map(() => Array.from({ length: loss }, () => 'data-loss')))
  }
})

test('entries that are missing from the end alone are noticed, too', async () => {
  await using one = await open()
  await one.log.append('c/a', items(5))
  const base = `${one.prefix}:{c}:`
  await admin.command(undefined, ['HSET', `${base}m:c/a`, 'next', '4'])
  await admin.command(undefined, ['XDEL', `${base}s:c/a`, '4-0', '5-0'])
  const [appended] = await one.log.append('c/a', items(1, 6))
  expect(appended?.offset).toBe('6')
  expect(one.events).toMatchObject([{ type: 'data-loss', error: { details: { ranges: [{ from: '4', to: '5' }] } } }])
  expect(dataOf(await all(one.log.read('c/a')))).toEqual([1, 2, 3, ['4', '5', 'lost'], 6])
})

test('without memory to spare publishing is refused as full, settlements go on, and a dead letter and its settlement are both undone', async () => {
  await using one = await open()
  await one.log.append('c/a', items(3))
  const controller = new AbortController()
  const iterator = one.log.consume('c/a', 'g', { signal: controller.signal })[Symbol.asyncIterator]()
  const taken: Delivery[] = []
  for (let left = 3; left > 0; left--) taken.push((await iterator.next()).value as Delivery)
  await admin.command(undefined, ['CONFIG', 'SET', 'maxmemory', '1'])
  try {
    expect(await codeOf(one.log.append('c/a', items(1, 4)))).toBe('STORE_FULL')
    expect(await codeOf((taken[0] as Delivery).settle('dead', { stream: 'c/dead' }))).toBe('STORE_FULL')
    expect(await (taken[1] as Delivery).settle('acked')).toBe(true)
    expect(await (taken[2] as Delivery).extend()).toBe(true)
    expect(await one.log.groups('c/a')).toMatchObject([{ acked: 1, dead: 0, leased: 2 }])
    expect(await all(one.log.read('c/dead'))).toEqual([])
  } finally {
    await admin.command(undefined, ['CONFIG', 'SET', 'maxmemory', '0'])
  }
  expect(await (taken[0] as Delivery).settle('dead', { stream: 'c/dead' })).toBe(true)
  expect(await one.log.append('c/a', items(1, 4))).toMatchObject([{ offset: '4' }])
  expect(dataOf(await all(one.log.read('c/dead')))).toEqual([1])
  controller.abort()
})

test('a key of another type is named, and nothing is stored', async () => {
  await using one = await open()
  await one.log.append('c/b', items(1))
  const key = `${one.prefix}:{c}:s:c/a`
  await admin.command(undefined, ['SET', key, 'not a stream'])
  const error = await one.log.append('c/a', items(2)).catch((thrown: unknown) => thrown)
  expect(isBusError(error, 'STORE_FAILED') && error.message).toContain(key)
  expect(await one.log.append('c/b', items(1, 2))).toMatchObject([{ offset: '2' }])
})

test('a key of another type is named, whichever key of the channel it is', async () => {
  await using one = await open()
  await one.log.append('c/a', [...items(1), { message: maker.make('t', 2, { session: 's' }) }])
  const iterator = one.log.consume('c/a', 'g')[Symbol.asyncIterator]()
  const held = [(await iterator.next()).value, (await iterator.next()).value] as Delivery[]
  await iterator.return?.()
  const base = `${one.prefix}:{c}:`
  const messageOf = (run: Promise<unknown>): Promise<string> =>
    run.then(
      () => 'no fault',
      (error) => String(error.message),
    )
  const group = 'c/a\ng'
  for (const name of [
    'state',
    'processes',
    'groups:c/a',
    'm:c/a',
    `g:${group}`,
    `o:${group}`,
    `r:${group}`,
    `w:${group}`,
  ]) {
    const key = `${base}${name}`
    const kept = `${one.prefix}-kept`
    const isThere = (await admin.command(undefined, ['EXISTS', key])) === 1
    if (isThere) await admin.command(undefined, ['RENAME', key, kept])
    await admin.command(undefined, ['SET', key, 'of another type'])
    const consumer = one.log.consume('c/a', 'g')[Symbol.asyncIterator]()
    const told = await Promise.all([messageOf(consumer.next()), messageOf(one.log.groups('c/a'))])
    expect(told.join(), name).toContain(`WRONGTYPE ${key} is a string and no`)
    await consumer.return?.()
    await admin.command(undefined, ['DEL', key])
    if (isThere) await admin.command(undefined, ['RENAME', kept, key])
  }
  expect(held.map(({ offset }) => offset)).toEqual(['1', '2'])
  expect(one.events).toEqual([])
})

test('a server that forgot all scripts is given them again', async () => {
  await using one = await open()
  await one.log.append('c/a', items(2))
  await admin.command(undefined, ['SCRIPT', 'FLUSH'])
  const worker = work(one.log, 'c/a')
  await one.log.append('c/a', items(2, 3))
  await expect.poll(() => worker.seen).toEqual([1, 2, 3, 4])
  await worker.stop()
})

test('a thousand groups that come and go, some with consumers, leave no key behind', async () => {
  await using one = await open()
  await one.log.append('c/a', items(3))
  const keys = async (): Promise<string[]> =>
    ((await admin.command(undefined, ['KEYS', `${one.prefix}:*`])) as Buffer[]).map(String).sort()
  const before = await keys()
  await Promise.all(
    Array.from({ length: 1_000 }, async (_, index) => {
      const group = `g${index}`
      if (index % 10 === 0) {
        const iterator = one.log.consume('c/a', group)[Symbol.asyncIterator]()
        const asked = iterator.next()
        if (index % 20 === 0) await asked
        else void asked.catch(() => undefined)
        await one.log.leave('c/a', group)
        await iterator.return?.()
      } else {
        const joined = one.log.join('c/a', group)
        if (index % 3 === 0) await joined
        await one.log.leave('c/a', group)
        await joined
      }
    }),
  )
  for (const { group } of await one.log.groups()) await one.log.leave('c/a', group)
  await expect.poll(keys).toEqual(before)
}, 30_000)

test('a channel whose last group is forgotten, and that has no entry, is gone', async () => {
  await using one = await open()
  await one.log.join('c/a', 'g')
  await one.log.leave('c/a', 'g')
  expect(await admin.command(undefined, ['KEYS', `${one.prefix}:*`])).toEqual([])
  await one.log.append('c/a', items(1))
  expect(dataOf(await all(one.log.read('c/a')))).toEqual([1])
  expect(one.events).toEqual([])
})

test('[I4] a hundred taken ahead by one slow worker that extends at the start of each handler are handled once', async () => {
  await using one = await open()
  await using two = await open({ prefix: one.prefix })
  await one.log.append('c/a', items(12))
  const handled: unknown[] = []
  const run = async ({ log }: Opened): Promise<void> => {
    const controller = new AbortController()
    for await (const delivery of log.consume('c/a', 'g', {
      maxInFlight: 100,
      ackWaitMs: 400,
      signal: controller.signal,
    })) {
      await delivery.extend()
      handled.push(delivery.message.data)
      await new Promise((resolve) => setTimeout(resolve, 150))
      expect(await delivery.settle('acked')).toBe(true)
      if (handled.length >= 12) controller.abort()
    }
  }
  void run(two).catch(() => undefined)
  await run(one)
  await expect.poll(() => one.log.groups('c/a')).toMatchObject([{ acked: 12, stale: 0 }])
  expect((handled as number[]).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1))
}, 20_000)

test('[I4] what a process held whose connections are gone comes to others within five seconds, not after the lease', async () => {
  await using one = await open()
  const two = await open({ prefix: one.prefix })
  await one.log.append('c/a', items(3))
  const iterator = two.log.consume('c/a', 'g', { ackWaitMs: 600_000 })[Symbol.asyncIterator]()
  for (let left = 3; left > 0; left--) await iterator.next()
  const worker = work(one.log, 'c/a')
  const from = performance.now()
  await two.link[Symbol.asyncDispose]()
  await expect.poll(() => worker.seen, { timeout: 5_000 }).toEqual([1, 2, 3])
  expect(performance.now() - from).toBeLessThan(5_000)
  await worker.stop()
  await two.log[Symbol.asyncDispose]()
}, 20_000)

test('[I17] what ran out with a holder that died is suspect, and each death behind its `begin` counts, however short the lease', async () => {
  await using one = await open()
  // Of one session, so that nothing goes past it.
  await one.log.append(
    'c/a',
    [1, 2, 3].map((data) => ({ message: maker.make('t', data, { session: 's' }) })),
  )
  const seen: unknown[] = []
  for (let life = 1; life <= 5; life++) {
    const two = await open({ prefix: one.prefix })
    const options = { maxInFlight: life === 1 ? 3 : 1, ackWaitMs: 150 }
    const iterator = two.log.consume('c/a', 'g', options)[Symbol.asyncIterator]()
    const delivery = (await iterator.next()).value as Delivery
    seen.push([delivery.message.data, delivery.attempt, delivery.suspect])
    await delivery.begin()
    // It dies at once: far sooner than anybody would tell the server by himself that a handler runs.
    await two.link[Symbol.asyncDispose]()
    void two.log[Symbol.asyncDispose]()
  }
  const [first, ...later] = seen as [number, number, boolean][]
  expect(first).toEqual([1, 1, false])
  expect(later.map(([data, , suspect]) => [data, suspect])).toEqual(Array.from({ length: 4 }, () => [1, true]))
  const attempts = later.map(([, attempt]) => attempt)
  expect(attempts).toEqual(attempts.map((_, at) => (attempts[0] as number) + at))
  expect(attempts[0]).toBeLessThanOrEqual(2)
  const iterator = one.log.consume('c/a', 'g')[Symbol.asyncIterator]()
  const rest = [
    (await iterator.next()).value,
    (await iterator.next()).value,
    (await iterator.next()).value,
  ] as Delivery[]
  // What lay in a buffer was no attempt.
  const by = (data: number): Delivery => rest.find(({ message }) => message.data === data) as Delivery
  expect([by(1).attempt, by(2).attempt, by(3).attempt]).toEqual([(attempts.at(-1) as number) + 1, 1, 1])
  await iterator.return?.()
  // Given back by the holder's own hand, it stays what it was.
  const again = one.log.consume('c/a', 'g')[Symbol.asyncIterator]()
  expect((await again.next()).value).toMatchObject({ message: { data: 1 }, suspect: true })
  await again.return?.()
}, 20_000)

test('[I4] [I15] leases that were taken together run out, are extended, given back and settled each by itself', async () => {
  await using one = await open()
  await using two = await open({ prefix: one.prefix })
  await one.log.append('c/a', items(1))
  const iterator = one.log.consume('c/a', 'g', { ackWaitMs: 600 })[Symbol.asyncIterator]()
  // So often asked for that much is taken at once.
  for (let next = 2; next <= 64; next += 9) await one.log.append('c/a', items(9, next))
  const held: Delivery[] = []
  while (held.length < 64) held.push((await iterator.next()).value as Delivery)
  const runs = (): Promise<unknown> => admin.command(undefined, ['HLEN', `${one.prefix}:{c}:l:c/a\ng`])
  expect(await runs()).toBeGreaterThan(0)
  const at = (offset: number): Delivery => held[offset - 1] as Delivery
  expect(held.map(({ offset }) => Number(offset))).toEqual(Array.from({ length: 64 }, (_, index) => index + 1))
  const settled = await Promise.all([20, 21, 22, 24, 25, 40, 30, 31, 64].map((offset) => at(offset).settle('acked')))
  expect(settled).toEqual(settled.map(() => true))
  expect(await Promise.all([at(21).settle('acked'), at(22).settle('acked'), at(23).settle('dead')])).toEqual([
    false,
    false,
    true,
  ])
  expect(await at(26).nack()).toBe(true)
  expect(((await iterator.next()).value as Delivery).offset).toBe('26')
  expect(await at(50).extend(60_000)).toBe(true)
  expect(await two.log.settle('c/a', 'g', '33', 'acked')).toBe(false)
  expect(await one.log.trim('c/a', { maxCount: 0 })).toBe(0)
  expect(await one.log.groups('c/a')).toMatchObject([{ acked: 9, dead: 1, leased: 54, pending: 0, stale: 2 }])
  const open_ = await all(two.log.read('c/a', { openFor: 'g' }))
  expect(open_.map((entry) => (entry as Entry).offset)).toEqual(
    held
      .map(({ offset }) => offset)
      .filter((offset) => ![20, 21, 22, 23, 24, 25, 30, 31, 40, 64].includes(Number(offset))),
  )
  const other = two.log.consume('c/a', 'g')[Symbol.asyncIterator]()
  const back: number[] = []
  while (back.length < 53) back.push(Number(((await other.next()).value as Delivery).offset))
  expect(back).not.toContain(50)
  expect(await Promise.all([at(1).settle('acked'), at(32).settle('acked'), at(50).settle('acked')])).toEqual([
    false,
    false,
    true,
  ])
  expect(await runs()).toBe(0)
  await Promise.all([iterator.return?.(), other.return?.()])
}, 20_000)

test('[I4] [WN26] after an outage that was longer than a death takes to notice, others get their time to come back', async () => {
  await using proxy = await startProxy(server.port)
  const deadAfterMs = 2_000
  await using one = await open({ deadAfterMs })
  await using two = await open({ prefix: one.prefix, deadAfterMs }, proxy.url('redis'))
  await one.log.append('c/a', items(1))
  const holder = two.log.consume('c/a', 'g', { ackWaitMs: 60_000 })[Symbol.asyncIterator]()
  const held = (await holder.next()).value as Delivery
  const worker = work(one.log, 'c/a')
  await expect.poll(() => admin.command(undefined, ['HLEN', `${one.prefix}:{c}:processes`])).toBe(2)
  await server.kill()
  proxy.refuse()
  await new Promise((resolve) => setTimeout(resolve, deadAfterMs + 200))
  await server.start()
  await one.log.append('c/a', items(1, 2)).catch(() => undefined)
  await expect.poll(() => one.events.some(({ type }) => type === 'reconnected'), { timeout: 5_000 }).toBe(true)
  for (let look = 3; look > 0; look--) await one.log.join('c/a', `g${look}`)
  proxy.accept()
  await expect.poll(() => two.events.some(({ type }) => type === 'reconnected'), { timeout: 5_000 }).toBe(true)
  expect(await held.settle('acked')).toBe(true)
  expect(worker.seen).not.toContain(1)
  await worker.stop()
  await holder.return?.()
}, 20_000)

test('[I14] a server clock that is set two hours ahead steals no lease, and fires no delay', async () => {
  await using one = await open()
  await one.log.append('c/a', [...items(1), ...items(1, 2).map((item) => ({ ...item, delayMs: 60_000 }))])
  const iterator = one.log.consume('c/a', 'g', { ackWaitMs: 60_000 })[Symbol.asyncIterator]()
  const held = (await iterator.next()).value as Delivery
  // Seen by a script, a clock that jumps ahead is a last call that lies further back.
  await admin.command(undefined, ['HINCRBY', `${one.prefix}:{c}:state`, 'at', String(-7_200_000)])
  expect(await one.log.groups('c/a')).toMatchObject([{ leased: 1, pending: 1, delayed: 0 }])
  const next = iterator.next()
  await admin.command(undefined, ['HINCRBY', `${one.prefix}:{c}:state`, 'at', String(-7_200_000)])
  expect(await one.log.append('c/b', items(1, 3))).toHaveLength(1)
  await expect.poll(() => one.log.groups('c/a')).toMatchObject([{ leased: 1, pending: 0, delayed: 1 }])
  expect(await held.settle('acked')).toBe(true)
  await iterator.return?.()
  await next
})

test('with replicas a publish is acknowledged once they have it; without enough of them it is unknown, and stored', async () => {
  await using one = await open({ replicas: 1, publishTimeoutMs: 600 })
  expect(one.log.level).toBe('replicated')
  const [sent] = items(1) as [Item]
  expect(await codeOf(one.log.append('c/a', [sent]))).toBe('PUBLISH_UNKNOWN')
  await using replica = await startRedis()
  await using link = await connectRedis(replica.url)
  await link.command(undefined, ['REPLICAOF', '127.0.0.1', String(server.port)])
  await expect.poll(() => codeOf(one.log.append('c/a', [sent])), { timeout: 10_000 }).toBe('none')
  expect(dataOf(await all(one.log.read('c/a')))).toEqual([1])
  expect(await link.command(undefined, ['XLEN', `${one.prefix}:{c}:s:c/a`])).toBe(1)
}, 30_000)

test('while a publish waits for replicas that are missing, other calls of its process do not wait', async () => {
  await using one = await open({ replicas: 1, publishTimeoutMs: 2_000 })
  const worker = work(one.log, 'c/b')
  await expect.poll(() => admin.command(undefined, ['SCARD', `${one.prefix}:{c}:waiting:c/b`])).toBe(1)
  const published = codeOf(one.log.append('c/b', items(1)))
  // Handled, acknowledged and listed, and still not published.
  await expect.poll(() => worker.seen).toEqual([1])
  expect(await one.log.groups('c/b')).toMatchObject([{ acked: 1 }])
  expect(await Promise.race([published, one.log.join('c/a', 'g')])).toBeUndefined()
  expect(await published).toBe('PUBLISH_UNKNOWN')
  await worker.stop()
})

test('a reader that followed and has ended leaves nobody who must be told', async () => {
  await using one = await open()
  await one.log.append('c/a', items(1))
  const controller = new AbortController()
  const iterator = one.log.read('c/a', { follow: true, signal: controller.signal })[Symbol.asyncIterator]()
  await iterator.next()
  const waiting = iterator.next()
  const processes = (): Promise<unknown> => admin.command(undefined, ['EXISTS', `${one.prefix}:{c}:processes`])
  await expect.poll(processes).toBe(1)
  controller.abort()
  expect((await waiting).done).toBe(true)
  await expect.poll(processes).toBe(0)
})

test('[I6] what a take held whose answer was lost comes before all that is later in its session', async () => {
  await using proxy = await startProxy(server.port)
  await using one = await open({}, proxy.url('redis'))
  const session = 's'
  await one.log.append(
    'c/a',
    Array.from({ length: 40 }, (_, index) => ({ message: maker.make('t', index + 1, { session }) })),
  )
  // As few at once, so that there are many takes.
  const iterator = one.log.consume('c/a', 'g', { maxInFlight: 2 })[Symbol.asyncIterator]()
  const order: unknown[] = []
  let lost = 0
  const lose = (): void => {
    void proxy
      .resetAfter((bytes) => bytes.includes(SCRIPTS.take.sha))
      .then(() => {
        lost++
        if (lost < 4) setTimeout(lose, 20)
      })
  }
  lose()
  for (let left = 40; left > 0; left--) {
    const { value } = await iterator.next()
    order.push((value as Delivery).message.data)
    expect(await (value as Delivery).settle('acked')).toBe(true)
  }
  expect(order).toEqual(Array.from({ length: 40 }, (_, index) => index + 1))
  expect(lost).toBeGreaterThan(0)
  await iterator.return?.()
}, 20_000)

test('[WN26] what was settled while the connection was lost is handled once: the settlement is said again', async () => {
  await using proxy = await startProxy(server.port)
  await using one = await open()
  await using two = await open({ prefix: one.prefix }, proxy.url('redis'))
  const iterator = two.log.consume('c/a', 'g', { ackWaitMs: 20_000 })[Symbol.asyncIterator]()
  const handled: unknown[] = []
  for (let round = 1; round <= 12; round++) {
    await one.log.append('c/a', items(1, round))
    const { value } = await iterator.next()
    handled.push((value as Delivery).message.data)
    // The settlement and the next take are under way, and reach nobody.
    proxy.stall()
    const settled = (value as Delivery).settle('acked')
    const next = iterator.next()
    await new Promise((resolve) => setTimeout(resolve, 20))
    proxy.reset()
    proxy.resume()
    expect(await settled).toBe(true)
    await one.log.append('c/a', items(1, -round))
    const last = (await next).value as Delivery
    handled.push(last.message.data)
    expect(await last.settle('acked')).toBe(true)
  }
  expect(handled).toEqual(Array.from({ length: 12 }, (_, index) => [index + 1, -index - 1]).flat())
  expect(await one.log.groups('c/a')).toMatchObject([{ acked: 24, pending: 0, leased: 0 }])
  await iterator.return?.()
}, 30_000)

test('[I15] an extension that is said again, once the lease went to others, is answered as stale', async () => {
  await using proxy = await startProxy(server.port)
  await using one = await open()
  await using two = await open({ prefix: one.prefix }, proxy.url('redis'))
  await one.log.append('c/a', items(3))
  const holder = two.log.consume('c/a', 'g', { ackWaitMs: 400 })[Symbol.asyncIterator]()
  const held = [(await holder.next()).value, (await holder.next()).value, (await holder.next()).value] as Delivery[]
  const kept = held[2] as Delivery
  expect(await kept.extend(60_000)).toBe(true)
  // As after a pause of the process: it asks, hears nothing, and asks again over another connection.
  proxy.stall()
  const asked = held.map((delivery) => delivery.extend(60_000))
  const other = one.log.consume('c/a', 'g')[Symbol.asyncIterator]()
  const taken = [(await other.next()).value, (await other.next()).value] as Delivery[]
  expect(taken.map(({ offset }) => offset)).toEqual(['1', '2'])
  expect(await taken[0]?.settle('acked')).toBe(true)
  proxy.reset()
  proxy.resume()
  expect(await Promise.all(asked)).toEqual([false, false, true])
  expect(await held[1]?.settle('acked')).toBe(false)
  expect(await taken[1]?.settle('acked')).toBe(true)
  expect(await kept.settle('acked')).toBe(true)
  await Promise.all([holder.return?.(), other.return?.()])
}, 20_000)

test('[C25] [C73] a reader that follows waits while the server is away, and goes on behind what it read', async () => {
  await using proxy = await startProxy(server.port)
  await using one = await open()
  await using two = await open({ prefix: one.prefix }, proxy.url('redis'))
  await one.log.append('c/a', items(3))
  const iterator = two.log.read('c/a', { follow: true })[Symbol.asyncIterator]()
  const next = async (): Promise<unknown> => ((await iterator.next()).value as Entry).message.data
  expect([await next(), await next()]).toEqual([1, 2])
  const away = async (): Promise<void> => {
    const lost = two.events.length
    proxy.refuse()
    proxy.reset()
    await expect.poll(() => two.events.slice(lost).map(({ type }) => type)).toContain('retry')
  }
  // What it has read already it gives; then it waits, also when it is asked while the server is away.
  await away()
  expect(await next()).toBe(3)
  const fourth = next()
  expect(await codeOf(two.log.append('c/a', items(1, 4)))).toBe('STORE_FAILED')
  await one.log.append('c/a', items(1, 4))
  proxy.accept()
  expect(await fourth).toBe(4)
  // And when the server goes away while it waits.
  const fifth = next()
  await away()
  proxy.accept()
  await one.log.append('c/a', items(2, 5))
  expect([await fifth, await next()]).toEqual([5, 6])
  // One that begins meanwhile begins when the server is back.
  await away()
  const other = two.log.read('c/a', { follow: true, after: '5' })[Symbol.asyncIterator]()
  const begun = other.next()
  const range = await codeOf(all(two.log.read('c/a')))
  proxy.accept()
  expect(((await begun).value as Entry).message.data).toBe(6)
  expect(range).toBe('STORE_FAILED')
  await other.return?.()
  await iterator.return?.()
}, 30_000)

test('a reader that begins while the last one ends is told of what comes', async () => {
  await using one = await open()
  await one.log.append('c/a', items(1))
  let after = '0'
  for (let round = 1; round <= 5; round++) {
    const controller = new AbortController()
    const iterator = one.log.read('c/a', { follow: true, after, signal: controller.signal })[Symbol.asyncIterator]()
    after = ((await iterator.next()).value as Entry).offset
    const waiting = iterator.next()
    const registered = (): Promise<unknown> => admin.command(undefined, ['EXISTS', `${one.prefix}:{c}:waiting:c/a`])
    await expect.poll(registered).toBe(1)
    controller.abort()
    await waiting
    const next = one.log.read('c/a', { follow: true, after })[Symbol.asyncIterator]()
    const asked = next.next()
    await one.log.append('c/a', items(1, 2 * round))
    expect(((await asked).value as Entry).message.data).toBe(2 * round)
    after = String(2 * round)
    const last = next.next()
    await expect.poll(registered).toBe(1)
    const from = performance.now()
    await one.log.append('c/a', items(1, 2 * round + 1))
    expect(((await last).value as Entry).message.data).toBe(2 * round + 1)
    expect(performance.now() - from).toBeLessThan(2_000 + MACHINE_MS)
    await next.return?.()
  }
}, 40_000)

test('a lease that runs out comes to who has long been waiting, though its holder asks for nothing', async () => {
  await using one = await open()
  await using two = await open({ prefix: one.prefix })
  const holder = one.log.consume('c/a', 'g', { ackWaitMs: 60_000 })[Symbol.asyncIterator]()
  const waiter = two.log.consume('c/a', 'g')[Symbol.asyncIterator]()
  const waits = (who: number): Promise<unknown> =>
    expect.poll(() => admin.command(undefined, ['SCARD', `${one.prefix}:{c}:waiting:c/a`])).toBe(who)
  const held = holder.next()
  await waits(1)
  await one.log.append('c/a', items(1))
  const value = (await held).value as Delivery
  const waiting = waiter.next()
  await waits(1)
  // It knows of no lease that would run out soon.
  const from = performance.now()
  expect(await value.extend(300)).toBe(true)
  expect((await waiting).value).toMatchObject({ offset: '1', attempt: 2 })
  expect(performance.now() - from).toBeLessThan(2_000 + MACHINE_MS)
  await Promise.all([holder.return?.(), waiter.return?.()])
}, 20_000)

test('[I4] a lease runs out in its time, however often somebody looks at figures meanwhile', async () => {
  await using one = await open()
  await using two = await open({ prefix: one.prefix })
  await one.log.append('c/a', items(1))
  const first = one.log.consume('c/a', 'g', { ackWaitMs: 500 })[Symbol.asyncIterator]()
  expect((await first.next()).done).toBe(false)
  const takenMs = performance.now()
  const second = two.log.consume('c/a', 'g')[Symbol.asyncIterator]()
  let got: IteratorResult<Delivery> | undefined
  void second.next().then((result) => {
    got = result
  })
  while (got === undefined && performance.now() - takenMs < 5_000) await two.log.streams('c')
  expect(got).toMatchObject({ done: false, value: { attempt: 2 } })
  expect(performance.now() - takenMs).toBeLessThan(2_000 + MACHINE_MS)
  await Promise.all([first.return?.(), second.return?.()])
})

test('who waits because too many wait behind the owner of a session goes on when they are fewer', async () => {
  await using one = await open()
  await using two = await open({ prefix: one.prefix })
  const of = (session: string, many: number): Item[] =>
    Array.from({ length: many }, (_, index) => ({ message: maker.make('t', index, { session }) }))
  for (let left = 30; left > 0; left--) await one.log.append('c/a', of('s', 350))
  await one.log.append('c/a', of('t', 1))
  const owner = one.log.consume('c/a', 'g', { maxInFlight: 2 })[Symbol.asyncIterator]()
  const first = (await owner.next()).value as Delivery
  const waiting = two.log.consume('c/a', 'g')[Symbol.asyncIterator]().next()
  await expect.poll(() => admin.command(undefined, ['SCARD', `${one.prefix}:{c}:waiting:c/a`])).toBe(1)
  // One after the other, so that nothing is given back.
  for (let left = 2_200; left > 0; left--) await ((await owner.next()).value as Delivery).settle('acked')
  const from = performance.now()
  expect(((await waiting).value as Delivery).message.session).toBe('t')
  expect(performance.now() - from).toBeLessThan(1_500 + MACHINE_MS)
  // Its session had its owner all the time.
  expect(await first.settle('acked')).toBe(true)
}, 90_000)
