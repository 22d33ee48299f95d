import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import type { RedisLink } from '../../broker/redis/link.ts'
import type { LinkEvent } from '../../broker/watch.ts'
import type { BusError } from '../../kit/errors.ts'
import { wireConformance } from '../conformance/suite.ts'
import type { WireSubscription } from '../wire.ts'
import { type RedisWireOptions, redisWire } from './redis.ts'

let server: Server
beforeAll(async () => {
  server = await startRedis({ appendonly: 'no' })
})
afterAll(() => server[Symbol.asyncDispose]())

let places = 0

/** Each participant with a link of its own, as if each were another process. */
wireConformance(
  async () => {
    const prefix = `place-${++places}`
    const made: AsyncDisposable[] = []
    return {
      async connect(options) {
        const link = await connectRedis(server.url)
        const wire = redisWire(link, { prefix, ...options })
        made.unshift(wire, link)
        return wire
      },
      async [Symbol.asyncDispose]() {
        for (const one of made) await one[Symbol.asyncDispose]()
      },
    }
  },
  (title, run) => {
    // The suite brings its own checks, so that it can be shipped: what it throws is the failure.
    test(title, async () => {
      await expect(run()).resolves.toBeUndefined()
    })
  },
)

const text = (frame: Uint8Array): string => Buffer.from(frame).toString()

/** What there is at the server. */
async function atServer(link: RedisLink): Promise<object> {
  const channels = (await link.command(undefined, ['PUBSUB', 'CHANNELS'])) as unknown[]
  const clients = String(await link.command(undefined, ['CLIENT', 'LIST']))
  return {
    channels: channels.length,
    globs: await link.command(undefined, ['PUBSUB', 'NUMPAT']),
    keys: await link.command(undefined, ['DBSIZE']),
    connections: clients.trim().split('\n').length,
  }
}

test('[Z95] a message published in one process reaches subscribers in another, and the answer comes back', async () => {
  const child = fork(join(import.meta.dirname, '../../../test/servers/redis-wire-child.ts'), [server.url, 'z95'], {
    execArgv: [],
  })
  const told: unknown[] = []
  child.on('message', (message) => told.push(message))
  try {
    await expect.poll(() => told, { timeout: 10_000 }).toEqual(['ready'])
    await using link = await connectRedis(server.url)
    await using wire = redisWire(link, { prefix: 'z95' })
    const answers: string[] = []
    await wire.subscribe('answers', (_topic, frame) => void answers.push(text(frame))).ready
    wire.publish('questions.a', Buffer.from('one'))
    wire.publish('questions.b.c', Buffer.from('two'))
    wire.publish('elsewhere', Buffer.from('three'))
    await expect.poll(() => answers).toEqual(['to one', 'to two'])
    expect(told.slice(1)).toEqual([
      { topic: 'questions.a', text: 'one' },
      { topic: 'questions.b.c', text: 'two' },
    ])
  } finally {
    const gone = once(child, 'exit')
    child.send('end')
    await gone
  }
  expect(child.exitCode).toBe(0)
})

test('1,000 subscriptions that come and go in a race leave channels, keys and connections of the server as before, and none that should stand is missing', async () => {
  await using link = await connectRedis(server.url)
  await using wire = redisWire(link, { prefix: 'races', echo: true })
  const before = await atServer(link)
  const heard = new Map<string, number>()
  const waits: Promise<void>[] = []
  for (let index = 0; index < 1_000; index++) {
    const pattern = index % 2 === 0 ? `t.${index % 7}` : `t.${index % 7}.*`
    const subscription = wire.subscribe(pattern, () => undefined)
    if (index % 3 === 0) await subscription.ready
    if (index % 5 === 0) await Promise.resolve()
    subscription.unsubscribe()
    if (index % 100 === 0) {
      const topic = `t.${index % 7}`
      waits.push(wire.subscribe(topic, () => void heard.set(topic, (heard.get(topic) ?? 0) + 1)).ready)
    }
  }
  await Promise.all(waits)
  const topics = [...new Set(Array.from({ length: 10 }, (_, index) => `t.${(index * 100) % 7}`))]
  for (const topic of topics) wire.publish(topic, Buffer.from('x'))
  await expect.poll(() => [...heard.values()].reduce((sum, count) => sum + count, 0)).toBe(10)
  expect(heard.size).toBe(topics.length)
  await wire[Symbol.asyncDispose]()
  await expect.poll(() => atServer(link)).toEqual(before)
})

