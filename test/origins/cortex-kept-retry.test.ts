import { describe, expect, test } from 'vitest'
import { fakeEnv } from '../../src/testing/index.ts'
import { cortexKeptRetryCases } from './cases/cortex-kept-retry.ts'
import { BACKENDS, close, ledgerUntil, passUntil, until } from './support/cortex-kept.ts'

cortexKeptRetryCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[C16] the preset "cortex" tries, waits 5 s, tries, waits 15 s, tries, then gives up to the dead letters', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, preset: 'cortex' })
    const at: number[] = []
    bus.subscribe(
      'tasks.*',
      () => {
        at.push(env.monotonicMs())
        throw new Error('down')
      },
      { group: 'workers' },
    )
    await bus.publish('tasks.coding', 1)
    await until(() => at.length === 1)
    await ledgerUntil(bus, ({ delayed }) => delayed === 1)
    await env.advance(4_999)
    expect(at).toEqual([0])
    await env.advance(1)
    await until(() => at.length === 2)
    await ledgerUntil(bus, ({ delayed }) => delayed === 1)
    await env.advance(14_999)
    expect(at).toEqual([0, 5_000])
    await env.advance(1)
    await until(() => at.length === 3)
    await ledgerUntil(bus, ({ dead }) => dead === 1)
    await env.advance(3_600_000)
    expect(at).toEqual([0, 5_000, 20_000])
    await until(async () => (await bus.deadLetters.count()) === 1)
    await close(bus)
  })

  test('[C16] the list of waits is an option, of a channel or of the bus', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({
      env,
      preset: 'cortex',
      channels: { quick: { retry: { delaysMs: [100, 200, 400], jitter: 'none' } } },
    })
    const at: number[] = []
    bus.subscribe(
      'quick',
      () => {
        at.push(Math.round(env.monotonicMs()))
        throw new Error('down')
      },
      { group: 'workers' },
    )
    await bus.publish('quick', 1)
    for (const tries of [1, 2, 3]) {
      await until(() => at.length === tries)
      await ledgerUntil(bus, ({ delayed }) => delayed === 1)
      await env.advance([100, 200, 400][tries - 1] as number)
    }
    await ledgerUntil(bus, ({ dead }) => dead === 1)
    expect(at).toEqual([0, 100, 300, 700])
    await close(bus)
  })

  test('[C17] a dead letter says who sent what to whom, why it died, every attempt with its time, and when it died', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, preset: 'cortex' })
    bus.register('pink', { handler: () => Promise.reject(new RangeError('out of memory')) })
    const began = env.wallMs()
    const { id } = await bus.send(
      'pink',
      { task: 'fix auth', payload: { file: 'a.ts' } },
      {
        from: 'harold',
        priority: 'high',
        session: 'chat-1',
        headers: { type: 'coding' },
      },
    )
    await passUntil(env, () => bus.failures().some((one) => one.outcome === 'failed'), 1_000, 60_000)
    await until(async () => (await bus.deadLetters.count()) === 1)
    const [letter] = await bus.deadLetters.list()
    expect(letter?.message).toMatchObject({
      id,
      topic: 'agent.pink',
      from: 'harold',
      to: 'pink',
      priority: 'high',
      session: 'chat-1',
      headers: { type: 'coding' },
      data: { task: 'fix auth', payload: { file: 'a.ts' } },
    })
    expect(letter?.message.time).toBe(began)
    expect(letter).toMatchObject({ channel: 'agent.pink', reason: 'handler-error', redriven: 0 })
    expect(letter?.error).toContain('out of memory')
    const times = letter?.attempts.map((one) => one.time - began) ?? []
    expect(times.length).toBe(3)
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(5_000)
    expect((times[2] as number) - (times[1] as number)).toBeGreaterThanOrEqual(15_000)
    expect(letter?.attempts.every((one) => one.error.includes('out of memory'))).toBe(true)
    expect(letter?.diedAt).toBe((times[2] as number) + began)
    expect(letter?.firstAttemptAt).toBe((times[0] as number) + began)
    await close(bus)
  })

  test('[C17] a task that is too old dies as "expired", one that was cancelled as "cancelled"', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env })
    await bus.publish('tasks.a', 'old', { ttlMs: 1_000 })
    const { id } = await bus.publish('tasks.a', 'unwanted')
    await env.advance(2_000)
    bus.subscribe('tasks.*', () => undefined, { group: 'workers', concurrency: 1 })
    await until(async () => (await bus.deadLetters.count({ reason: 'expired' })) === 1)
    await ledgerUntil(bus, ({ acked }) => acked === 1)
    expect(await bus.cancel(id)).toBe(0)
    await close(bus)
    await using other = await store.open()
    expect((await other.deadLetters.list()).map((one) => [one.message.data, one.reason])).toEqual([['old', 'expired']])
  })
})
