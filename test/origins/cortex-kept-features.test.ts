import { describe, expect, test } from 'vitest'
import { createBus } from '../../src/index.ts'
import { circuitBreaker } from '../../src/reliability/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { cortexKeptFeaturesCases } from './cases/cortex-kept-features.ts'
import { BACKENDS, close, ledgerOf, ledgerUntil, until } from './support/cortex-kept.ts'
import { numbers } from './support/cortex-veritas.ts'

cortexKeptFeaturesCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[CN18] retry: a message that fails twice is handled at the third attempt, and not before its time', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, defaults: { retry: { delaysMs: [1_000, 1_000], jitter: 'none' } } })
    const attempts: number[] = []
    bus.subscribe(
      'tasks.*',
      (_message, { attempt }) => {
        attempts.push(attempt)
        if (attempt < 3) throw new Error('down')
      },
      { group: 'workers' },
    )
    await bus.publish('tasks.a', 1)
    for (const tries of [1, 2]) {
      await until(() => attempts.length === tries)
      await ledgerUntil(bus, ({ delayed }) => delayed === 1)
      await env.advance(999)
      expect(attempts.length).toBe(tries)
      await env.advance(1)
    }
    await ledgerUntil(bus, ({ acked }) => acked === 1)
    expect(attempts).toEqual([1, 2, 3])
    expect(await bus.deadLetters.count()).toBe(0)
    await close(bus)
  })

  test('[CN18] ttl: of two messages that wait, only the one whose time is not over is handled', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env })
    await bus.publish('tasks.a', 'short', { ttlMs: 1_000 })
    await bus.publish('tasks.a', 'long', { ttlMs: 1_000_000 })
    await env.advance(1_001)
    const handled: unknown[] = []
    bus.subscribe('tasks.*', ({ data }) => void handled.push(data), { group: 'workers' })
    await ledgerUntil(bus, ({ acked, expired }) => acked === 1 && expired === 1)
    expect(handled).toEqual(['long'])
    await close(bus)
  })

  test('[CN18] push: a waiting group starts with a message although no clock moves, so nothing polls', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env })
    const handled: unknown[] = []
    bus.subscribe('tasks.*', ({ data }) => void handled.push(data), { group: 'workers' })
    for (const number of numbers(50)) {
      await bus.publish('tasks.a', number)
      await until(() => handled.length === number + 1)
    }
    expect(env.monotonicMs()).toBe(0)
    await close(bus)
  })

  test('[CN18] breaker: after 5 failures no further call for 30 s, then one probe; the kept messages wait and none is lost', async () => {
    await using store = make()
    const env = fakeEnv()
    const circuit = circuitBreaker({ failures: 5, restMs: 30_000, env })
    const bus = await store.open({
      env,
      defaults: { retry: { attempts: 10, firstDelayMs: 100, factor: 1, jitter: 'none' } },
    })
    let broken = true
    let calls = 0
    bus.subscribe(
      'tasks.*',
      () => {
        calls++
        if (broken) throw new Error('store is down')
      },
      { group: 'workers', concurrency: 1, middleware: [circuit.middleware] },
    )
    await Promise.all(numbers(20).map((number) => bus.publish('tasks.a', number)))
    await ledgerUntil(bus, ({ delayed }) => delayed === 20)
    expect([calls, circuit.state]).toEqual([5, 'open'])
    for (let passed = 0; passed < 29_000; passed += 1_000) await env.advance(1_000)
    expect([calls, circuit.state]).toEqual([5, 'open'])
    broken = false
    for (let passed = 0; passed < 60_000 && calls < 25; passed += 500) {
      await env.advance(500)
      await new Promise<void>((resolve) => void setTimeout(resolve, 2))
    }
    await ledgerUntil(bus, ({ acked }) => acked === 20)
    expect([calls, circuit.state]).toEqual([25, 'closed'])
    expect(await ledgerOf(bus)).toMatchObject({ acked: 20, dead: 0, balance: 0 })
    await close(bus)
  })
})

test('[CN18] fallback: when a called service fails, the next one answers, and only then', async () => {
  await using bus = createBus()
  const asked: string[] = []
  let broken = false
  const circuit = circuitBreaker({ failures: 2, restMs: 30_000 })
  bus.subscribe('llm.first', () => {
    asked.push('first')
    if (broken) throw new Error('down')
    return 'first'
  })
  bus.subscribe('llm.second', () => {
    asked.push('second')
    return 'second'
  })
  bus.subscribe('llm', async (message, context) => {
    try {
      return (await circuit.call(() => context.bus.request('llm.first', message.data))).data
    } catch {
      return (await context.bus.request('llm.second', message.data)).data
    }
  })
  const ask = async (): Promise<unknown> => (await bus.request('llm', 'hello')).data
  expect([await ask(), asked]).toEqual(['first', ['first']])
  broken = true
  expect([await ask(), await ask(), await ask()]).toEqual(['second', 'second', 'second'])
  // With the circuit open the broken one is left alone.
  expect(asked).toEqual(['first', 'first', 'second', 'first', 'second', 'second'])
})
