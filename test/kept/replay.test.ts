import { describe, expect, test } from 'vitest'
import type { Gap } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { all, LIMIT_MS, publish, range, replayCases } from './cases/replay.ts'
import { BACKENDS, ledgerOf, until } from './support.ts'

replayCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[I13] [C38] by topic, lane, session, agent and time: exactly the messages that fit, in the order of their publishing', {
    timeout: LIMIT_MS,
  }, async () => {
    await using store = make()
    const env = fakeEnv()
    await using bus = await store.open({ env })
    await using pink = bus.register('pink', { handler: () => undefined })
    const times: number[] = []
    for (let n = 0; n < 60; n++) {
      const who = n % 5 === 0 ? pink : bus
      const priority = (['critical', 'normal', 'low'] as const)[n % 3] as 'critical'
      await who.publish(`work.t${n % 2}`, n, { priority, ...(n % 4 === 0 ? { session: 's1' } : {}) })
      times.push(env.wallMs())
      await env.advance(10)
    }
    const that = (fits: (n: number) => boolean): number[] => range(0, 59).filter(fits)
    expect(await all(bus.replay('work.>'))).toEqual(range(0, 59))
    expect(await all(bus.replay('work.t1'))).toEqual(that((n) => n % 2 === 1))
    expect(await all(bus.replay('work.*', { session: 's1' }))).toEqual(that((n) => n % 4 === 0))
    expect(await all(bus.replay('work.>', { agent: 'pink' }))).toEqual(that((n) => n % 5 === 0))
    expect(await all(bus.replay('work.t0', { agent: 'pink', session: 's1', last: 2 }))).toEqual([20, 40])
    const [from, to] = [times[20] as number, times[30] as number]
    expect(await all(bus.replay('work.>', { from: { time: from }, to: { time: to } }))).toEqual(range(20, 29))
    // Nothing of it was taken from anybody.
    expect(await ledgerOf(bus)).toMatchObject({ held: 60, published: 60, balance: 0 })
  })

  test('[I13] [I9] what retention removed is said as a gap; settled messages go, others stay', async () => {
    await using store = make()
    const env = fakeEnv()
    await using bus = await store.open({ env, defaults: { retention: { maxCount: 10 } } })
    const handled: unknown[] = []
    const worker = bus.subscribe('work.*', ({ data }) => void handled.push(data), { group: 'g' })
    await publish(bus, 1, 50)
    await until(async () => (await ledgerOf(bus)).acked === 50, 'the handling')
    worker.unsubscribe()
    await publish(bus, 51, 70)
    const gaps: Gap[] = []
    const read = (): Promise<number[]> => {
      gaps.length = 0
      return all(bus.replay('work.>', { onGap: (gap) => void gaps.push(gap) }))
    }
    await until(async () => {
      await env.advance(15_000)
      return (await read()).length < 70
    }, 'the retention')
    // 51 to 70 nobody has handled: they stay, though there are more than ten.
    expect(await read()).toEqual(range(51, 70))
    expect(gaps).toMatchObject([{ type: 'gap', stream: 'work/normal', from: '1', to: '50', reason: 'trimmed' }])
    expect(await all(bus.replay('work.>'))).toEqual(range(51, 70))
  })

  test('[I13] [C38] at the original pace a message comes as long after the first as it was stored; twice as fast at 2', async () => {
    await using store = make()
    const env = fakeEnv()
    await using bus = await store.open({ env })
    const waits = [0, 100, 0, 250, 1_000]
    for (const [n, wait] of waits.entries()) {
      await env.advance(wait)
      await bus.publish('work.a', n)
    }
    for (const [pace, factor] of [
      ['original', 1],
      [2, 2],
      [0.5, 0.5],
    ] as const) {
      const begin = env.monotonicMs()
      const came: [number, number][] = []
      const reading = (async () => {
        for await (const { data } of bus.replay('work.>', { pace })) {
          came.push([data as number, env.monotonicMs() - begin])
        }
      })()
      await until(async () => {
        await env.advance(10)
        return came.length === waits.length
      }, 'the last one')
      await reading
      const due = [0, 100, 100, 350, 1_350].map((ms) => ms / factor)
      for (const [index, [n, at]] of came.entries()) {
        expect(n).toBe(index)
        // Not early; late by what one look of this test takes, and the first one's own delay.
        expect(at, `${index} at pace ${pace}`).toBeGreaterThanOrEqual(due[index] as number)
        expect(at, `${index} at pace ${pace}`).toBeLessThanOrEqual((due[index] as number) + 200)
      }
    }
  })
})
