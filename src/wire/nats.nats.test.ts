import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNats } from '../../test/servers/nats.ts'
import { startProxy } from '../../test/servers/proxy.ts'
import { freePort, type Server } from '../../test/servers/server.ts'
import { connectNats } from '../broker/nats/connect.ts'
import type { LinkEvent } from '../broker/watch.ts'
import { wireConformance } from './conformance/suite.ts'
import { type NatsWireOptions, natsWire } from './nats.ts'
import type { Wire } from './wire.ts'

let server: Server
let monitor: number
let places = 0
beforeAll(async () => {
  monitor = await freePort()
  server = await startNats(`http: 127.0.0.1:${monitor}`)
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

wireConformance(
  async () => {
    const prefix = `place-${++places}`
    const made: AsyncDisposable[] = []
    return {
      async connect(options) {
        const link = await connectNats(server.url)
        const wire = natsWire(link, { ...options, prefix })
        made.push(wire, link)
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

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (of: string): Uint8Array => new TextEncoder().encode(of)

/** A wire with a link of its own, both ended together. */
async function wireAt(url: string, options: NatsWireOptions = {}) {
  const link = await connectNats(url, { retryMs: 20, longestRetryMs: 100 })
  const wire: Wire = natsWire(link, { prefix: `t-${places}`, ...options })
  return {
    link,
    wire,
    async [Symbol.asyncDispose]() {
      await wire[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
    },
  }
}

/** What a subscription gets. */
async function listen(wire: Wire, pattern: string): Promise<string[]> {
  const got: string[] = []
  await wire.subscribe(pattern, (_topic, frame) => got.push(text(frame))).ready
  return got
}

test('two wires of one link hear each other, each not itself; other prefixes hear nothing', async () => {
  await using link = await connectNats(server.url)
  const [one, two, other] = ['same', 'same', 'other'].map((prefix) => natsWire(link, { prefix })) as [Wire, Wire, Wire]
  const got = await Promise.all([one, two, other].map((wire) => listen(wire, '>')))
  one.publish('t', bytes('from one'))
  two.publish('t', bytes('from two'))
  await expect.poll(() => got).toEqual([['from two'], ['from one'], []])
})

test('topics of any characters arrive as they were', async () => {
  places++
  await using one = await wireAt(server.url)
  await using two = await wireAt(server.url)
  const topics: string[] = []
  await two.wire.subscribe('>', (topic) => void topics.push(topic)).ready
  const odd = ['é.e\u0301.🐝', 'a*.>b.%002a', '\ud800', '$JS.API.>x', 'quote\'"\\', '_INBOX.x']
  for (const topic of odd) one.wire.publish(topic, bytes(''))
  await expect.poll(() => topics).toEqual(odd)
})

test('bytes of strangers are reported, not handed out', async () => {
  places++
  const errors: unknown[] = []
  await using one = await wireAt(server.url, { onError: (error, topic) => void errors.push([error, topic]) })
  const got = await listen(one.wire, 'a.*')
  one.link.connection.publish(`t-${places}.w.a.b`, 'short')
  one.link.connection.publish(`t-${places}.w.a.b`, 'long enough, but no frame')
  await expect.poll(() => errors.length).toBe(2)
  expect(errors[0]).toMatchObject([{ code: 'DECODE_FAILED' }, 'a.b'])
  expect(got).toEqual([])
})

test('frames larger than the server takes are refused, and cost nothing', async () => {
  places++
  await using one = await wireAt(server.url)
  await using two = await wireAt(server.url)
  const got = await listen(two.wire, 't')
  expect(() => one.wire.publish('t', new Uint8Array(1_048_576))).toThrow(
    expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }),
  )
  one.wire.publish('t', bytes('small'))
  await expect.poll(() => got).toEqual(['small'])
})

test('a frame that is published right before disposal arrives', async () => {
  places++
  await using two = await wireAt(server.url)
  const got = await listen(two.wire, 't')
  {
    await using one = await wireAt(server.url)
    one.wire.publish('t', bytes('goodbye'))
  }
  await expect.poll(() => got).toEqual(['goodbye'])
})

test('[I9] on a link where nothing passes frames wait up to the limit, then are refused; later all go on', async () => {
  places++
  await using proxy = await startProxy(server.port)
  await using one = await wireAt(proxy.url('nats'), { limit: 100 })
  await using two = await wireAt(server.url)
  const got = await listen(two.wire, 't')
  proxy.stall()
  for (let count = 0; count < 100; count++) one.wire.publish('t', bytes(String(count)))
  expect(() => one.wire.publish('t', bytes('one too many'))).toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }))
  proxy.resume()
  await expect.poll(() => got.length).toBe(100)
  expect(got).toEqual(Array.from({ length: 100 }, (_, index) => String(index)))
  await expect.poll(() => attempt(() => one.wire.publish('t', bytes('again')))).toBe(true)
})

test('[I9] large frames are bounded by their bytes', async () => {
  places++
  await using proxy = await startProxy(server.port)
  await using one = await wireAt(proxy.url('nats'))
  proxy.stall()
  const large = new Uint8Array(1_000_000)
  let taken = 0
  while (taken < 200 && attempt(() => one.wire.publish('t', large))) taken++
  expect(taken).toBe(67)
  proxy.reset()
})

function attempt(run: () => void): boolean {
  try {
    run()
    return true
  } catch {
    return false
  }
}

test('after kill -9 of the server and its return all subscriptions stand, and what was published meanwhile goes out in order', async () => {
  places++
  await using own = await startNats()
  const events: LinkEvent[] = []
  await using one = await wireAt(own.url, { onEvent: (event) => void events.push(event) })
  await using two = await wireAt(own.url)
  const got = await Promise.all(['a', 'a', 'b.*', '>'].map((pattern) => listen(two.wire, pattern)))
  await own.kill()
  await expect.poll(() => [one.link.watch.isUp, two.link.watch.isUp]).toEqual([false, false])
  const late = two.wire.subscribe('late', (_, frame) => void got[0]?.push(text(frame)))
  let isReady = false
  void late.ready.then(() => {
    isReady = true
  })
  expect(isReady).toBe(false)
  await own.start()
  await late.ready
  await expect.poll(() => one.link.watch.isUp).toBe(true)
  one.wire.publish('a', bytes('1'))
  one.wire.publish('b.c', bytes('2'))
  one.wire.publish('late', bytes('3'))
  await expect.poll(() => got).toEqual([['1', '3'], ['1'], ['2'], ['1', '2', '3']])
  expect(events.map(({ type }) => type).filter((type) => type !== 'retry')).toEqual(['lost', 'restored'])
})

test('what is published while the connection is lost goes out in order when it is back, before what is newer', async () => {
  places++
  await using proxy = await startProxy(server.port)
  await using one = await wireAt(proxy.url('nats'))
  await using two = await wireAt(server.url)
  const got = await listen(two.wire, 't')
  proxy.refuse()
  proxy.reset()
  await expect.poll(() => one.link.watch.isUp).toBe(false)
  for (let count = 0; count < 10; count++) one.wire.publish('t', bytes(String(count)))
  one.link.watch.on(() => one.wire.publish('t', bytes('newer')))
  proxy.accept()
  await expect.poll(() => got.at(-1)).toBe('newer')
  expect(got.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, index) => String(index)))
})