test('subscriptions that come and go while their connection is cut again and again end as they should', async () => {
  await using link = await connectRedis(server.url)
  await using wire = redisWire(link, { prefix: 'cuts', echo: true })
  const before = await atServer(link)
  const heard = new Map<string, number>()
  const open = new Map<string, WireSubscription>()
  for (let round = 0; round < 600; round++) {
    const topic = `t.${(round * 7) % 23}`
    const pattern = round % 2 === 0 ? topic : `${topic}.*`
    const known = open.get(pattern)
    if (known === undefined) {
      open.set(
        pattern,
        wire.subscribe(pattern, () => void heard.set(pattern, (heard.get(pattern) ?? 0) + 1)),
      )
    } else {
      known.unsubscribe()
      open.delete(pattern)
    }
    if (round % 40 === 20) void link.command(undefined, ['CLIENT', 'KILL', 'TYPE', 'PUBSUB'])
    if (round % 10 === 0) await link.command(undefined, ['PING'])
  }
  await Promise.all([...open.values()].map(({ ready }) => ready))
  // The last cut may not be known here yet: the server says what stands.
  const globs = [...open.keys()].filter((pattern) => pattern.endsWith('*')).length
  await expect.poll(() => atServer(link)).toMatchObject({ globs, channels: open.size - globs })
  for (let number = 0; number < 23; number++) {
    wire.publish(`t.${number}`, Buffer.from('x'))
    wire.publish(`t.${number}.y`, Buffer.from('x'))
  }
  await expect.poll(() => [...heard.keys()].toSorted()).toEqual([...open.keys()].toSorted())
  expect([...heard.values()]).toEqual([...open.keys()].map(() => 1))
  await wire[Symbol.asyncDispose]()
  await expect.poll(() => atServer(link)).toEqual(before)
})

test('a subscription that ends and comes back at once stands', async () => {
  await using link = await connectRedis(server.url)
  await using wire = redisWire(link, { prefix: 'again', echo: true })
  const heard: number[] = []
  await wire.subscribe('t', () => void heard.push(0)).ready
  for (let round = 1; round <= 50; round++) {
    const first = wire.subscribe('u', () => undefined)
    await first.ready
    first.unsubscribe()
    const second = wire.subscribe('u', () => void heard.push(round))
    await second.ready
    wire.publish('u', Buffer.from('x'))
    await expect.poll(() => heard.at(-1), { interval: 1 }).toBe(round)
    second.unsubscribe()
  }
  expect(heard).toHaveLength(50)
})

test('what Redis takes for a glob is ordinary in topics and patterns', async () => {
  await using link = await connectRedis(server.url)
  await using wire = redisWire(link, { prefix: 'globs', echo: true })
  const odd = ['a[b]', 'q?', 'b\\s', '^x', 'x*y', 'é🐝', '{t}', '[^a]', 'a-z']
  const heard: string[] = []
  for (const token of odd) {
    await wire.subscribe(`${token}.*`, (topic) => void heard.push(`${token} by pattern: ${topic}`)).ready
    await wire.subscribe(`${token}.exact`, (topic) => void heard.push(`${token}: ${topic}`)).ready
  }
  for (const token of odd) wire.publish(`${token}.exact`, Buffer.from('x'))
  // What the globs would fit if they were not escaped.
  for (const topic of ['ab.exact', 'qq.exact', 'bs.exact', 'xzy.exact', 'b.exact'])
    wire.publish(topic, Buffer.from('x'))
  let ended = false
  await wire.subscribe('end', () => {
    ended = true
  }).ready
  wire.publish('end', Buffer.from('x'))
  await expect.poll(() => ended).toBe(true)
  const expected = odd.flatMap((token) => [`${token} by pattern: ${token}.exact`, `${token}: ${token}.exact`])
  expect(heard.toSorted()).toEqual(expected.toSorted())
})

test('`ready` of a subscription that ends before it stands rejects, and with the wire, too', async () => {
  await using link = await connectRedis(server.url)
  await using wire = redisWire(link, { prefix: 'early' })
  const one = wire.subscribe('a', () => undefined)
  one.unsubscribe()
  await expect(one.ready).rejects.toMatchObject({ code: 'SUBSCRIPTION_ENDED' })
  const two = wire.subscribe('a', () => undefined)
  await wire[Symbol.asyncDispose]()
  await expect(two.ready).rejects.toMatchObject({ code: 'SUBSCRIPTION_ENDED' })
})

