import { describe, expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { fails, woodworkKeptBusCases } from './cases/woodwork-kept-bus.ts'
import { BACKENDS, child, file, keptRig, ledgerOf, settled, until } from './support/kept.ts'
import { faultOf, range } from './support/woodwork.ts'

woodworkKeptBusCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[W9] [WN3] retries run 2, 6 and 14 s after the first attempt, counted from each failure, however long the message had waited', async () => {
    await using store = make()
    await using r = await keptRig(store, { preset: 'woodwork' })
    const { bus, env } = r
    await bus.publish('t', 'waits', { session: 's' })
    await bus.publish('t', 'waits too')
    await r.advance(10_000)
    const times = new Map<unknown, number[]>()
    bus.subscribe(
      't',
      ({ data }) => {
        times.set(data, [...(times.get(data) ?? []), env.monotonicMs()])
        fails()
      },
      { group: 'g' },
    )
    await settled(env)
    for (const _ of range(160)) {
      await env.advance(100)
      await settled(env)
    }
    await r.when(async () => (await bus.deadLetters.count()) === 2)
    for (const [data, at] of times) {
      const after = at.map((ms) => ms - (at[0] ?? 0))
      expect(at, String(data)).toHaveLength(4)
      for (const [n, due] of [0, 2_000, 6_000, 14_000].entries()) {
        expect(after[n], `${data}, attempt ${n + 1}`).toBeGreaterThanOrEqual(due)
        expect(after[n], `${data}, attempt ${n + 1}`).toBeLessThan(due + 400)
      }
    }
    expect(times.size).toBe(2)
  })

  test('[W9] no wait is longer than 60 s', async () => {
    await using store = make()
    await using r = await keptRig(store, {
      defaults: { retry: { ...{ attempts: 9 }, firstDelayMs: 2_000, jitter: 'none' } },
    })
    const { bus, env } = r
    const at: number[] = []
    bus.subscribe(
      't',
      () => {
        at.push(env.monotonicMs())
        fails()
      },
      { group: 'g' },
    )
    await bus.publish('t', 1)
    await until(async () => {
      await env.advance(500)
      await env.settle()
      return at.length === 9
    })
    const waits = at.slice(1).map((ms, n) => ms - (at[n] ?? 0))
    for (const [n, wanted] of [2, 4, 8, 16, 32, 60, 60, 60].entries()) {
      expect(waits[n]).toBeGreaterThanOrEqual(wanted * 1_000)
      expect(waits[n]).toBeLessThan(wanted * 1_000 + 3_000)
    }
  })

  test('[W86] the events of one session are replayed, at full or original speed, and no consumer notices', async () => {
    await using store = make()
    await using r = await keptRig(store)
    const { bus, env } = r
    let live = 0
    bus.subscribe('agent.*', () => void live++, { group: 'g' })
    bus.subscribe('events.*', () => void live++, { group: 'g' })
    for (const n of range(4)) {
      for (const session of ['s1', 's2']) await bus.publish(`events.e${n % 2}`, `${session} ${n}`, { session })
      await r.advance(1_000)
    }
    await r.when(async () => (await ledgerOf(bus)).acked === 8)
    const before = await bus.channels()
    const fast: unknown[] = []
    for await (const { data } of bus.replay('events.>', { session: 's1' })) fast.push(data)
    expect(fast).toEqual(range(4).map((n) => `s1 ${n}`))
    const startMs = env.monotonicMs()
    const at: number[] = []
    const replay = (async () => {
      for await (const _ of bus.replay('events.>', { session: 's1', pace: 'original' }))
        at.push(env.monotonicMs() - startMs)
    })()
    await until(async () => {
      await env.advance(100)
      await settled(env)
      return at.length === 4
    })
    await replay
    for (const [n, ms] of at.entries()) {
      expect(ms).toBeGreaterThanOrEqual(n * 1_000 - 100)
      expect(ms).toBeLessThan(n * 1_000 + 700)
    }
    expect(live).toBe(8)
    expect(await bus.channels()).toEqual(before)
  })
})

test('[WN5] a backend that is not there is refused by name, and never silently memory', async () => {
  // Nobody but root may listen on port 1.
  for (const scheme of ['redis', 'nats']) {
    const fault = await faultOf(openBus(`${scheme}://127.0.0.1:1`))
    expect(fault.code).toBe('BROKER_UNREACHABLE')
    expect(fault.message).toContain('127.0.0.1:1')
  }
  expect((await faultOf(openBus('mysql://x'))).code).toBe('INVALID_OPTION')
})

test('[W6] [W13] a killed bus loses no held message, and their order stays', async () => {
  const path = file()
  const sender = child(
    path,
    '{}',
    `bus.declare('late'); for (let n = 0; n < 20; n++) await bus.send('late', n); say('sent')`,
  )
  await sender.said('sent')
  await sender.kill()
  await using bus = await openBus(`sqlite:${path}`)
  const seen: unknown[] = []
  bus.register('late', { handler: ({ data }) => void seen.push(data) })
  await until(() => seen.length >= 20)
  expect(seen).toEqual(range(20))
}, 60_000)
