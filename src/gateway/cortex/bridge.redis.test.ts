import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import type { RedisLink } from '../../broker/redis/link.ts'
import { type Bus, createBus } from '../../bus/bus.ts'
import { systemEnv } from '../../kit/env.ts'
import { messageMaker } from '../../message/make.ts'
import type { Message } from '../../message/message.ts'
import { openBus } from '../../node/node.ts'
import { type CortexBridge, type CortexBridgeOptions, cortexBridge } from './bridge.ts'
import { listOf } from './scripts.ts'
import { type CortexStreams, cortexStreams } from './streams.ts'

let server: Server
let link: RedisLink
let count = 0
const maker = messageMaker(systemEnv())
const soon = { timeout: 10_000, interval: 5 }

beforeAll(async () => {
  server = await startRedis({ appendfsync: 'everysec' })
  link = await connectRedis(server.url)
})
afterAll(async () => {
  await link[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

/** A swarm of its own name beside the Cortex of the prefix. */
function swarm(prefix: string, name: string): CortexStreams {
  return cortexStreams(link, { names: { prefix }, name })
}

function collect(bus: Bus, pattern: string): Message[] {
  const seen: Message[] = []
  bus.subscribe(pattern, (message) => void seen.push(message))
  return seen
}

/** Resolves when the bridge's group exists: from then on it misses nothing. */
async function begun(stream: string, group: string): Promise<void> {
  const key = Buffer.from(group)
  await vi.waitFor(async () => {
    const groups = listOf(await link.command(undefined, ['XINFO', 'GROUPS', stream]))
    expect(groups.some((one) => listOf(one).some((value) => Buffer.isBuffer(value) && value.equals(key)))).toBe(true)
  }, soon)
}

async function joined(bus: Bus, cortex: CortexStreams, options: CortexBridgeOptions = {}): Promise<CortexBridge> {
  const bridge = cortexBridge(bus, cortex, options)
  for (const stream of options.in ?? [cortex.names.events()]) await begun(stream, options.group ?? cortex.name)
  return bridge
}

test('[C45] [CN15] an event of Cortex reaches the bus with its own payload, and its publisher does not get it back', async () => {
  await using bus = createBus()
  const cortex = swarm(`b${++count}`, 'one')
  const seen = collect(bus, 'task.>')
  await using bridge = await joined(bus, cortex, { out: ['task.>'] })
  const stream = cortex.names.events()
  await link.command(stream, ['XADD', stream, '*', 'event_type', 'task.done', 'payload', '{"n":1}', 'source', 'pink'])
  await vi.waitFor(() => expect(seen).toHaveLength(1), soon)
  expect(seen[0]).toMatchObject({ topic: 'task.done', data: { n: 1 }, from: 'pink' })
  // What the bus itself says goes out after it, so an echo of the first would be there before.
  const { id } = await bus.publish('task.started', { n: 2 }, { from: 'red' })
  await vi.waitFor(() => expect(bridge.stats).toEqual({ in: 1, out: 1, own: 1, repeated: 0 }), soon)
  const entries = []
  for await (const entry of cortex.read({ streams: [stream] })) entries.push(entry)
  expect(entries.map(({ by, message }) => [by, message?.topic])).toEqual([
    [undefined, 'task.done'],
    ['one', 'task.started'],
  ])
  expect(entries[1]?.message?.id).toBe(id)
  expect(entries[1]?.fields).toMatchObject({ event_type: 'task.started', payload: '{"n":2}', source: 'red' })
  expect(seen).toHaveLength(2)
  expect(await pendingOf(stream, 'one')).toBe(0)
})

async function pendingOf(stream: string, group: string): Promise<number> {
  return Number(listOf(await link.command(stream, ['XPENDING', stream, group]))[0])
}

test('[CN15] three buses joined by one Cortex hear each message once, with its id, and nothing goes round', async () => {
  const prefix = `b${++count}`
  const buses = [createBus(), createBus(), createBus()]
  const seen = buses.map((bus) => collect(bus, 'task.>'))
  const bridges: CortexBridge[] = []
  for (const [at, bus] of buses.entries()) bridges.push(await joined(bus, swarm(prefix, `s${at}`), { out: ['task.>'] }))
  const ids: string[] = []
  for (let n = 0; n < 30; n++) ids.push((await buses[n % 3]?.publish('task.done', n))?.id ?? '')
  await vi.waitFor(() => expect(bridges.map(({ stats }) => stats.in + stats.own)).toEqual([30, 30, 30]), soon)
  for (const heard of seen) expect(heard.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
  const { names } = swarm(prefix, 's0')
  expect(await link.command(undefined, ['XLEN', names.events()])).toBe(30)
  for (const bridge of bridges) await bridge[Symbol.asyncDispose]()
  for (const bus of buses) await bus.close()
})

test('an entry whose id the bus has had is acknowledged, and not published again', async () => {
  await using bus = createBus()
  const prefix = `b${++count}`
  const cortex = swarm(prefix, 'one')
  const seen = collect(bus, 'task.>')
  await using bridge = await joined(bus, cortex)
  const other = cortexStreams(link, { names: { prefix }, name: 'other', duplicateWindowMs: 0 })
  const message = maker.make('task.done', 1)
  for (let at = 0; at < 5; at++) await other.write(message)
  await vi.waitFor(() => expect(bridge.stats).toEqual({ in: 1, out: 0, own: 0, repeated: 4 }), soon)
  expect(seen.map(({ id }) => id)).toEqual([message.id])
  await vi.waitFor(async () => expect(await pendingOf(cortex.names.events(), 'one')).toBe(0), soon)
})

test('[C9] [C59] with the group of its agents, the bus works beside Cortex: each task goes to one of them', async () => {
  await using bus = createBus()
  const cortex = swarm(`b${++count}`, 'one')
  const streams = Object.values(cortex.names.levels)
  const [stream] = [cortex.names.levels.normal]
  const here: unknown[] = []
  bus.subscribe('tasks.coding', (message) => void here.push((message.data as { payload: { n: number } }).payload.n), {
    group: 'coders',
  })
  const there: unknown[] = []
  await using _bridge = await joined(bus, cortex, { in: streams, group: 'agents', from: 'first' })
  await using _agent = cortex.consume({ group: 'agents', consumer: 'harold' }, (message) => {
    there.push((message.data as { payload: { n: number } }).payload.n)
  })
  for (let n = 0; n < 200; n++) {
    const fields = [
      'id',
      `t${n}`,
      'type',
      'coding',
      'payload',
      `{"n":${n}}`,
      'created',
      String(Math.floor(Date.now() / 1_000)),
    ]
    await link.command(stream, ['XADD', stream, '*', ...fields])
  }
  await vi.waitFor(() => expect(here.length + there.length).toBe(200), soon)
  expect(new Set([...here, ...there]).size).toBe(200)
  expect(() => cortexBridge(bus, cortex, { group: 'agents', out: ['tasks.>'] })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
})

test('[C11] a direct message of Cortex reaches the agent on the bus, and a message to an agent of Cortex its stream', async () => {
  await using bus = createBus()
  const cortex = swarm(`b${++count}`, 'one')
  const heard: unknown[] = []
  bus.register('pink', { handler: (message: Message) => void heard.push(message.data) })
  const own = cortex.names.messages('pink')
  await using _bridge = await joined(bus, cortex, { in: [own], out: ['agent.harold'] })
  const fields = ['id', 'm1', 'from', 'harold', 'to', 'pink', 'type', 'message', 'payload', '{"content":"hello"}']
  await link.command(own, ['XADD', own, '*', ...fields])
  await vi.waitFor(() => expect(heard).toEqual([{ payload: { content: 'hello' } }]), soon)
  await bus.publish('agent.harold', 'hello back', { from: 'pink', to: 'harold' })
  const seen: unknown[] = []
  await vi.waitFor(async () => {
    seen.length = 0
    for await (const { fields } of cortex.read({ streams: [cortex.names.messages('harold')] })) seen.push(fields)
    expect(seen).toMatchObject([{ from: 'pink', to: 'harold', type: 'message', payload: '{"content":"hello back"}' }])
  }, soon)
})

test('what a stopped bus refuses is taken in once it has started again', async () => {
  await using bus = createBus()
  const cortex = swarm(`b${++count}`, 'one')
  const seen = collect(bus, 'task.>')
  await using bridge = await joined(bus, cortex)
  await bus.stop()
  await swarm(cortex.names.prefix, 'other').write(maker.make('task.done', 1))
  await vi.waitFor(async () => expect(await pendingOf(cortex.names.events(), 'one')).toBe(1), soon)
  expect(bridge.stats.in).toBe(0)
  bus.start()
  await vi.waitFor(() => expect(seen).toHaveLength(1), soon)
})

test('a message on a kept topic goes out although Cortex was away when it was published', async () => {
  await using own = await startRedis()
  await using ownLink = await connectRedis(own.url)
  const cortex = cortexStreams(ownLink)
  await using bus = await openBus('memory:', { defaults: { retry: { attempts: 200, firstDelayMs: 50, factor: 1 } } })
  await using bridge = cortexBridge(bus, cortex, { out: ['task.>'], in: [] })
  await own.kill()
  const { id } = await bus.publish('task.done', { n: 1 })
  expect(bridge.stats.out).toBe(0)
  await own.start()
  await vi.waitFor(() => expect(bridge.stats.out).toBe(1), { timeout: 15_000, interval: 20 })
  for await (const { message } of cortex.read({ streams: [cortex.names.events()] })) expect(message?.id).toBe(id)
})
