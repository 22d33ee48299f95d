import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BackendChoice, openBus } from '../../src/index.ts'
import { startNats } from '../servers/nats.ts'
import { startProxy } from '../servers/proxy.ts'
import { startRedis } from '../servers/redis.ts'
import { freePort, type Server } from '../servers/server.ts'
import { faultOf, heard, KINDS, open, placeOn } from './support.ts'

const SECRET = 'hunter2-of-the-swarm'

describe.each(KINDS)('$name', ({ name, start, level }) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test('[C26] [W20] a server that takes connections and says nothing fails the start within 5 s, and leaves no connection behind', async () => {
    await using proxy = await startProxy(server.port)
    // The client is loaded with the first bus; that is no part of the limit.
    await (await openBus(placeOn(server.url))).close()
    proxy.stall()
    const fromMs = performance.now()
    const fault = await faultOf(openBus(`${proxy.url(name)}?prefix=silent`))
    expect(fault.code).toBe('BROKER_UNREACHABLE')
    expect(fault.message).toContain(String(proxy.port))
    expect(performance.now() - fromMs).toBeLessThan(5_000 + 1_000)
    proxy.resume()
    await expect.poll(() => proxy.connections).toBe(0)
  })

  test('[C26] a refused connection fails the start at once, and closing twice is fine', async () => {
    const fromMs = performance.now()
    const fault = await faultOf(openBus(`${name}://127.0.0.1:${await freePort()}`))
    expect(fault.code).toBe('BROKER_UNREACHABLE')
    expect(performance.now() - fromMs).toBeLessThan(2_000)
    const bus = await openBus(placeOn(server.url))
    await bus.publish('a.b', 1)
    const [once, twice] = await Promise.all([bus.close(), bus.close()])
    expect(twice).toEqual(once)
    expect(await bus.close()).toEqual(once)
  })

  test('[C26] a password that is wrong is refused as such, and stands in no text', async () => {
    const guarded =
      name === 'redis' ? startRedis({ requirepass: SECRET }) : startNats(`authorization { token: "${SECRET}" }`)
    await using locked = await guarded
    const right = locked.url.replace('://', name === 'redis' ? `://:${SECRET}@` : `://${SECRET}@`)
    const bus = await open(`${right}?prefix=locked`)
    expect((await bus.publish('a.b', 1)).level).toBe(level)
    expect(JSON.stringify([bus.health(), bus.stats(), bus.snapshot()])).not.toContain(SECRET)

    const wrong = `wrong-${SECRET}`
    const told: BackendChoice[] = []
    const url = right.replace(SECRET, wrong)
    const fault = await faultOf(openBus(url, { fallback: 'memory:', onChosen: (one) => void told.push(one) }))
    expect(fault.code).toBe('BROKER_REFUSED')
    const all: unknown[] = [fault.stack, JSON.stringify(fault), JSON.stringify(told)]
    for (let cause: unknown = fault.cause; cause instanceof Error; cause = cause.cause) {
      all.push(cause.stack, JSON.stringify(cause, Object.getOwnPropertyNames(cause)))
    }
    expect(all.join('\n')).not.toContain(SECRET)
    expect(told).toHaveLength(1)
  })

  test('[C32] without any broker only a configured fallback runs, health names what it is, and nothing of it needs an operator', async () => {
    const told: BackendChoice[] = []
    const url = `${name}://127.0.0.1:${await freePort()}`
    const bus = await open(url, { fallback: 'memory:', onChosen: (one) => void told.push(one) })
    expect(bus.health()).toMatchObject({
      status: 'healthy',
      backend: { name: 'memory', level: 'memory', state: 'good' },
    })
    expect(told.map((one) => one.url)).toEqual([url, 'memory:'])
    const got: unknown[] = []
    bus.subscribe('a.b', ({ data }) => void got.push(data), { group: 'g' })
    await bus.publish('a.b', 1, { until: 'handled' })
    expect(got).toEqual([1])
  })

  test('[C32] a bus whose broker goes away says so in health, delivers live topics of its own process, and recovers by itself', async () => {
    const events = heard('alone', 'log.disconnected')
    const bus = await open(placeOn(server.url), {
      name: 'alone',
      offline: { forMs: 0 },
      channels: { live: { kept: false } },
    })
    const got: unknown[] = []
    bus.subscribe('live.x', ({ data }) => void got.push(data))
    bus.subscribe('kept.x', ({ data }) => void got.push(data), { group: 'g' })
    await bus.publish('kept.x', 'before', { until: 'handled' })
    const acked = async (): Promise<unknown> => (await bus.channels()).find((one) => one.name === 'kept')?.ledger.acked
    await expect.poll(acked).toBe(1)
    await server.kill()
    await expect.poll(() => events.length).toBe(1)
    expect(bus.health()).toMatchObject({ backend: { state: 'failing', level } })
    expect(bus.health().status).not.toBe('healthy')
    expect((await faultOf(bus.publish('kept.x', 'refused'))).code).toBe('STORE_FAILED')
    await bus.publish('live.x', 'local', { until: 'handled' })
    expect(got).toEqual(['before', 'local'])
    await server.start()
    await expect.poll(() => bus.health().reasons, { timeout: 10_000 }).toEqual([])
    await bus.publish('kept.x', 'after', { until: 'handled' })
    expect(got).toEqual(['before', 'local', 'after'])
  })

  test('[WN5] a channel that asks for more than the server proves is refused at the start', async () => {
    const asked = level === 'disk' ? 'replicated' : 'disk'
    const fault = await faultOf(openBus(placeOn(server.url), { channels: { x: { level: asked } } }))
    expect(fault).toMatchObject({
      code: 'UNSUPPORTED',
      details: { channel: 'x', field: 'level', value: asked, allowed: level },
    })
    const bus = await open(placeOn(server.url), { channels: { x: { level } } })
    expect((await bus.publish('x.y', 1)).level).toBe(level)
  })
})
