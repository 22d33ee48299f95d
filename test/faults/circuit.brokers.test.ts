import { expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { type CircuitChange, circuitBreaker } from '../../src/reliability/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { startNats } from '../servers/nats.ts'
import { startRedis } from '../servers/redis.ts'

const AWAY = { offline: { forMs: 0 } } as const

test.each([
  ['redis', () => startRedis()],
  ['nats', () => startNats()],
] as const)(
  '[C27] after five failures of a store on %s nothing is asked of it for 30 s, then one probe; a fallback serves meanwhile',
  async (_name, start) => {
    await using server = await start()
    await using bus = await openBus(server.url, AWAY)
    const env = fakeEnv()
    const changes: CircuitChange['to'][] = []
    const circuit = circuitBreaker({ failures: 5, restMs: 30_000, env, onChange: ({ to }) => void changes.push(to) })
    let asked = 0
    const aside: number[] = []
    const store = (n: number): Promise<unknown> =>
      circuit
        .call(() => {
          asked++
          return bus.publish('notes.a', n)
        })
        // The fallback: kept aside in this process until the store is back.
        .catch(() => void aside.push(n))

    await store(0)
    expect([asked, circuit.state]).toEqual([1, 'closed'])
    await server.kill()
    await expect.poll(() => bus.health().status).toBe('degraded')
    for (let n = 1; n <= 5; n++) await store(n)
    expect([asked, circuit.state]).toEqual([6, 'open'])
    for (let n = 6; n <= 40; n++) await store(n)
    expect(asked).toBe(6)
    await server.start()
    await expect.poll(() => bus.health().status, { timeout: 10_000 }).toBe('healthy')
    await env.advance(29_000)
    await store(41)
    expect([asked, circuit.state]).toEqual([6, 'open'])
    await env.advance(1_500)
    await Promise.all([store(42), store(43)])
    // One probe alone; whoever comes beside it goes to the fallback.
    expect([asked, circuit.state]).toEqual([7, 'closed'])
    expect(changes).toEqual(['open', 'half-open', 'closed'])
    for (const n of aside.splice(0)) await store(n)
    expect(aside).toEqual([])
    const [channel] = await bus.channels()
    expect(channel?.messages).toBe(44)
  },
)