test('where the right is missing, `ready` says so; other subscriptions go on', async () => {
  await using own = await startNats(`authorization { users: [
    { user: bee, password: p, permissions: { subscribe: { deny: "r.w.secret" } } }
  ] }`)
  await using one = await wireAt(own.url.replace('//', '//bee:p@'), { prefix: 'r', echo: true })
  const got = await listen(one.wire, 'open')
  await expect(one.wire.subscribe('secret', () => undefined).ready).rejects.toMatchObject({ code: 'BROKER_REFUSED' })
  one.wire.publish('open', bytes('x'))
  await expect.poll(() => got).toEqual(['x'])
})

test('`ready` rejects when the subscription, or the wire, ends before', async () => {
  places++
  await using proxy = await startProxy(server.port)
  const one = await wireAt(proxy.url('nats'))
  proxy.stall()
  const ended = one.wire.subscribe('t', () => undefined)
  const closed = one.wire.subscribe('t', () => undefined)
  ended.unsubscribe()
  await expect(ended.ready).rejects.toMatchObject({ code: 'SUBSCRIPTION_ENDED' })
  const disposed = one[Symbol.asyncDispose]()
  await expect(closed.ready).rejects.toMatchObject({ code: 'SUBSCRIPTION_ENDED' })
  await disposed
})

test('1,000 subscribe and unsubscribe races leave nothing at the server, and later subscriptions work', async () => {
  places++
  const at = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${monitor}/subsz`)
    return ((await answer.json()) as { num_subscriptions: number }).num_subscriptions
  }
  await using one = await wireAt(server.url)
  await using two = await wireAt(server.url)
  await one.link.connection.flush()
  const before = await at()
  let ready = 0
  for (let round = 0; round < 1_000; round++) {
    const subscription = one.wire.subscribe(`race.${round % 7}.*`, () => undefined)
    if (round % 3 === 0) await subscription.ready.then(() => void ready++)
    two.wire.publish(`race.${round % 7}.x`, bytes('x'))
    if (round % 2 === 0) one.wire.subscribe(`race.${round % 7}.*`, () => undefined).unsubscribe()
    expect(subscription.unsubscribe()).toBe(true)
  }
  await one.link.connection.flush()
  expect([ready, await at()]).toEqual([334, before])
  const got = await listen(one.wire, 'race.1.*')
  two.wire.publish('race.1.x', bytes('last'))
  await expect.poll(() => got).toEqual(['last'])
})

test.each<[string, object]>([
  ['prefix', { prefix: 'a.b' }],
  ['limit', { limit: 0 }],
  ['onEvent', { onEvent: 5 }],
  ['there is no option', { other: 1 }],
])('wrong options are refused: %s', async (name, options) => {
  await using link = await connectNats(server.url)
  expect(() => natsWire(link, options)).toThrow(name)
})
