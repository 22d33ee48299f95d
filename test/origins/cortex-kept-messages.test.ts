import { describe, expect, test } from 'vitest'
import { fromJson, type Message, toJson } from '../../src/index.ts'
import { cortexTaskDialect } from '../../src/message/dialects/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { cortexKeptMessagesCases } from './cases/cortex-kept-messages.ts'
import { BACKENDS, close, ledgerOf, passUntil, until } from './support/cortex-kept.ts'

const HOUR_MS = 3_600_000

cortexKeptMessagesCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[C1] a kept task keeps id, sender, target, level, type, payload, text, time, ttl of 3 600 s and deadline', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, preset: 'cortex' })
    bus.declare('pink')
    const data = { task: 'fix auth', payload: { file: 'a.ts', lines: [1, 2] } }
    const headers = { type: 'coding' }
    const first = await bus.send('pink', data, { from: 'harold', priority: 'critical', headers })
    const second = await bus.publish('tasks.coding', data, { from: 'harold', headers, ttlMs: 90_000 })
    const sentAt = env.wallMs()
    await close(bus)

    const again = await store.open({ env, preset: 'cortex' })
    const got: Message[] = []
    again.register('pink', { handler: (message) => void got.push(message) })
    again.subscribe('tasks.*', (message) => void got.push(message), { group: 'coders' })
    await until(() => got.length === 2)
    const direct = got.find((one) => one.id === first.id)
    expect(direct).toMatchObject({
      topic: 'agent.pink',
      from: 'harold',
      to: 'pink',
      priority: 'critical',
      headers,
      data,
    })
    expect(direct).toMatchObject({ time: sentAt, expiresAt: sentAt + HOUR_MS })
    // To nobody: any member of the pool of its type.
    const pooled = got.find((one) => one.id === second.id)
    expect(pooled).toMatchObject({
      topic: 'tasks.coding',
      to: undefined,
      priority: 'normal',
      expiresAt: sentAt + 90_000,
    })
    const ended = close(again)
    await env.advance(100)
    await ended
  })

  test('[C1] a deadline as ISO time ends a task that is read before it was handled', async () => {
    await using store = make()
    const env = fakeEnv({ wallMs: Date.parse('2026-03-01T12:00:00Z') })
    const bus = await store.open({ env })
    const dialect = cortexTaskDialect({ env })
    const task = {
      id: 't1',
      from: 'harold',
      type: 'coding',
      priority: 1,
      task: 'x',
      deadline: '2026-03-01T12:00:10.500Z',
    }
    const read = dialect.read(task)
    expect(read.expiresAt).toBe(Date.parse('2026-03-01T12:00:10.500Z'))
    const ttlMs = (read.expiresAt as number) - env.wallMs()
    await bus.publish(read.topic, read.data, { priority: read.priority, ttlMs, headers: read.headers })
    await env.advance(10_501)
    let handled = 0
    bus.subscribe('tasks.*', () => void handled++, { group: 'coders' })
    await until(async () => (await bus.deadLetters.count({ reason: 'expired' })) === 1)
    expect(handled).toBe(0)
    await close(bus)
  })

  test('[C2] `created` in unix seconds and `created_at` as ISO text are both read, and survive the store', async () => {
    await using store = make()
    const env = fakeEnv({ wallMs: 1_700_000_100_000 })
    const bus = await store.open({ env })
    const dialect = cortexTaskDialect({ env })
    const times = [
      { created: 1_700_000_000 },
      { created: 1_700_000_000.123 },
      { created_at: '2023-11-14T22:13:20.123Z' },
    ]
    for (const time of times) {
      const task = dialect.read({ type: 'coding', task: 'x', payload: { n: 1 }, ...time })
      await bus.publish('archive', toJson(task), {})
    }
    const read: number[] = []
    for await (const message of bus.replay('archive')) {
      const inner = fromJson(message.data as never, env)
      read.push(inner.time)
      expect(inner.data).toEqual({ task: 'x', payload: { n: 1 } })
    }
    expect(read).toEqual([1_700_000_000_000, 1_700_000_000_123, 1_700_000_000_123])
    await close(bus)
  })

  test('[CN8] a message 2 h old with a ttl of 1 h is not handled, whoever comes; it leaves a record', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, preset: 'cortex' })
    await bus.publish('tasks.a', 'old', { ttlMs: HOUR_MS })
    await close(bus)
    await env.advance(2 * HOUR_MS)
    const again = await store.open({ env, preset: 'cortex' })
    const got: unknown[] = []
    again.subscribe('tasks.*', ({ data }) => void got.push(data), { group: 'workers' })
    await again.publish('tasks.a', 'young')
    await passUntil(env, () => got.length > 0, 10, 10_000)
    await until(async () => (await again.deadLetters.count({ reason: 'expired' })) === 1)
    expect(got).toEqual(['young'])
    expect(await ledgerOf(again)).toMatchObject({ expired: 1, acked: 1, balance: 0 })
    await close(again)
  })
})
