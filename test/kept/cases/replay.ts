import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Ack, Bus, Message, PublishOptions, Replay, ReplayOptions } from '../../../src/index.ts'
import type { Backend } from '../support.ts'
import { isBroker, runsOn, until } from '../support.ts'

export const LIMIT_MS = 240_000

export async function all(replay: Replay): Promise<number[]> {
  const numbers: number[] = []
  for await (const { data } of replay) numbers.push(data as number)
  return numbers
}

/** Publishes numbers from `first` to `last`, many at once, in order. */
export async function publish(
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

export const range = (first: number, last: number): number[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)

export function replayCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ name, make }) => {
    test('[I13] [C38] a log of 100 000 messages, 30 000 on a broker, is replayed once each, in order, from any place, and not held in memory', {
      timeout: LIMIT_MS,
    }, async () => {
      await using store = make()
      await using bus = await store.open()
      const count = isBroker(name) ? 30_000 : 100_000
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
      // All of them as objects take more than 300 bytes each.
      expect(most).toBeLessThan(Math.max(6, count / 8_000) * 1_048_576)
      const at = (n: number): string => acks[n - 1]?.offset as string
      const few = async (options: ReplayOptions, most: number): Promise<number[]> => {
        const numbers: number[] = []
        for await (const { data } of bus.replay('work.>', options)) if (numbers.push(data as number) >= most) break
        return numbers
      }
      expect(await few({ from: { offset: at(17_777) } }, 3)).toEqual([17_777, 17_778, 17_779])
      expect(await few({ from: { after: at(17_777) } }, 3)).toEqual([17_778, 17_779, 17_780])
      expect(await few({ from: { after: at(count) } }, 3)).toEqual([])
      expect(await all(bus.replay('work.>', { last: 5 }))).toEqual(range(count - 4, count))
      const id = acks[19_999]?.id as string
      const to = acks[20_002]?.id as string
      expect(await all(bus.replay('work.>', { from: { id }, to: { id: to } }))).toEqual(range(20_000, 20_003))
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
          // Behind all else in each lane: whatever comes twice has come by then.
          const ends = await Promise.all([
            bus.publish('work.t0', 'end'),
            ...(lanes ? [bus.publish('work.t0', 'end', { priority: 'high' })] : []),
          ])
          await until(() => seen.every((mine) => ends.every((end) => mine.some(({ id }) => id === end.id))), 'the ends')
          for (const mine of seen) {
            const numbers = mine.flatMap(({ data }) => (typeof data === 'number' ? [data] : []))
            expect(least.filter((one) => !numbers.includes(one))).toEqual([])
            expect(new Set(numbers).size, `twice: ${numbers.join()}`).toBe(numbers.length)
            if (exact !== undefined) expect(numbers.toSorted((a, b) => a - b)).toEqual(exact)
            if (!lanes && exact !== undefined) expect(numbers).toEqual(exact)
            if (!lanes && exact === undefined) {
              const half = Math.floor(before / 2)
              expect(numbers).toEqual(range(start === 'after' ? half + 1 : half, n - 1))
            }
          }
        }),
        { numRuns: runsOn(name) },
      )
    })
  })
}
