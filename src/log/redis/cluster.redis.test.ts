import { afterAll, beforeAll, expect, test } from 'vitest'
import { MACHINE_MS } from '../../../test/machine.ts'
import { type RedisCluster, startRedisCluster } from '../../../test/servers/redis-cluster.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import type { RedisLink } from '../../broker/redis/link.ts'
import { slotOf } from '../../broker/redis/slot.ts'
import { isBusError } from '../../kit/errors.ts'
import { messageMaker } from '../../message/make.ts'
import type { Delivery, Entry, Gap, Item, LogEvent, MessageLog } from '../log.ts'
import { baseOf } from './channel.ts'
import { redisLog } from './redis.ts'

const NODES = 3
const maker = messageMaker()
let cluster: RedisCluster
let count = 0

beforeAll(async () => {
  cluster = await startRedisCluster(NODES, { 'cluster-require-full-coverage': 'no' })
})
afterAll(() => cluster[Symbol.asyncDispose]())

interface Opened extends AsyncDisposable {
  readonly log: MessageLog
  readonly link: RedisLink
  readonly prefix: string
  readonly events: LogEvent[]
}

/** A log on a link of its own, as a process has. */
async function open(prefix = `c${++count}`, url = cluster.url): Promise<Opened> {
  const link = await connectRedis(url, { commandTimeoutMs: 2_000, retryMs: 10, longestRetryMs: 200 })
  const events: LogEvent[] = []
  const log = await redisLog(link, { prefix, onEvent: (event) => void events.push(event) })
  return {
    ...{ log, link, prefix, events },
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
    },
  }
}

