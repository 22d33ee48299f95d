import { describe, expect, test } from 'vitest'
import { type Context, type DeadLetterAlert, type Failure, type Message, PRIORITIES } from '../../src/index.ts'
import { veritasKeptDeliveryCases } from './cases/veritas-kept-delivery.ts'
import { codeOf, follow, gate, numbers } from './support/cortex-veritas.ts'
import { BACKENDS, keptRig, ledgerOf, until } from './support/kept.ts'

const VERITAS = { preset: 'veritas' } as const

veritasKeptDeliveryCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[V31] the time to live is looked at before delivery: an expired message is a dead letter, and its requester is told', async () => {
    await using store = make()
    await using rig = await keptRig(store, VERITAS)
    const { bus } = rig
    const seen: unknown[] = []
    bus.declare('late')
    await bus.send('late', 'too old', { ttlMs: 1_000 })
    await bus.send('late', 'in time', { ttlMs: 60_000 })
    await rig.advance(1_100)
    const late = bus.register('late', { handler: ({ data }) => void seen.push(data) })
    await rig.advance(100)
    expect(seen).toEqual(['in time'])
    expect(await bus.deadLetters.list()).toMatchObject([{ reason: 'expired', message: { data: 'too old' } }])
    expect(await ledgerOf(bus)).toMatchObject({ acked: 1, expired: 1, balance: 0 })

    const busy = gate()
    late.unregister()
    bus.register('late', { concurrency: 1, handler: () => busy.closed })
    await bus.send('late', 'first')
    await rig.advance(10)
    const asked = follow(bus.request('agent.late', 'question', { ttlMs: 500, timeoutMs: 10_000 }))
    await rig.advance(600)
    busy.open()
    await rig.advance(100)
    expect(asked.error).toMatchObject({ code: 'MESSAGE_EXPIRED' })
  })

  test('[V31] the time to live is looked at before a retry, too', async () => {
    await using store = make()
    await using rig = await keptRig(store, {
      defaults: { retry: { attempts: 4, firstDelayMs: 2_000, jitter: 'none' } },
    })
    const { bus } = rig
    const tried: number[] = []
    bus.register('a', {
      handler: (_message, { attempt }) => {
        tried.push(attempt)
        throw new Error('no')
      },
    })
    await bus.send('a', 'with a session', { ttlMs: 1_000, session: 's' })
    await bus.send('a', 'without', { ttlMs: 1_000 })
    await rig.advance(4_000)
    expect(tried).toEqual([1, 1])
    await until(async () => (await bus.deadLetters.count()) === 2, 'the dead letters')
    for (const letter of await bus.deadLetters.list()) {
      expect(letter).toMatchObject({ reason: 'expired', attempts: [{ error: 'Error: no' }] })
    }
  })

  test('[V32] a handler has 30 s and a signal; overrunning is a failure of that delivery only, and it is tried again', async () => {
    await using store = make()
    await using rig = await keptRig(store, VERITAS)
    const { bus } = rig
    const reasons: unknown[] = []
    const attempts: number[] = []
    bus.register('stuck', {
      handler: (_message, context: Context) => {
        attempts.push(context.attempt)
        if (context.attempt > 1) return
        context.signal.addEventListener('abort', () => reasons.push(context.signal.reason))
        return new Promise(() => undefined)
      },
    })
    let others = 0
    bus.register('other', { handler: () => void others++ })
    await bus.send('stuck', 1)
    for (const index of numbers(20)) await bus.send('other', index)
    await rig.advance(100)
    expect([others, attempts, reasons]).toEqual([20, [1], []])
    await rig.advance(29_000)
    expect(reasons).toEqual([])
    await rig.advance(2_000)
    expect(reasons).toEqual([expect.objectContaining({ code: 'HANDLER_TIMEOUT' })])
    expect(attempts).toEqual([1, 2])
    expect(await ledgerOf(bus)).toMatchObject({ acked: 21, dead: 0, balance: 0 })
  })

  test.each(PRIORITIES)(
    '[V33] [VN6] at level %s only the failed one of 3 recipients is tried again, 3 times, after 100, 200 and 400 ms ± a quarter',
    async (priority) => {
      await using store = make()
      await using rig = await keptRig(store, VERITAS)
      const { bus, env } = rig
      const got: Record<string, number[]> = { good: [], better: [], bad: [] }
      for (const [name, times] of Object.entries(got)) {
        bus.register(name, {
          handler: () => {
            times.push(env.monotonicMs())
            if (name === 'bad' && times.length <= 3) throw new Error('not yet')
          },
        })
      }
      await bus.send(['good', 'better', 'bad'], 1, { priority, session: 's' })
      await rig.advance(40)
      // Not at once.
      expect(got.bad).toHaveLength(1)
      for (const _ of numbers(60)) await rig.advance(20)
      expect([got.good?.length, got.better?.length, got.bad?.length]).toEqual([1, 1, 4])
      const times = got.bad ?? []
      for (const [index, wantedMs] of [100, 200, 400].entries()) {
        const waitedMs = (times[index + 1] ?? 0) - (times[index] ?? 0)
        expect(waitedMs).toBeGreaterThanOrEqual(wantedMs * 0.75)
        // The clock moves in steps of 2 ms.
        expect(waitedMs).toBeLessThanOrEqual(wantedMs * 1.25 + 4)
      }
      expect(await bus.deadLetters.count()).toBe(0)
      expect(await ledgerOf(bus)).toMatchObject({ acked: 3, balance: 0 })
    },
  )

  test('[V33] waits end at the cap of 10 s, and an agent keeps its order while one message is tried again', async () => {
    await using store = make()
    await using rig = await keptRig(store, {
      defaults: { retry: { attempts: 10, firstDelayMs: 100, capMs: 10_000, jitter: 'quarter' } },
    })
    const { bus, env } = rig
    const times: number[] = []
    const seen: number[] = []
    bus.register('a', {
      handler: ({ data }: Message) => {
        if (data === 0) times.push(env.monotonicMs())
        if (data === 0 && times.length < 10) throw new Error('not yet')
        seen.push(data as number)
      },
    })
    for (const index of numbers(5)) await bus.send('a', index, { session: 's' })
    await rig.advance(80_000)
    expect(seen).toEqual(numbers(5))
    const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    expect(waits).toHaveLength(9)
    expect(Math.max(...waits)).toBeLessThanOrEqual(10_000)
    expect(waits.at(-1)).toBeGreaterThanOrEqual(7_500)
  })

  test('[V34] [VN7] an agent that throws fills the dead letters: message, recipient, reason, attempts, times', async () => {
    await using store = make()
    const alerts: DeadLetterAlert[] = []
    const told: Failure[] = []
    await using rig = await keptRig(store, {
      ...VERITAS,
      onDeadLetters: (alert) => alerts.push(alert),
      onFailure: (failure) => told.push(failure),
    })
    const { bus, env } = rig
    bus.register('bad', { handler: async (message) => Promise.reject(new RangeError(`cannot ${message.data}`)) })
    const startedAt = env.wallMs()
    for (const index of numbers(3)) await bus.send('bad', index, { session: 's', from: 'pink' })
    await rig.advance(5_000)
    await until(async () => (await bus.deadLetters.count()) === 3, 'the dead letters')
    const list = await bus.deadLetters.list({ order: 'oldest' })
    expect(list.map((one) => one.message.data)).toEqual([0, 1, 2])
    for (const letter of list) {
      expect(letter).toMatchObject({ channel: 'agent.bad', reason: 'handler-error', redriven: 0 })
      expect(letter.message).toMatchObject({ to: 'bad', from: 'pink', session: 's', topic: 'agent.bad' })
      expect(letter.error).toBe(`RangeError: cannot ${letter.message.data}`)
      expect(letter.attempts.map((one) => one.error)).toEqual(numbers(4).map(() => letter.error))
      expect(letter.firstAttemptAt).toBeGreaterThanOrEqual(startedAt)
      expect(letter.diedAt).toBeGreaterThan((letter.firstAttemptAt as number) + 500)
    }
    expect(alerts).toMatchObject([{ agent: 'bad', count: 3, text: expect.stringContaining('"bad"') }])
    expect(told.filter((failure) => failure.outcome === 'failed').length).toBeGreaterThanOrEqual(3)
    // A copy: what is done to the list changes nothing.
    ;(list as unknown[]).length = 0
    expect(await bus.deadLetters.count()).toBe(3)
  })

  test('[V34] [VN5] a full channel refuses with QUEUE_FULL within its limit, or puts the message aside with that reason', async () => {
    await using store = make()
    await using rig = await keptRig(store, {
      channels: {
        slow: { limit: 3, overflow: 'wait', waitMs: 500 },
        aside: { limit: 3, overflow: 'dead-letter' },
      },
    })
    const { bus } = rig
    const busy = gate()
    for (const topic of ['slow.x', 'aside.x']) bus.subscribe(topic, () => busy.closed, { group: 'g' })
    for (const topic of ['slow.x', 'aside.x']) {
      for (const index of numbers(3)) {
        const kept = follow(bus.publish(topic, index))
        await rig.advance(10)
        expect(kept.state).toBe('resolved')
      }
    }
    const refused = follow(bus.publish('slow.x', 'too much'))
    await rig.advance(450)
    expect(refused.state).toBe('pending')
    await rig.advance(100)
    expect(refused.error).toMatchObject({ code: 'QUEUE_FULL', family: 'resource', details: { name: 'slow', limit: 3 } })
    const aside = follow(bus.publish('aside.x', 'too much'))
    await rig.advance(50)
    expect(aside.state).toBe('resolved')
    const [letter] = await bus.deadLetters.list({ channel: 'aside' })
    expect(letter).toMatchObject({ reason: 'queue-full', code: 'QUEUE_FULL', message: { data: 'too much' } })
    expect(await codeOf(bus.send('nobody', 1))).toBe('UNKNOWN_AGENT')
    busy.open()
    await rig.advance(10)
  })
})
