import { describe, expect, test } from 'vitest'
import type { Message } from '../../src/index.ts'
import { circuitBreaker, circuitPreset, retry, retryPreset } from '../../src/reliability/index.ts'
import { numbers } from './support/cortex-veritas.ts'
import { BACKENDS, keptRig, ledgerOf } from './support/kept.ts'

/** Milliseconds between the attempts. */
function waitsOf(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? 0))
}

const fails = (): never => {
  throw new Error('no')
}

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[Z26] with the preset zejzl a kept message is tried 3 times, after 1 s and 2 s, then it is a dead letter', async () => {
    await using store = make()
    await using rig = await keptRig(store, { preset: 'zejzl' })
    const { bus, env } = rig
    const times: number[] = []
    bus.register('a', {
      handler: () => {
        times.push(env.monotonicMs())
        fails()
      },
    })
    await bus.send('a', 1, { session: 's' })
    for (const _ of numbers(10)) await rig.advance(500)
    const [first = 0, second = 0, ...more] = waitsOf(times)
    // The clock moves in steps of 50 ms, and what the log answers takes its time.
    expect([first >= 1_000 && first <= 1_100, second >= 2_000 && second <= 2_100, more]).toEqual([true, true, []])
    expect(await bus.deadLetters.list()).toMatchObject([{ reason: 'handler-error', attempts: [{}, {}, {}] }])
    expect(await ledgerOf(bus)).toMatchObject({ dead: 1, acked: 0, balance: 0 })
  })

  test('[Z26] no wait is longer than 60 s, however often a kept message fails', async () => {
    await using store = make()
    const policy = { ...retryPreset('zejzl'), attempts: 9 }
    await using rig = await keptRig(store, { defaults: { retry: policy } })
    const { bus, env } = rig
    const times: number[] = []
    bus.register('a', {
      handler: () => {
        times.push(env.monotonicMs())
        fails()
      },
    })
    await bus.send('a', 1, { session: 's' })
    for (const _ of numbers(100)) await rig.advance(2_500)
    const waits = waitsOf(times).map((ms) => Math.round(ms / 1_000))
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
  })

  test('[Z27] the executor tries a kept message 5 times around 1, 2, 4 and 8 s; a fallback answers instead of its dead letter', async () => {
    await using store = make()
    await using rig = await keptRig(store, { channels: { plan: { retry: 'zejzl-executor' } } })
    const { bus, env } = rig
    const times: number[] = []
    const done: unknown[] = []
    bus.subscribe(
      'plan.step',
      () => {
        times.push(env.monotonicMs())
        fails()
      },
      { group: 'executor' },
    )
    const inTime = { ...retryPreset('zejzl-executor'), env }
    const fallback = ({ data }: Message): void => void done.push(`instead of ${data as string}`)
    bus.subscribe('plan.step', fails, {
      group: 'with-fallback',
      handlerTimeoutMs: 120_000,
      middleware: [retry({ ...inTime, fallback })],
    })
    await bus.publish('plan.step', 'build', { session: 's' })
    for (const _ of numbers(60)) await rig.advance(500)
    const waits = waitsOf(times)
    expect(waits).toHaveLength(4)
    for (const [index, wantedMs] of [1_000, 2_000, 4_000, 8_000].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(wantedMs * 0.75)
      expect(waits[index]).toBeLessThanOrEqual(wantedMs * 1.25 + 100)
    }
    expect(done).toEqual(['instead of build'])
    expect(await bus.deadLetters.count({ group: 'executor' })).toBe(1)
    expect(await bus.deadLetters.count({ group: 'with-fallback' })).toBe(0)
  })

  test('[Z28] [I19] an open circuit around a kept handler refuses without using up attempts; nothing is lost while it rests', async () => {
    await using store = make()
    await using rig = await keptRig(store, {
      defaults: { retry: { attempts: 4, firstDelayMs: 100, factor: 1, jitter: 'none' } },
    })
    const { bus, env } = rig
    const circuit = circuitBreaker({ ...circuitPreset('provider'), env })
    let isDown = true
    const attempts: number[] = []
    const done: unknown[] = []
    bus.subscribe(
      'llm.ask',
      ({ data }, context) => {
        attempts.push(context.attempt)
        if (isDown) fails()
        done.push(data)
      },
      { group: 'provider', middleware: [circuit.middleware] },
    )
    for (const index of numbers(20)) await bus.publish('llm.ask', index, { session: `s${index % 4}` })
    for (const _ of numbers(20)) await rig.advance(1_000)
    // 3 failures in a row open it; then no call comes through until it has rested for 30 s.
    expect([circuit.state, attempts.length]).toEqual(['open', 3])
    expect(circuit.leftMs).toBeGreaterThan(5_000)
    expect(await ledgerOf(bus)).toMatchObject({ acked: 0, dead: 0, balance: 0 })
    isDown = false
    for (const _ of numbers(60)) await rig.advance(1_000)
    expect(circuit.state).toBe('closed')
    expect(done).toHaveLength(20)
    for (const session of numbers(4)) {
      expect(done.filter((one) => (one as number) % 4 === session)).toEqual(numbers(5).map((at) => at * 4 + session))
    }
    expect(Math.max(...attempts)).toBeLessThanOrEqual(2)
    expect(await bus.deadLetters.count()).toBe(0)
  })
})
