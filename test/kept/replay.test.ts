import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Ack, Bus, Gap, Message, PublishOptions, Replay, ReplayOptions } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { BACKENDS, ledgerOf, until } from './support.ts'

const LIMIT_MS = 240_000

async function all(replay: Replay): Promise<number[]> {
  const numbers: number[] = []
  for await (const { data } of replay) numbers.push(data as number)
  return numbers
}

/** Publishes numbers from `first` to `last`, many at once, in order. */
async function publish(
  bus: Bus,
  first: number,
  last: number,
  topicOf: (n: number) => string = () => 'work.a',
  optionsOf: (n: number) => PublishOptions = () => ({}),
): Promise<Ack[]> {
  const acks: Ack[] = []
  for (let n = first; n <= last; ) {
    const batch: Promise<Ack>[] = []
    while (n <= last && batch.length < 1_000) {
      batch.push(bus.publish(topicOf(n), n, optionsOf(n)))
      n++
    }
    acks.push(...(await Promise.all(batch)))
  }
  return acks
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)

describe.each(BACKENDS)('on $name', ({ name, make }) => {
  test('[I13] [C38] 100 000 kept messages are replayed once each, in order, from any place, without holding them in memory', {
    timeout: LIMIT_MS,
  }, async () => {
    await using store = make()
    await using bus = await store.open()
    const count = 100_000
    const acks = await publish(bus, 1, count)
    const gc = globalThis.gc as () => void
    gc()
    const before = process.memoryUsage().heapUsed
    let expected = 1
    let most = 0
    for await (const { data } of bus.replay('work.>')) {
      if (data !== expected) expect(data).toBe(expected)
      if (expected % 20_000 === 0) {
        gc()
        most = Math.max(most, process.memoryUsage().heapUsed - before)
      }
      expected++
    }
    expect(expected).toBe(count + 1)
    // All of them as objects take more than 30 MB.
    expect(most).toBeLessThan(12 * 1_048_576)
    const at = (n: number): string => acks[n - 1]?.offset as string
    const few = async (options: ReplayOptions, most: number): Promise<number[]> => {
      const numbers: number[] = []
      for await (const { data } of bus.replay('work.>', options)) if (numbers.push(data as number) >= most) break
      return numbers
    }
    expect(await few({ from: { offset: at(77_777) } }, 3)).toEqual([77_777, 77_778, 77_779])
    expect(await few({ from: { after: at(77_777) } }, 3)).toEqual([77_778, 77_779, 77_780])
    expect(await few({ from: { after: at(count) } }, 3)).toEqual([])
    expect(await all(bus.replay('work.>', { last: 5 }))).toEqual(range(count - 4, count))
    const id = acks[49_999]?.id as string
    const to = acks[50_002]?.id as string
    expect(await all(bus.replay('work.>', { from: { id }, to: { id: to } }))).toEqual(range(50_000, 50_003))
  })

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

  test('[I13] observers that begin at the first message while others publish get each message once, without a hole, in order', {
    timeout: LIMIT_MS,
  }, async () => {
    const program = fc.record({
      before: fc.nat(60),
      during: fc.array(fc.record({ burst: fc.integer({ min: 1, max: 20 }), turns: fc.nat(4) }), { maxLength: 12 }),
      observers: fc.array(fc.nat(11), { minLength: 2, maxLength: 3 }),
      lanes: fc.boolean(),
      start: fc.constantFrom('first', 'offset', 'after', 'time'),
    })
    await fc.assert(
      fc.asyncProperty(program, async ({ before, during, observers, lanes, start }) => {
        await using store = make()
        await using bus = await store.open()
        const options = (n: number): PublishOptions => (lanes && n % 3 === 0 ? { priority: 'high' } : {})
        const acks = await publish(bus, 0, before - 1, (n) => `work.t${n % 2}`, options)
        const place = acks[Math.floor(before / 2)]
        const seen: Message[][] = []
        const observe = (): void => {
          const mine: Message[] = []
          seen.push(mine)
          const offset = place?.offset
          const from =
            offset === undefined || start === 'first'
              ? 'first'
              : start === 'time'
                ? { time: 0 }
                : start === 'after'
                  ? { after: offset }
                  : { offset }
          bus.subscribe('work.*', (message) => void mine.push(message), { from, name: `observer ${seen.length}` })
        }
        const under: Promise<unknown>[] = []
        let n = before
        for (const [index, { burst, turns }] of during.entries()) {
          for (const _ of observers.filter((at) => at === index)) observe()
          under.push(publish(bus, n, n + burst - 1, (one) => `work.t${one % 2}`, options))
          n += burst
          for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => void setImmediate(resolve))
        }
        while (seen.length < observers.length) observe()
        await Promise.all(under)
        // From a place on: exact in its own lane; other lanes begin at the time of its storing, so with several only the rest is sure.
        const exact = place === undefined || start === 'first' || start === 'time' ? range(0, n - 1) : undefined
        const least = range(before, n - 1)
        await until(
          () => seen.every((mine) => mine.length >= (exact ?? least).length && least.every((one) => has(mine, one))),
          'all of them',
        )
        // Whatever comes twice would come now.
        for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => void setImmediate(resolve))
        for (const mine of seen) {
          const numbers = mine.map(({ data }) => data as number)
          expect(new Set(numbers).size, `twice: ${numbers.join()}`).toBe(numbers.length)
          if (exact !== undefined) expect(numbers.toSorted((a, b) => a - b)).toEqual(exact)
          if (!lanes && exact !== undefined) expect(numbers).toEqual(exact)
          if (!lanes && exact === undefined) {
            const half = Math.floor(before / 2)
            expect(numbers).toEqual(range(start === 'after' ? half + 1 : half, n - 1))
          }
        }
      }),
      { numRuns: name === 'memory' ? 60 : 25 },
    )
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

function has(messages: readonly Message[], n: number): boolean {
  return messages.some(({ data }) => data === n)
}