/** A channel whose keys lie on the node. */
function channelAt(prefix: string, node: number): string {
  for (let index = 0; ; index++) {
    const channel = `ch-${index}`
    if (Math.floor((slotOf(baseOf(prefix, channel)) * NODES) / 16_384) === node) return channel
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

/** Handles everything by acknowledging it; what was handled. */
function work(log: MessageLog, stream: string): { readonly seen: unknown[]; stop(): Promise<void> } {
  const controller = new AbortController()
  const seen: unknown[] = []
  const done = (async () => {
    for await (const delivery of log.consume(stream, 'g', { signal: controller.signal })) {
      if (await delivery.settle('acked').catch(() => false)) seen.push(delivery.message.data)
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

test('[C32] [C5] channels on all nodes are kept, handed out once among two logs, and listed together', async () => {
  await using one = await open()
  await using two = await open(one.prefix)
  const channels = [0, 1, 2].map((node) => channelAt(one.prefix, node))
  const workers = channels.flatMap((channel) => [work(one.log, `${channel}/a`), work(two.log, `${channel}/a`)])
  const numbers = Array.from({ length: 40 }, (_, index) => index + 1)
  for (const channel of channels) {
    for (const number of numbers) await (number % 2 ? one : two).log.append(`${channel}/a`, items(1, number))
  }
  for (const [index] of channels.entries()) {
    const both = (): unknown[] => [...(workers[2 * index]?.seen ?? []), ...(workers[2 * index + 1]?.seen ?? [])]
    await expect.poll(() => (both() as number[]).toSorted((a, b) => a - b), { timeout: 5_000 }).toEqual(numbers)
    expect(dataOf(await all(two.log.read(`${channels[index]}/a`)))).toEqual(numbers)
  }
  const names = channels.map((channel) => `${channel}/a`).sort()
  expect(await one.log.streams()).toMatchObject(names.map((stream) => ({ stream, next: '41', count: 40 })))
  expect(await one.log.groups()).toMatchObject(names.map((stream) => ({ stream, group: 'g', acked: 40, pending: 0 })))
  for (const worker of workers) await worker.stop()
})

test('who waits on any node is woken by what the other log appends or gives back, without a look of its own', async () => {
  await using one = await open()
  await using two = await open(one.prefix)
  for (const node of [0, 1, 2]) {
    const stream = `${channelAt(one.prefix, node)}/a`
    const iterator = one.log.consume(stream, 'g')[Symbol.asyncIterator]()
    const other = two.log.consume(stream, 'g')[Symbol.asyncIterator]()
    const waiting = `${baseOf(one.prefix, stream.slice(0, -2))}waiting:${stream}`
    const first = iterator.next()
    await expect.poll(() => one.link.command(waiting, ['SCARD', waiting])).toBe(1)
    const from = performance.now()
    await two.log.append(stream, items(1))
    const held = (await first).value as Delivery
    const second = other.next()
    await expect.poll(() => one.link.command(waiting, ['SCARD', waiting])).toBe(1)
    expect(await held.nack()).toBe(true)
    expect((await second).value).toMatchObject({ offset: '1', attempt: 2 })
    expect(performance.now() - from).toBeLessThan(2_500)
    const followed = one.log.read(stream, { follow: true, after: '1' })[Symbol.asyncIterator]()
    const next = followed.next()
    await expect.poll(() => one.link.command(waiting, ['SCARD', waiting])).toBeGreaterThan(0)
    await two.log.append(stream, items(1, 2))
    expect((await next).value).toMatchObject({ offset: '2' })
    await Promise.all([iterator.return?.(), other.return?.(), followed.return?.()])
  }
})

test('a dead letter goes along within its channel in one step; into another channel it is refused, and nothing is settled', async () => {
  await using one = await open()
  const [here, there] = [channelAt(one.prefix, 0), channelAt(one.prefix, 1)]
  await one.log.append(`${here}/a`, items(2))
  const iterator = one.log.consume(`${here}/a`, 'g')[Symbol.asyncIterator]()
  const first = (await iterator.next()).value as Delivery
  expect(await codeOf(first.settle('dead', { stream: `${there}/dead` }))).toBe('UNSUPPORTED')
  expect(await first.settle('dead', { stream: `${here}/dead`, note: 'why' })).toBe(true)
  expect(await all(one.log.read(`${here}/dead`))).toMatchObject([{ offset: '1', note: 'why', message: { data: 1 } }])
  expect(await one.log.settle(`${here}/dead`, 'd', '1', 'acked', { stream: `${here}/a`, note: 'again' })).toBe(true)
  expect(dataOf(await all(one.log.read(`${here}/a`)))).toEqual([1, 2, 1])
  expect(await one.log.groups(`${here}/a`)).toMatchObject([{ dead: 1 }])
  expect((await one.log.streams()).map(({ stream }) => stream)).toEqual([`${here}/a`, `${here}/dead`].sort())
  await iterator.return?.()
})

test('[C25] while one node is away its channels wait and the others go on; when it is back nothing acknowledged is lost', async () => {
  await using one = await open()
  await using two = await open(one.prefix)
  const streams = [0, 2].map((node) => `${channelAt(one.prefix, node)}/a`) as [string, string]
  const workers = streams.map((stream) => work(two.log, stream))
  for (const stream of streams) await one.log.append(stream, items(5))
  await expect.poll(() => workers.map(({ seen }) => seen.length)).toEqual([5, 5])
  await cluster.nodes[2]?.kill()
  await expect.poll(() => codeOf(one.log.append(streams[1], items(1, 6)))).toBe('STORE_FAILED')
  const from = performance.now()
  await one.log.append(streams[0], items(5, 6))
  await expect.poll(() => workers[0]?.seen.length).toBe(10)
  expect(performance.now() - from).toBeLessThan(1_000 + MACHINE_MS)
  await cluster.nodes[2]?.start()
  await expect.poll(() => codeOf(one.log.append(streams[1], items(1, 7))), { timeout: 10_000 }).toBe('none')
  await expect.poll(() => workers[1]?.seen, { timeout: 5_000 }).toEqual([1, 2, 3, 4, 5, 7])
  expect([...one.events, ...two.events].filter(({ type }) => type === 'data-loss')).toEqual([])
  for (const worker of workers) await worker.stop()
}, 40_000)

test('[I1] while the slot of a channel moves nothing is done by halves, and at its new node everything is there', async () => {
  await using one = await open()
  const channel = channelAt(one.prefix, 0)
  const stream = `${channel}/a`
  const slot = String(slotOf(baseOf(one.prefix, channel)))
  const ids = [0, 1].map((node) => cluster.cli(node, 'CLUSTER', 'MYID')) as [string, string]
  await one.log.append(stream, items(5))
  const worker = work(one.log, stream)
  await expect.poll(() => worker.seen.length).toBe(5)
  cluster.cli(1, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[0])
  cluster.cli(0, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[1])
  await using node = await connectRedis(cluster.nodes[0]?.url ?? '')
  const keys = (await node.command(undefined, ['CLUSTER', 'GETKEYSINSLOT', slot, '100'])) as readonly Buffer[]
  expect(keys.length).toBeGreaterThan(5)
  for (const key of keys) {
    expect(await codeOf(one.log.append(stream, items(1, 6)))).toBe('STORE_FAILED')
    await node.command(undefined, ['MIGRATE', '127.0.0.1', String(cluster.nodes[1]?.port), key, '0', '5000'])
  }
  expect(await codeOf(one.log.append(stream, items(1, 6)))).toBe('STORE_FAILED')
  for (const index of [1, 0, 2]) cluster.cli(index, 'CLUSTER', 'SETSLOT', slot, 'NODE', ids[1])
  await expect.poll(() => codeOf(one.log.append(stream, items(1, 6))), { timeout: 10_000 }).toBe('none')
  await expect.poll(() => worker.seen, { timeout: 10_000 }).toEqual([1, 2, 3, 4, 5, 6])
  expect(dataOf(await all(one.log.read(stream)))).toEqual([1, 2, 3, 4, 5, 6])
  expect(one.events.filter(({ type }) => type === 'data-loss')).toEqual([])
  await worker.stop()
}, 40_000)

test('[C25] [I1] a replica that takes over from a master that was killed goes on with what it had; consumers and readers find it', async () => {
  await using own = await startRedisCluster(NODES, { 'cluster-require-full-coverage': 'no' })
  await own.addReplica(0)
  await using one = await open(undefined, own.url)
  await using two = await open(one.prefix, own.url)
  const [moves, stays] = [0, 1].map((node) => `${channelAt(one.prefix, node)}/a`) as [string, string]
  const workers = [moves, stays].map((stream) => work(two.log, stream))
  const controller = new AbortController()
  const followed: unknown[] = []
  const following = (async () => {
    for await (const one of two.log.read(moves, { follow: true, signal: controller.signal })) {
      followed.push(one.type === 'entry' ? one.message.data : one.reason)
    }
  })()
  for (const stream of [moves, stays]) await one.log.append(stream, items(20))
  await expect.poll(() => workers.map(({ seen }) => seen.length)).toEqual([20, 20])
  const key = baseOf(one.prefix, moves.slice(0, -2))
  expect(await one.link.command(key, ['WAIT', '1', '1000'])).toBe(1)
  await own.nodes[0]?.kill()
  await one.log.append(stays, items(1, 21))
  await expect.poll(() => workers[1]?.seen.length).toBe(21)
  await expect.poll(() => codeOf(one.log.append(moves, items(1, 21))), { timeout: 20_000, interval: 200 }).toBe('none')
  const numbers = Array.from({ length: 21 }, (_, index) => index + 1)
  await expect.poll(() => workers[0]?.seen, { timeout: 10_000 }).toEqual(numbers)
  await expect.poll(() => followed, { timeout: 10_000 }).toEqual(numbers)
  expect([...one.events, ...two.events].filter(({ type }) => type === 'data-loss')).toEqual([])
  controller.abort()
  await following
  for (const worker of workers) await worker.stop()
}, 60_000)
