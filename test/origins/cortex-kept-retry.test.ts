import { describe, expect, test } from 'vitest'
import type { DeadLetterAlert, OpenOptions } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { BACKENDS, close, ledgerOf, ledgerUntil, passUntil, until } from './support/cortex-kept.ts'
import { codeOf, numbers } from './support/cortex-veritas.ts'

const FAST = { attempts: 3, firstDelayMs: 1, factor: 1, jitter: 'none' } as const
const DIES: OpenOptions = { defaults: { retry: { attempts: 1 } } }

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

  test('[C18] dead letters are listed newest first and limited, counted, discarded, and retried to their old priority', async () => {
    await using store = make()
    const bus = await store.open(DIES)
    let broken = true
    const seen: [unknown, string][] = []
    bus.subscribe(
      'tasks.*',
      ({ data, priority }) => {
        if (broken) throw new Error('down')
        seen.push([data, priority])
      },
      { group: 'workers', concurrency: 1 },
    )
    for (const number of numbers(10)) {
      await bus.publish('tasks.coding', number, { priority: number % 2 === 0 ? 'critical' : 'low', until: 'handled' })
      await until(async () => (await bus.deadLetters.count()) === number + 1)
    }
    const data = async (limit: number): Promise<unknown[]> =>
      (await bus.deadLetters.list({ limit })).map((one) => one.message.data)
    expect(await data(3)).toEqual([9, 8, 7])
    expect(await data(100)).toEqual(numbers(10).toReversed())
    const [newest, second] = await bus.deadLetters.list()
    await bus.deadLetters.discard(newest?.id as string)
    expect(await bus.deadLetters.count()).toBe(9)
    expect(await codeOf(bus.deadLetters.get(newest?.id as string))).toBe('UNKNOWN_DEAD_LETTER')
    expect(await codeOf(bus.deadLetters.redrive(newest?.id as string))).toBe('UNKNOWN_DEAD_LETTER')
    broken = false
    await bus.deadLetters.redrive(second?.id as string)
    await until(() => seen.length === 1)
    expect(seen).toEqual([[8, 'critical']])
    expect(await bus.deadLetters.redriveAll()).toBe(8)
    await until(() => seen.length === 9)
    expect(seen.slice(1).toSorted(([a], [b]) => Number(a) - Number(b))).toEqual(
      numbers(8).map((number) => [number, number % 2 === 0 ? 'critical' : 'low']),
    )
    expect(await bus.deadLetters.count()).toBe(0)
    await bus.close()
  })

  test('[C18] [CN16] attempts before a redrive stay in the history; they are not counted anew unseen', async () => {
    await using store = make()
    const bus = await store.open({ defaults: { retry: FAST } })
    const attempts: number[] = []
    bus.subscribe(
      'tasks.*',
      (_message, { attempt }) => {
        attempts.push(attempt)
        throw new Error(`try ${attempts.length}`)
      },
      { group: 'workers' },
    )
    await bus.publish('tasks.a', 1)
    for (const redriven of [0, 1, 2]) {
      await until(async () => (await bus.deadLetters.list())[0]?.redriven === redriven, `death ${redriven}`)
      const [letter] = await bus.deadLetters.list()
      expect(letter?.attempts.map((one) => one.error.replace('Error: ', ''))).toEqual(
        numbers(3 * (redriven + 1)).map((number) => `try ${number + 1}`),
      )
      if (redriven < 2) await bus.deadLetters.redrive(letter?.id as string)
    }
    expect(attempts).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3])
    expect((await ledgerOf(bus)).balance).toBe(0)
    await bus.close()
  })

  test('[C19] the alert comes when 3 messages to one agent have died, and names agent and count', async () => {
    await using store = make()
    const alerts: DeadLetterAlert[] = []
    const bus = await store.open({ ...DIES, onDeadLetters: (alert) => void alerts.push(alert) })
    for (const name of ['pink', 'red']) bus.register(name, { handler: () => Promise.reject(new Error('down')) })
    for (const name of ['pink', 'red', 'pink', 'red']) await bus.send(name, 1, { until: 'handled' })
    await until(async () => (await bus.deadLetters.count()) === 4)
    expect(alerts).toEqual([])
    await bus.send('pink', 1, { until: 'handled' })
    await until(() => alerts.length > 0)
    expect(alerts).toMatchObject([{ agent: 'pink', count: 3 }])
    expect(alerts[0]?.text).toMatch(/\b3\b.*pink/)
    for (const _ of numbers(3)) await bus.send('pink', 1, { until: 'handled' })
    await until(() => alerts.length === 2)
    expect(alerts[1]).toMatchObject({ agent: 'pink', count: 6 })
    await bus.close()
  })

  test('[CN7] a message whose handler fails is not acknowledged; after 3 failures it is in the dead letters and nowhere else', async () => {
    await using store = make()
    const bus = await store.open({ defaults: { retry: FAST } })
    let calls = 0
    bus.subscribe(
      'tasks.*',
      async () => {
        calls++
        expect((await ledgerOf(bus)).acked).toBe(0)
        throw new Error('down')
      },
      { group: 'workers' },
    )
    await bus.publish('tasks.a', 1)
    await until(async () => (await bus.deadLetters.count()) === 1)
    expect(calls).toBe(3)
    expect(await ledgerOf(bus)).toMatchObject({ published: 1, dead: 1, acked: 0, pending: 0, delayed: 0, leased: 0 })
    await bus.close()
    await using again = await store.open()
    let more = 0
    again.subscribe('tasks.*', () => void more++, { group: 'workers' })
    await again.publish('tasks.a', 2)
    await until(() => more > 0)
    await again.idle()
    expect(more).toBe(1)
    expect(await again.deadLetters.count()).toBe(1)
  })
})