test('after the server came back all subscriptions stand again, later frames arrive, and the gap is told', async () => {
  await using own = await startRedis({ appendonly: 'no' })
  await using link = await connectRedis(own.url)
  await using other = await connectRedis(own.url)
  const events: LinkEvent[] = []
  await using wire = redisWire(link, { onEvent: (event) => events.push(event) })
  await using sender = redisWire(other)
  const heard: string[] = []
  await wire.subscribe('a', (_topic, frame) => void heard.push(`a ${text(frame)}`)).ready
  await wire.subscribe('b.*', (_topic, frame) => void heard.push(`b ${text(frame)}`)).ready
  sender.publish('a', Buffer.from('1'))
  await expect.poll(() => heard).toEqual(['a 1'])
  await own.kill()
  await expect.poll(() => events[0]?.type).toBe('lost')
  expect(wire.watch?.isUp).toBe(false)
  // Its connections end one after another.
  await expect.poll(() => link.watch.isUp).toBe(false)
  const told: string[] = []
  await using between = redisWire(link, { prefix: 'between', onEvent: ({ type }) => told.push(type) })
  expect([between.watch?.isUp, told]).toEqual([false, ['lost']])
  sender.publish('a', Buffer.from('missed'))
  const late = wire.subscribe('c', (_topic, frame) => void heard.push(`c ${text(frame)}`))
  await own.start()
  await late.ready
  await expect.poll(() => events.at(-1)?.type).toBe('restored')
  await expect.poll(() => other.watch.isUp).toBe(true)
  for (const topic of ['a', 'b.x', 'c']) sender.publish(topic, Buffer.from('2'))
  await expect.poll(() => heard).toEqual(['a 1', 'a 2', 'b 2', 'c 2'])
  expect([wire.watch?.isUp, between.watch?.isUp, told.at(-1)]).toEqual([true, true, 'restored'])
  expect(events.filter(({ type }) => type === 'lost')).toHaveLength(1)
  expect(events.filter(({ type }) => type === 'restored')).toHaveLength(1)
})

test('a line that alone is cut is opened again, which is told', async () => {
  await using link = await connectRedis(server.url)
  const events: LinkEvent[] = []
  await using wire = redisWire(link, { prefix: 'cut', echo: true, onEvent: (event) => events.push(event) })
  const heard: string[] = []
  await wire.subscribe('a', (_topic, frame) => void heard.push(text(frame))).ready
  await link.command(undefined, ['CLIENT', 'KILL', 'TYPE', 'PUBSUB'])
  await expect.poll(() => events.map(({ type }) => type)).toEqual(['lost', 'restored'])
  expect(link.watch.isUp).toBe(true)
  wire.publish('a', Buffer.from('x'))
  await expect.poll(() => heard).toEqual(['x'])
})

test('bytes on a channel of the wire that are no frame are dropped and told', async () => {
  await using link = await connectRedis(server.url)
  const errors: unknown[] = []
  const onError = (error: unknown, topic: string): void => void errors.push([(error as BusError).code, topic])
  await using wire = redisWire(link, { prefix: 'alien', echo: true, onError })
  const heard: string[] = []
  await wire.subscribe('a', (_topic, frame) => void heard.push(text(frame))).ready
  await link.command(undefined, ['PUBLISH', 'alien:wire:a', 'hello'])
  wire.publish('a', Buffer.from('x'))
  await expect.poll(() => heard).toEqual(['x'])
  expect(errors).toEqual([['DECODE_FAILED', 'a']])
})

test('more frames than the limit are refused while the server does not answer', async () => {
  await using own = await startRedis({ appendonly: 'no' })
  await using link = await connectRedis(own.url, { commandTimeoutMs: 400 })
  await using wire = redisWire(link, { limit: 3 })
  own.pause()
  for (let index = 0; index < 3; index++) wire.publish('t', Buffer.from('x'))
  expect(() => wire.publish('t', Buffer.from('x'))).toThrow(
    expect.objectContaining({ code: 'QUEUE_FULL', details: { topic: 't', limit: 3 } }),
  )
  own.resume()
  await expect.poll(() => attempt(() => wire.publish('t', Buffer.from('x')))).toBe(true)
})

function attempt(run: () => void): boolean {
  try {
    run()
    return true
  } catch {
    return false
  }
}

test('what the rights of the user do not allow rejects `ready`, and is told of what is published', async () => {
  await using admin = await connectRedis(server.url)
  await admin.command(undefined, ['ACL', 'SETUSER', 'guest', 'on', '>word', '~*', '+@all', 'resetchannels'])
  await using link = await connectRedis(server.url.replace('redis://', 'redis://guest:word@'))
  const errors: unknown[] = []
  await using wire = redisWire(link, { onError: (error) => void errors.push((error as BusError).code) })
  await expect(wire.subscribe('a', () => undefined).ready).rejects.toMatchObject({ code: 'BROKER_REFUSED' })
  wire.publish('a', Buffer.from('x'))
  await expect.poll(() => errors).toEqual(['BROKER_REFUSED'])
})

test.each([[{ limit: 0 }], [{ prefix: 'a.b' }], [{ onEvent: 5 }], [{ other: 1 }]])(
  'the options %j are refused',
  async (options) => {
    await using link = await connectRedis(server.url)
    expect(() => redisWire(link, options as RedisWireOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
  },
)

test('a frame that is no bytes, and a handler that is no function, are refused', async () => {
  await using link = await connectRedis(server.url)
  await using wire = redisWire(link)
  expect(() => wire.publish('t', 'text' as unknown as Uint8Array)).toThrow(
    expect.objectContaining({ code: 'INVALID_PAYLOAD' }),
  )
  expect(() => wire.subscribe('t', undefined as unknown as () => void)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
})
