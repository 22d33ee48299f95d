import { describe, expect, test } from 'vitest'
import type { DeadLetter } from '../../src/index.ts'
import { circuitBreaker } from '../../src/reliability/index.ts'
import { fails, llmgineKeptResilienceCases } from './cases/llmgine-kept-resilience.ts'
import { AT_ONCE, BACKENDS, keptRig, ledgerOf, settled, until } from './support/kept.ts'
import { announcements, faultOf, range } from './support/woodwork.ts'

llmgineKeptResilienceCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[L35] three retries by default, 0.1 s doubled up to 10 s, with a jitter from nothing to the whole wait', async () => {
    await using store = make()
    await using r = await keptRig(store, { preset: 'llmgine' })
    const { bus, env } = r
    const at = new Map<string, number[]>()
    bus.subscribe(
      'command',
      ({ id }) => {
        at.set(id, [...(at.get(id) ?? []), env.monotonicMs()])
        fails()
      },
      { group: 'handlers', concurrency: 100 },
    )
    for (const n of range(30)) await bus.publish('command', n, { session: `s${n}` })
    await until(async () => {
      await env.advance(5)
      await env.settle()
      return (await bus.deadLetters.count()) === 30
    })
    const waits = [...at.values()].map((times) => times.slice(1).map((ms, n) => ms - (times[n] ?? 0)))
    for (const [n, most] of [100, 200, 400].entries()) {
      const nth = waits.map((one) => one[n] ?? Number.NaN)
      expect(Math.max(...nth)).toBeLessThanOrEqual(most + 60)
      expect(Math.min(...nth)).toBeLessThan(most * 0.5)
      expect(new Set(nth.map((ms) => Math.floor(ms / 10))).size).toBeGreaterThan(3)
    }
    expect(waits.every((one) => one.length === 3)).toBe(true)
  })

  test('[L35] without jitter 10 then 20 ms; always failing with 2 retries makes 3 calls', async () => {
    await using store = make()
    await using r = await keptRig(store, {
      defaults: { retry: { attempts: 3, firstDelayMs: 10, capMs: 10_000, jitter: 'none' } },
    })
    const { bus, env } = r
    const at: number[] = []
    const told = await announcements('message.retried', async () => {
      bus.subscribe(
        'command',
        () => {
          at.push(env.monotonicMs())
          fails()
        },
        { group: 'handlers' },
      )
      await bus.publish('command', 1, { session: 's' })
      await until(async () => {
        await env.advance(1)
        await settled(env)
        return at.length === 3
      })
      await r.advance(10_000)
    })
    expect(at).toHaveLength(3)
    expect(told.map((one) => (one as { delayMs: number }).delayMs)).toEqual([10, 20])
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(10)
    expect((at[2] ?? 0) - (at[1] ?? 0)).toBeGreaterThanOrEqual(20)
    await until(async () => (await bus.deadLetters.count()) === 1)
  })

  test('[L36] [LN4] failing commands open their breaker, and a command refused by it uses up no attempt and is not lost', async () => {
    await using store = make()
    await using r = await keptRig(store, { defaults: { retry: { ...AT_ONCE, attempts: 4 } } })
    const { bus, env } = r
    let calls = 0
    let ill = true
    const breaker = circuitBreaker({ failures: 3, restMs: 60_000, successesToClose: 1, env })
    bus.subscribe(
      'command',
      () => {
        calls++
        if (ill) fails()
      },
      { group: 'handlers', concurrency: 1, middleware: [breaker.middleware] },
    )
    for (const n of range(20)) await bus.publish('command', n)
    await r.when(() => breaker.state === 'open')
    expect(calls).toBe(3)
    ill = false
    await until(async () => {
      await env.advance(5_000)
      await settled(env)
      return (await ledgerOf(bus)).acked === 20
    })
    expect(await bus.deadLetters.count()).toBe(0)
    expect(calls).toBe(23)
  })

  test('[L38] after the last attempt: the caller is told, an event says so, and the record has attempts, error, times and session', async () => {
    await using store = make()
    await using r = await keptRig(store, {
      defaults: { retry: { attempts: 3, firstDelayMs: 1_000, factor: 1, jitter: 'none' } },
    })
    const { bus, env } = r
    bus.subscribe('command', () => fails(), { group: 'handlers' })
    const letters: DeadLetter[] = []
    bus.deadLetters.watch((letter) => void letters.push(letter))
    const startedAt = env.wallMs()
    const asked = bus.publish('command', { do: 'it' }, { session: 's1', headers: { type: 'Build' }, until: 'handled' })
    await until(async () => {
      await r.advance(500)
      return letters.length === 1
    })
    expect((await asked).deliveries).toMatchObject([
      { outcome: 'failed', reason: 'handler-error', error: { message: 'no' } },
    ])
    for (const letter of [letters[0], (await bus.deadLetters.list())[0]]) {
      expect(letter).toMatchObject({
        group: 'handlers:command',
        reason: 'handler-error',
        error: 'Error: no',
        message: { data: { do: 'it' }, session: 's1', headers: { type: 'Build' } },
        attempts: [{ error: 'Error: no' }, { error: 'Error: no' }, { error: 'Error: no' }],
      })
      const { attempts = [], firstAttemptAt = 0, diedAt = 0 } = letter ?? {}
      expect(firstAttemptAt).toBeGreaterThanOrEqual(startedAt)
      expect(attempts.at(-1)?.time).toBeGreaterThanOrEqual(firstAttemptAt + 2_000)
      expect(diedAt).toBeGreaterThanOrEqual(firstAttemptAt + 2_000)
    }
  })

  test('[LN10] a command that nobody handles is neither retried nor dead-lettered: it is held, and asked for it fails at once', async () => {
    await using store = make()
    await using r = await keptRig(store, { preset: 'llmgine' })
    const { bus } = r
    expect((await faultOf(bus.request('command', 1))).code).toBe('NO_RESPONDERS')
    expect(r.env.monotonicMs()).toBe(0)
    await bus.publish('command', 1)
    await r.advance(60_000)
    expect(bus.stats()).toMatchObject({ retried: 0, deadLettered: 0, failures: 0 })
    expect(await bus.deadLetters.count()).toBe(0)
    expect((await bus.channels())[0]?.ledger).toMatchObject({ published: 1, held: 1 })
  })
})
