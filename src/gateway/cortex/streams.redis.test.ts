import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import type { RedisLink } from '../../broker/redis/link.ts'
import { systemEnv } from '../../kit/env.ts'
import { messageMaker } from '../../message/make.ts'
import type { CortexConsumer, CortexDelivery, CortexEvent } from './consume.ts'
import type { CortexEntry } from './read.ts'
import { entriesOf, listOf } from './scripts.ts'
import { type CortexConsumeOptions, type CortexStreams, cortexStreams } from './streams.ts'

let server: Server
let link: RedisLink
let cortex: CortexStreams
let count = 0
const maker = messageMaker(systemEnv())

beforeAll(async () => {
  server = await startRedis({ appendfsync: 'everysec' })
  link = await connectRedis(server.url)
})
afterAll(async () => {
  await link[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

/** A Cortex of its own for each test. */
function fresh(): CortexStreams {
  cortex = cortexStreams(link, { names: { prefix: `c${++count}` } })
  return cortex
}

/** As the gateway of Cortex adds a task. */
async function theirs(stream: string, fields: Record<string, string> = {}): Promise<string> {
  const task = { from: 'harold', to: '', priority: 'normal', type: 'coding', payload: '{"n":1}', ...fields }
  const created = String(Math.floor(Date.now() / 1_000))
  const all = { id: `msg_${++count}`, created, ...task }
  return String(await link.command(stream, ['XADD', stream, '*', ...Object.entries(all).flat()]))
}

async function pendingOf(stream: string, group: string): Promise<number> {
  return Number(listOf(await link.command(stream, ['XPENDING', stream, group]))[0])
}

async function fieldsIn(stream: string): Promise<readonly Readonly<Record<string, string>>[]> {
  return entriesOf(await link.command(stream, ['XRANGE', stream, '-', '+'])).map(({ fields = {} }) => fields)
}

interface Watched {
  readonly consumer: CortexConsumer
  readonly seen: { readonly data: unknown; readonly delivery: CortexDelivery }[]
  readonly events: CortexEvent[]
}

function watched(options: Partial<CortexConsumeOptions> = {}, run: (n: unknown) => unknown = () => undefined): Watched {
  const seen: Watched['seen'] = []
  const events: CortexEvent[] = []
  const onEvent = (event: CortexEvent): void => void events.push(event)
  const all = { group: 'agents', consumer: 'pink', onEvent, ...options }
  const consumer = cortex.consume(all, (message, delivery) => {
    seen.push({ data: message.data, delivery })
    return run((message.data as { payload?: { n?: unknown } }).payload?.n)
  })
  return { consumer, seen, events }
}

const soon = { timeout: 10_000, interval: 5 }

test('[C12] [C15] a task that Cortex added is handled, and acknowledged only after that', async () => {
  const { names } = fresh()
  await theirs(names.levels.high, { payload: '{"n":7}', priority: 'high' })
  let release = (): void => {}
  const { consumer, seen } = watched({}, () => new Promise<void>((resolve) => (release = resolve)))
  await vi.waitFor(() => expect(seen).toHaveLength(1), soon)
  expect(seen[0]).toMatchObject({ data: { payload: { n: 7 } }, delivery: { attempt: 1, stream: names.levels.high } })
  expect(await pendingOf(names.levels.high, 'agents')).toBe(1)
  release()
  await vi.waitFor(async () => expect(await pendingOf(names.levels.high, 'agents')).toBe(0), soon)
  await consumer[Symbol.asyncDispose]()
  await consumer[Symbol.asyncDispose]()
})

test('[C12] [C14] a message that was written is stored as Cortex reads it, and once for its id', async () => {
  const { names } = fresh()
  const message = maker.make('tasks.deploy', { payload: { v: 2.5 } }, { from: 'red', priority: 'critical' })
  const first = await cortex.write(message)
  expect(first).toMatchObject({ stream: names.levels.critical, isNew: true })
  expect(await cortex.write(message)).toEqual({ ...first, isNew: false })
  const [fields, ...more] = await fieldsIn(names.levels.critical)
  expect(more).toEqual([])
  expect(fields).toMatchObject({ id: message.id, from: 'red', to: '', priority: 'critical', payload: '{"v":2.5}' })
  const seen: CortexEntry[] = []
  for await (const entry of cortex.read({ streams: [names.levels.critical] })) seen.push(entry)
  expect(seen.map(({ message: { data, id, topic, time } = message, by }) => ({ data, id, topic, time, by }))).toEqual([
    { data: message.data, id: message.id, topic: 'tasks.deploy', time: message.time, by: 'swarmbus' },
  ])
})

test('[C5] [CN5] 2,000 low ones wait, then 5 critical ones come: they are the next five', async () => {
  const { names } = fresh()
  const low = names.levels.low
  await link.command(low, [
    'EVAL',
    `for i = 1, 2000 do redis.call('XADD', KEYS[1], '*', 'id', 'l' .. i, 'type', 'coding', 'payload', '{"n":' .. i .. '}') end`,
    '1',
    low,
  ])
  const order: unknown[] = []
  const { consumer } = watched({}, async (n) => {
    order.push(n)
    if (order.length === 50)
      for (let at = 1; at <= 5; at++) await theirs(names.levels.critical, { payload: `{"n":"c${at}"}` })
  })
  await vi.waitFor(() => expect(order.length).toBeGreaterThan(60), soon)
  await consumer[Symbol.asyncDispose]()
  expect(order.slice(48, 56)).toEqual([49, 50, 'c1', 'c2', 'c3', 'c4', 'c5', 51])
})

test('[C5] a low task is passed by at most 100 higher ones', async () => {
  const { names } = fresh()
  await theirs(names.levels.background, { payload: '{"n":"low"}' })
  for (let at = 0; at < 150; at++) await theirs(names.levels.critical, { payload: `{"n":${at}}` })
  const order: unknown[] = []
  const { consumer } = watched({}, (n) => order.push(n))
  await vi.waitFor(() => expect(order).toHaveLength(151), soon)
  await consumer[Symbol.asyncDispose]()
  expect(order.indexOf('low')).toBe(100)
  expect(order.filter((n) => n !== 'low')).toEqual(Array.from({ length: 150 }, (_, at) => at))
})

test('[CN1] 500 sent, 10 handled, the consumer gone in the middle: under the same name the others all come, and its own first', async () => {
  const { names } = fresh()
  for (let at = 0; at < 500; at++) await cortex.write(maker.make('tasks.coding', { payload: { n: at } }))
  // A member of Cortex that took 20 entries and died, under the name of this one.
  await link.command(undefined, ['XGROUP', 'CREATE', names.levels.normal, 'agents', '0', 'MKSTREAM'])
  await link.command(undefined, [
    'XREADGROUP',
    'GROUP',
    'agents',
    'pink',
    'COUNT',
    '20',
    'STREAMS',
    names.levels.normal,
    '>',
  ])
  const order: unknown[] = []
  const one = watched({}, (n) => order.push(n))
  await vi.waitFor(() => expect(order.length).toBeGreaterThan(9), soon)
  await one.consumer[Symbol.asyncDispose]()
  const two = watched({}, (n) => order.push(n))
  await vi.waitFor(() => expect(order).toHaveLength(500), soon)
  await two.consumer[Symbol.asyncDispose]()
  expect(order).toEqual(Array.from({ length: 500 }, (_, at) => at))
  expect(one.seen[0]?.delivery.attempt).toBe(2)
  expect(await pendingOf(names.levels.normal, 'agents')).toBe(0)
})

test('[C15] the work of a dead member is claimed after its visibility time, and of a living one never', async () => {
  const { names } = fresh()
  const stream = names.levels.normal
  await theirs(stream, { payload: '{"n":"dead"}' })
  await link.command(undefined, ['XGROUP', 'CREATE', stream, 'agents', '0', 'MKSTREAM'])
  await link.command(undefined, ['XREADGROUP', 'GROUP', 'agents', 'gone', 'COUNT', '1', 'STREAMS', stream, '>'])
  let release = (): void => {}
  const options = { visibilityMs: 600, concurrency: 5 }
  const red = watched({ ...options, consumer: 'red' }, (n) =>
    n === 'slow' ? new Promise<void>((resolve) => (release = resolve)) : undefined,
  )
  await vi.waitFor(() => expect(red.seen.map(({ data }) => data)).toEqual([{ payload: { n: 'dead' } }]), soon)
  expect(red.seen[0]?.delivery.attempt).toBe(2)
  await theirs(stream, { payload: '{"n":"slow"}' })
  await vi.waitFor(() => expect(red.seen).toHaveLength(2), soon)
  const pink = watched(options)
  const startedMs = performance.now()
  await vi.waitFor(async () => {
    expect(await idleOf(stream)).toBeLessThan(options.visibilityMs)
    expect(performance.now() - startedMs).toBeGreaterThan(3 * options.visibilityMs)
  }, soon)
  expect(pink.seen).toEqual([])
  release()
  await red.consumer[Symbol.asyncDispose]()
  await pink.consumer[Symbol.asyncDispose]()
  expect(await pendingOf(stream, 'agents')).toBe(0)
})

async function idleOf(stream: string): Promise<number> {
  const found = listOf(await link.command(stream, ['XPENDING', stream, 'agents', '-', '+', '1']))
  return Number(listOf(found[0])[2])
}

test('an entry that went to another member aborts its handler here, and what comes of that settles nothing', async () => {
  const { names } = fresh()
  const stream = names.levels.normal
  await theirs(stream)
  let release = (): void => {}
  const { consumer, seen, events } = watched(
    { visibilityMs: 150 },
    () => new Promise<void>((resolve) => (release = resolve)),
  )
  await vi.waitFor(() => expect(seen).toHaveLength(1), soon)
  const entryId = seen[0]?.delivery.entryId ?? ''
  await link.command(stream, ['XCLAIM', stream, 'agents', 'red', '0', entryId])
  await vi.waitFor(() => expect(seen[0]?.delivery.signal.aborted).toBe(true), soon)
  expect(events).toMatchObject([{ type: 'lost', place: { stream, entryId } }])
  release()
  // It takes an entry again, so it is through with the first one.
  await theirs(stream)
  await vi.waitFor(() => expect(seen).toHaveLength(2), soon)
  release()
  await consumer[Symbol.asyncDispose]()
  const [pending] = listOf(await link.command(stream, ['XPENDING', stream, 'agents', '-', '+', '10']))
  expect([String(listOf(pending)[0]), String(listOf(pending)[1])]).toEqual([entryId, 'red'])
})

test('[CN1] what its process died of repeatedly ends in the dead letters, because the server counts', async () => {
  const { names } = fresh()
  const stream = names.levels.normal
  await theirs(stream)
  await link.command(undefined, ['XGROUP', 'CREATE', stream, 'agents', '0', 'MKSTREAM'])
  await link.command(undefined, ['XREADGROUP', 'GROUP', 'agents', 'pink', 'COUNT', '1', 'STREAMS', stream, '>'])
  // Two more lives of the member that took it and died.
  for (let life = 0; life < 2; life++) {
    await link.command(undefined, ['XREADGROUP', 'GROUP', 'agents', 'pink', 'COUNT', '1', 'STREAMS', stream, '0'])
  }
  const { consumer, seen, events } = watched()
  await vi.waitFor(() => expect(events).toMatchObject([{ type: 'dead', reason: 'error' }]), soon)
  await consumer[Symbol.asyncDispose]()
  expect(seen).toEqual([])
})

test('[C16] [C17] [CN7] three failures end in the dead letters as Cortex lays them out, in one step, with the whole entry', async () => {
  const { names } = fresh()
  await theirs(names.levels.high, { priority: 'high', extra: 'kept', id: 'msg_x' })
  const { consumer, events, seen } = watched({ retryMs: [20, 40] }, () => {
    throw new Error('no')
  })
  await vi.waitFor(() => expect(events).toHaveLength(1), soon)
  await consumer[Symbol.asyncDispose]()
  expect(seen.map(({ delivery }) => delivery.attempt)).toEqual([1, 2, 3])
  expect(events[0]).toMatchObject({ type: 'dead', reason: 'error', error: 'Error: no' })
  const [letter] = await fieldsIn(names.dead)
  expect(letter).toMatchObject({
    original_id: 'msg_x',
    original_from: 'harold',
    original_priority: 'high',
    original_payload: '{"n":1}',
    error: 'Error: no',
    retry_count: '3',
    reason: 'error',
  })
  expect(JSON.parse(letter?.raw ?? '')).toMatchObject({ extra: 'kept' })
  expect(await pendingOf(names.levels.high, 'agents')).toBe(0)
})

test('[C16] while a failed task waits for its next attempt, others are handled', async () => {
  const { names } = fresh()
  await theirs(names.levels.critical, { payload: '{"n":"fails"}' })
  await theirs(names.levels.normal, { payload: '{"n":"other"}' })
  const order: unknown[] = []
  const { consumer } = watched({ retryMs: [200] }, (n) => {
    order.push(n)
    if (order.filter((one) => one === 'fails').length === 1 && n === 'fails') throw new Error('once')
  })
  await vi.waitFor(() => expect(order).toEqual(['fails', 'other', 'fails']), soon)
  await consumer[Symbol.asyncDispose]()
})

test('[C20] [CN8] a message of two hours ago with a ttl of one hour is not handled, but a dead letter', async () => {
  const { names } = fresh()
  const created = String(Math.floor(Date.now() / 1_000) - 7_200)
  await theirs(names.levels.normal, { created, ttl: '3600' })
  const { consumer, events, seen } = watched()
  await vi.waitFor(() => expect(events).toMatchObject([{ type: 'dead', reason: 'stale' }]), soon)
  await consumer[Symbol.asyncDispose]()
  expect(seen).toEqual([])
})

test('an entry that is no message costs only itself', async () => {
  const { names } = fresh()
  await theirs(names.levels.normal, { payload: '{half' })
  await theirs(names.levels.normal)
  const { consumer, events, seen } = watched()
  await vi.waitFor(() => expect(seen).toHaveLength(1), soon)
  await consumer[Symbol.asyncDispose]()
  expect(events).toMatchObject([{ type: 'dead', reason: 'undecodable' }])
  expect((await fieldsIn(names.dead))[0]).toMatchObject({ original_payload: '{half' })
})

test('[C8] [CN2] 1,000 to pink in the streams that all share: pink gets each once, red none', async () => {
  const { names } = fresh()
  const normal = names.levels.normal
  await link.command(normal, [
    'EVAL',
    `for i = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'id', 'p' .. i, 'to', 'pink', 'type', 'coding', 'payload', '{"n":' .. i .. '}') end`,
    '1',
    normal,
  ])
  const own = (agent: string): Partial<CortexConsumeOptions> => ({
    ...{ consumer: agent, agent, concurrency: 8 },
    streams: [names.levels.normal, names.messages(agent)],
  })
  const red = watched(own('red'))
  const pink = watched(own('pink'))
  await vi.waitFor(() => expect(pink.seen).toHaveLength(1_000), soon)
  await red.consumer[Symbol.asyncDispose]()
  await pink.consumer[Symbol.asyncDispose]()
  expect(red.seen).toEqual([])
  expect(red.events.every(({ type }) => type === 'moved')).toBe(true)
  expect(new Set(pink.seen.map(({ data }) => (data as { payload: { n: number } }).payload.n)).size).toBe(1_000)
})

test('[C24] [CN6] an idle consumer gets a message as it is stored: no interval of polling lies between', async () => {
  const { names } = fresh()
  const waits: number[] = []
  let arrived = (): void => {}
  const { consumer } = watched({}, () => arrived())
  for (let at = 0; at < 60; at++) {
    const handled = new Promise<void>((resolve) => (arrived = resolve))
    await new Promise((resolve) => setTimeout(resolve, 5))
    const startedMs = performance.now()
    await theirs(names.levels.normal)
    await handled
    waits.push(performance.now() - startedMs)
  }
  await consumer[Symbol.asyncDispose]()
  const sorted = waits.slice(10).toSorted((one, other) => one - other)
  // The original waited for a poll of 50 ms: a median of 23.6 ms.
  expect(sorted[25]).toBeLessThan(10)
})

test('[C10] [CN3] an event reaches every reader, and readers leave nothing pending', async () => {
  const { names } = fresh()
  const stop = new AbortController()
  const heard = [0, 0, 0]
  const readers = heard.map(async (_, at) => {
    for await (const entry of cortex.read({ streams: [names.events()], follow: true, signal: stop.signal })) {
      if (entry.message !== undefined) heard[at] = (heard[at] ?? 0) + 1
    }
  })
  for (let at = 0; at < 300; at++) await cortex.write(maker.make('task.done', at, { from: 'pink' }))
  await vi.waitFor(() => expect(heard).toEqual([300, 300, 300]), soon)
  stop.abort()
  await Promise.all(readers)
  expect(listOf(await link.command(undefined, ['XINFO', 'GROUPS', names.events()]))).toEqual([])
})

test('[C38] streams are read from an entry on, and from their end', async () => {
  const { names } = fresh()
  const stream = names.events('2026-02-06')
  const places = []
  for (let at = 0; at < 250; at++) places.push(await cortex.write(maker.make('task.done', at), { streams: [stream] }))
  const from = async (after: 'first' | Record<string, string>): Promise<readonly unknown[]> => {
    const seen: unknown[] = []
    for await (const { message } of cortex.read({ streams: [stream], after })) seen.push(message?.data)
    return seen
  }
  expect(await from('first')).toEqual(Array.from({ length: 250 }, (_, at) => at))
  expect(await from({ [stream]: places[239]?.entryId ?? '' })).toEqual([
    240, 241, 242, 243, 244, 245, 246, 247, 248, 249,
  ])
  const stop = new AbortController()
  const next = cortex
    .read({ streams: [stream], after: 'end', follow: true, signal: stop.signal })
    [Symbol.asyncIterator]()
  const first = next.next()
  await vi.waitFor(
    async () => expect(String(await link.command(undefined, ['CLIENT', 'LIST']))).toMatch(/cmd=xread/),
    soon,
  )
  await cortex.write(maker.make('task.done', 'new'), { streams: [stream] })
  expect((await first).value?.message?.data).toBe('new')
  stop.abort()
  expect((await next.next()).done).toBe(true)
})

test('[C25] [CN9] the server dies and comes back: nothing is lost or missed, with few words, and reading goes on', async () => {
  await using own = await startRedis()
  await using ownLink = await connectRedis(own.url)
  const there = cortexStreams(ownLink)
  const handled: unknown[] = []
  const events: CortexEvent[] = []
  const options = { group: 'agents', consumer: 'pink', onEvent: (event: CortexEvent): void => void events.push(event) }
  await using _consumer = there.consume(options, (message) => void handled.push(message.data))
  const stop = new AbortController()
  const read: unknown[] = []
  const reading = (async () => {
    const streams = [there.names.levels.normal]
    for await (const { message } of there.read({ streams, follow: true, signal: stop.signal })) read.push(message?.data)
  })()
  for (let at = 0; at < 20; at++) await there.write(maker.make('tasks.coding', at))
  await vi.waitFor(() => expect([handled.length, read.length]).toEqual([20, 20]), soon)
  await own.kill()
  await expect(there.write(maker.make('tasks.coding', 'refused'))).rejects.toMatchObject({
    code: expect.stringMatching(/BROKER_UNREACHABLE|PUBLISH_UNKNOWN/),
  })
  await own.start()
  await vi.waitFor(() => expect(ownLink.watch.isUp).toBe(true), soon)
  for (let at = 20; at < 40; at++) await there.write(maker.make('tasks.coding', at))
  await vi.waitFor(() => expect([handled.length, read.length]).toEqual([40, 40]), soon)
  stop.abort()
  await reading
  expect([...handled]).toEqual(Array.from({ length: 40 }, (_, at) => at))
  expect([...read]).toEqual([...handled])
  expect(events.filter(({ type }) => type === 'retry').length).toBeLessThan(40)
})

test('a stream that lost its end is told to its reader, and a group that is gone is made again', async () => {
  await using own = await startRedis()
  await using ownLink = await connectRedis(own.url)
  const there = cortexStreams(ownLink)
  const handled: unknown[] = []
  await using _consumer = there.consume(
    { group: 'agents', consumer: 'pink' },
    (message) => void handled.push(message.data),
  )
  const streams = [there.names.levels.normal]
  const reading = (async () => {
    for await (const _ of there.read({ streams, follow: true })) handled.push('read')
  })()
  const failed = expect(reading).rejects.toMatchObject({ code: 'DATA_LOSS' })
  await there.write(maker.make('tasks.coding', 1))
  await vi.waitFor(() => expect(handled).toHaveLength(2), soon)
  await own.kill()
  await own.start({ wipe: true })
  await failed
  await vi.waitFor(() => there.write(maker.make('tasks.coding', 2)), soon)
  await vi.waitFor(() => expect(handled).toContain(2), soon)
})

test('disposal waits for the handler that runs, and leaves the rest to others', async () => {
  const { names } = fresh()
  for (let at = 0; at < 3; at++) await theirs(names.levels.normal)
  let release = (): void => {}
  const { consumer, seen } = watched({}, () => new Promise<void>((resolve) => (release = resolve)))
  await vi.waitFor(() => expect(seen).toHaveLength(1), soon)
  const ended = consumer[Symbol.asyncDispose]()
  release()
  await ended
  expect(seen).toHaveLength(1)
  expect(await pendingOf(names.levels.normal, 'agents')).toBe(0)
  const other = watched({ consumer: 'red' })
  await vi.waitFor(() => expect(other.seen).toHaveLength(2), soon)
  await other.consumer[Symbol.asyncDispose]()
})

test.each([
  ['consume', () => cortex.consume({ group: '', consumer: 'x' }, () => 1)],
  ['consume', () => cortex.consume({ group: 'x' } as never, () => 1)],
  ['consume', () => cortex.consume({ group: 'x', consumer: 'x', lanes: 1 } as never, () => 1)],
  ['read', () => cortex.read({ streams: [] })],
  ['cortexStreams', () => cortexStreams(link, { name: '' })],
])('wrong options of %s are refused', (_name, run) => {
  fresh()
  expect(run).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})

test('a cluster is refused: its nodes would each hold some of the streams', () => {
  expect(() => cortexStreams({ ...link, kind: 'cluster' })).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
})
