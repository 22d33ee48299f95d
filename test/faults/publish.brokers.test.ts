import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Bus, type OpenOptions, openBus } from '../../src/index.ts'
import { MACHINE_MS } from '../machine.ts'
import { startProxy, type Proxy as TcpProxy } from '../servers/proxy.ts'
import type { Server } from '../servers/server.ts'
import { faultOf, heard, KINDS, open, placeOn, timed } from './support.ts'

/** A deadline may be passed by so much (I11), and by what this machine needs to get round to it. */
const GRACE_MS = 250 + MACHINE_MS

describe.each(KINDS)('$name', ({ name, start }) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  /** A bus behind a proxy of its own, and the url of the same place without one. */
  async function behind(options: OpenOptions = {}): Promise<{ bus: Bus; proxy: TcpProxy; url: string }> {
    const proxy = await startProxy(server.port)
    const url = placeOn(server.url)
    const bus = await openBus(url.replace(String(server.port), String(proxy.port)), options)
    onTestFinished(async () => {
      proxy.resume()
      await bus.close({ limitMs: 0 })
      await proxy[Symbol.asyncDispose]()
    })
    return { bus, proxy, url }
  }

  test('[I1] [I5] [I3] a connection that is reset after the broker stored the message: unknown, and the same id again is stored once', async () => {
    const { bus, proxy, url } = await behind()
    await bus.publish('work.x', 'first')
    const id = randomUUID()
    const reset = proxy.resetAfter(
      (bytes) => bytes.includes(id),
      name === 'redis' ? undefined : (bytes) => bytes.includes('"seq"'),
    )
    const fault = await faultOf(bus.publish('work.x', 'second', { id }))
    await reset
    expect(fault).toMatchObject({ code: 'PUBLISH_UNKNOWN', details: { id } })
    const again = await bus.publish('work.x', 'second', { id })
    expect(again).toMatchObject({ id, duplicate: true })
    await bus.publish('work.x', 'third')
    const other = await open(url)
    expect(await Array.fromAsync(other.replay('work.x'), ({ data }) => data)).toEqual(['first', 'second', 'third'])
  })

  test('[I11] a link that is half open: publish and request settle by their deadline, and nothing that was refused is stored', async () => {
    const events = heard('half', 'log.disconnected', 'log.reconnected')
    const { bus, proxy, url } = await behind({ name: 'half', publishTimeoutMs: 1_000, requestTimeoutMs: 1_000 })
    const other = await open(url)
    other.subscribe('ask', ({ data }) => `answer ${data}`)
    await expect.poll(async () => (await bus.request('ask', 1).catch(() => undefined))?.data).toBe('answer 1')
    await bus.publish('work.x', 'before')
    const ids = [randomUUID(), randomUUID()] as const
    proxy.stall()
    const [publish, request] = await Promise.all([
      timed(bus.publish('work.x', 'half', { id: ids[0] })),
      timed(bus.request('ask', 2)),
    ])
    expect(publish.code).toBe('PUBLISH_UNKNOWN')
    expect(publish.ms).toBeLessThan(1_000 + GRACE_MS)
    expect(['REQUEST_TIMEOUT', 'BROKER_TIMEOUT', 'PROCESS_LOST']).toContain(request.code)
    expect(request.ms).toBeLessThan(1_000 + GRACE_MS)
    await expect.poll(() => events.map(({ event }) => event), { timeout: 10_000 }).toEqual(['log.disconnected'])
    proxy.resume()
    await expect.poll(() => events.length, { timeout: 10_000 }).toBe(2)
    await bus.publish('work.x', 'half', { id: ids[0] })
    await bus.publish('work.x', 'after', { id: ids[1] })
    expect(await Array.fromAsync(other.replay('work.x'), ({ data }) => data)).toEqual(['before', 'half', 'after'])
    await expect
      .poll(async () => (await bus.request('ask', 3).catch(() => undefined))?.data, { timeout: 10_000 })
      .toBe('answer 3')
  })

  test.each(['drain', 'close'] as const)(
    '[I11] %s of a bus whose link is half open ends by its limit, and what it had in hand goes to others',
    async (verb) => {
      const { bus, proxy, url } = await behind()
      const begun = Promise.withResolvers<void>()
      bus.subscribe(
        'work.x',
        (_message, { signal }) => {
          begun.resolve()
          return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
        },
        { group: 'g' },
      )
      await bus.publish('work.x', 1, { session: 's' })
      await begun.promise
      proxy.stall()
      const { code, ms } = await timed(bus[verb]({ limitMs: 500 }))
      expect(code).toBe('ok')
      expect(ms).toBeLessThan(500 + GRACE_MS)
      const got: unknown[] = []
      const other = await open(url)
      other.subscribe('work.x', ({ data }) => void got.push(data), { group: 'g' })
      // The broker hears of the dead process when its sign of life is missing.
      proxy.reset()
      if (verb === 'drain') await bus.close({ limitMs: 0 })
      await expect.poll(() => got, { timeout: 10_000 }).toEqual([1])
    },
  )

  test('[I6] [I13] at 300 ms latency, each way, publishes, groups, readers and requests work, in order', async () => {
    const { bus, proxy, url } = await behind({ requestTimeoutMs: 10_000 })
    const other = await open(url)
    other.subscribe('ask', ({ data }) => `answer ${data}`)
    const handled: unknown[] = []
    const read: unknown[] = []
    bus.subscribe('work.x', ({ data }) => void handled.push(data), { group: 'g' })
    bus.subscribe('work.x', ({ data }) => void read.push(data), { from: 'first' })
    await expect.poll(async () => (await bus.request('ask', 1).catch(() => undefined))?.data).toBe('answer 1')
    proxy.delay(300)
    const numbers = Array.from({ length: 100 }, (_, number) => number)
    const acks = await Promise.all(numbers.map((number) => bus.publish('work.x', number, { session: 's' })))
    expect(acks.every(({ duplicate }) => !duplicate)).toBe(true)
    await expect.poll(() => handled.length, { timeout: 10_000 }).toBe(100)
    expect(handled).toEqual(numbers)
    await expect.poll(() => read.length, { timeout: 10_000 }).toBe(100)
    expect(read).toEqual(numbers)
    expect((await bus.request('ask', 2)).data).toBe('answer 2')
    expect(bus.health().status).toBe('healthy')
  })

  test('[C25] connections that are reset again and again: a group handles everything, no session out of order, and none is left behind', async () => {
    const { bus, proxy, url } = await behind()
    const out = await open(url)
    const handled: number[] = []
    bus.subscribe('work.x', ({ data }) => void handled.push(data as number), { group: 'g' })
    await expect.poll(() => proxy.connections).toBeGreaterThan(0)
    const before = proxy.connections
    for (let round = 0; round < 10; round++) {
      for (let count = 0; count < 20; count++) await out.publish('work.x', round * 20 + count, { session: 's' })
      proxy.reset()
      await expect.poll(() => handled.includes(round * 20), { timeout: 10_000 }).toBe(true)
    }
    await expect.poll(() => new Set(handled).size, { timeout: 10_000 }).toBe(200)
    const first = handled.filter((data, at) => handled.indexOf(data) === at)
    expect(first).toEqual(first.toSorted((a, b) => a - b))
    await expect.poll(() => proxy.connections).toBeLessThanOrEqual(before + 1)
  })
})
