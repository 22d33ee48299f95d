import { expect, test } from 'vitest'
import { type Agent, type Bus, createBus, type Stall } from '../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../src/testing/index.ts'
import { watched } from './support/zejzl.ts'

const never = (): Promise<void> => new Promise(() => undefined)
const LONG = { handlerTimeoutMs: 3_600_000 }
const HOUR = { timeoutMs: 3_600_000 }

interface Watching {
  readonly env: FakeEnv
  readonly bus: Bus
  readonly stalls: Stall[]
}

function watching(limits: { limitMs?: number; checkMs?: number } = {}): Watching {
  const env = fakeEnv()
  const bus = createBus({ env })
  const stalls: Stall[] = []
  bus.watch({ ...limits, onStall: (stall) => void stalls.push(stall) })
  return { env, bus, stalls }
}

const names = (stalls: readonly Stall[]): string[] => stalls.map((stall) => stall.name)

test('[Z86] an agent with work and no progress is named after 30 s, at one of the checks every 5 s', async () => {
  const { env, bus, stalls } = watching()
  bus.register('idle')
  bus.register('quick', { handler: () => undefined })
  await env.advance(60_000)
  expect(stalls).toEqual([])
  bus.register('stuck', { handler: never, ...LONG })
  await bus.send('stuck', 1)
  await bus.send('stuck', 2)
  await bus.send('quick', 1)
  await env.advance(29_999)
  expect(stalls).toEqual([])
  await env.advance(1)
  expect(stalls).toMatchObject([{ name: 'stuck', waiting: 1, running: 1, ring: undefined }])
  expect(stalls[0]?.quietMs).toBeGreaterThanOrEqual(30_000)
  expect(stalls[0]?.quietMs).toBeLessThan(35_000)
})

test('[Z86] an inbox that nobody reads is a stall, a slow but steady agent is none', async () => {
  const { env, bus, stalls } = watching()
  const steady = async (): Promise<void> => {
    await new Promise<void>((resolve) => void env.after(20_000, resolve))
  }
  bus.register('steady', { handler: steady, ...LONG })
  for (let n = 0; n < 10; n++) await bus.send('steady', n)
  await env.advance(100_000)
  expect(stalls).toEqual([])
  bus.register('unread')
  await bus.send('unread', 1)
  await env.advance(35_000)
  expect(names(stalls)).toEqual(['unread'])
})

test('[Z86] the detector keeps running after an alarm, also when its callback throws, and tells each stall once', async () => {
  const env = fakeEnv()
  const bus = createBus({ env })
  const told: string[] = []
  const stop = bus.watch({
    onStall({ name }) {
      told.push(name)
      throw new Error('of the callback')
    },
  })
  const first = bus.register('first')
  await bus.send('first', 1)
  await env.advance(120_000)
  expect(told).toEqual(['first'])
  bus.register('second')
  await bus.send('second', 1)
  await env.advance(40_000)
  expect(told).toEqual(['first', 'second'])
  await first.receive()
  await bus.send('first', 2)
  await env.advance(40_000)
  expect(told).toEqual(['first', 'second', 'first'])
  expect(bus.stats().callbackFaults).toBe(3)
  stop()
  bus.register('third')
  await bus.send('third', 1)
  await env.advance(120_000)
  expect([told.length, env.timers]).toEqual([3, 0])
})

test('[Z86] limit and time between checks are options', async () => {
  const { env, bus, stalls } = watching({ limitMs: 1_000, checkMs: 100 })
  bus.register('stuck')
  await bus.send('stuck', 1)
  await env.advance(999)
  expect(stalls).toEqual([])
  await env.advance(101)
  expect(names(stalls)).toEqual(['stuck'])
})

/** Registers agents whose handlers each ask the next one under the agent's own name. */
function ringOfHandlers(bus: Bus, ring: readonly string[]): void {
  for (const [index, name] of ring.entries()) {
    const next = ring[(index + 1) % ring.length] ?? ''
    const self: Agent = bus.register(name, { handler: () => self.request(`agent.${next}`, 'q', HOUR), ...LONG })
  }
}

test.each([[['a', 'b']], [['a', 'b', 'c']]])('[Z86] handlers in a ring of requests are seen: %j', async (ring) => {
  const { env, bus, stalls } = watching()
  ringOfHandlers(bus, ring)
  const asked = watched(bus.request('agent.a', 'q', HOUR))
  await env.advance(10_000)
  expect(asked.state).toBe('pending')
  expect(stalls.find((stall) => stall.name === 'a')?.ring).toEqual([...ring, 'a'])
})

test('[Z86] agents that read their inbox themselves and wait for each other’s answers are seen as a ring', async () => {
  const { env, bus, stalls } = watching()
  const [a, b, c] = [bus.register('a'), bus.register('b'), bus.register('c')]
  const asked = [a.request('agent.b', 'q', HOUR), b.request('agent.a', 'q', HOUR), c.request('agent.a', 'q', HOUR)].map(
    watched,
  )
  await env.advance(10_000)
  expect(asked.map((one) => one.state)).toEqual(['pending', 'pending', 'pending'])
  expect(stalls.find((stall) => stall.name === 'a')?.ring).toEqual(['a', 'b', 'a'])
})

test('[Z86] requests that wait without a cycle are no ring', async () => {
  const { env, bus, stalls } = watching()
  bus.register('c')
  const b: Agent = bus.register('b', { handler: () => b.request('agent.c', 'q', HOUR), ...LONG })
  const a: Agent = bus.register('a', { handler: () => a.request('agent.b', 'q', HOUR), ...LONG })
  const asked = watched(bus.request('agent.a', 'q', HOUR))
  await env.advance(29_000)
  expect([asked.state, stalls]).toEqual(['pending', []])
  await env.advance(6_000)
  expect(stalls.map((stall) => stall.ring)).toEqual([undefined, undefined, undefined])
})
