import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Bus } from '../../src/index.ts'
import { BROKERS } from './brokers.ts'
import { ledgerOf, until } from './support.ts'

const LIMIT_MS = 120_000
const FAST = { attempts: 4, firstDelayMs: 5, factor: 1, jitter: 'none' } as const
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

const program = fc.record({
  steps: fc.array(
    fc.record({
      session: fc.option(fc.nat(3), { nil: undefined }),
      isHigh: fc.boolean(),
      fails: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 5 })),
      publisher: fc.nat(2),
      /** Which process leaves in order behind this one, and comes again behind the next. */
      leaves: fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, fc.nat(2)),
    }),
    { minLength: 10, maxLength: 40 },
  ),
  concurrency: fc.constantFrom(1, 8),
  order: fc.constantFrom('lanes' as const, 'strict' as const),
})

describe.each(BROKERS)('on $name', ({ make }) => {
  test('[I6] [W13] [WN4] [C23] over three processes that come and go a session has one handler at a time, and first handlings in publish order', {
    timeout: LIMIT_MS,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(program, async ({ steps, concurrency, order }) => {
        await using store = make()
        const first: number[] = []
        const tried = new Map<number, number>()
        const running = new Set<string>()
        const overlaps: string[] = []
        const handled = new Set<number>()
        const open = async (): Promise<Bus> => {
          const bus = await store.open({ defaults: { retry: FAST, order, window: 8 } })
          bus.subscribe(
            'work.*',
            async ({ data, session, priority }) => {
              const n = data as number
              const turn = session === undefined ? undefined : order === 'strict' ? session : `${session} ${priority}`
              if (turn !== undefined && running.has(turn)) overlaps.push(turn)
              if (turn !== undefined) running.add(turn)
              const tries = (tried.get(n) ?? 0) + 1
              tried.set(n, tries)
              if (tries === 1) first.push(n)
              try {
                await new Promise<void>((resolve) => void setImmediate(resolve))
                if (tries <= (steps[n]?.fails ?? 0)) throw new Error(`fault ${tries} of ${n}`)
                handled.add(n)
              } finally {
                if (turn !== undefined) running.delete(turn)
              }
            },
            { group: 'g', concurrency },
          )
          return bus
        }
        const buses = await Promise.all(numbers(3).map(open))
        let left: number | undefined
        for (const [n, { session, isHigh, publisher, leaves }] of steps.entries()) {
          // One after the other: so there is an order of publishing, whichever process it was.
          await (left === publisher ? buses[(publisher + 1) % 3] : buses[publisher])?.publish('work.a', n, {
            priority: isHigh ? 'high' : 'normal',
            ...(session === undefined ? {} : { session: `s${session}` }),
          })
          if (left !== undefined) {
            buses[left] = await open()
            left = undefined
          } else if (leaves !== undefined) {
            left = leaves
            await buses[left]?.close({ limitMs: 50 })
          }
        }
        if (left !== undefined) buses[left] = await open()
        const [bus] = buses as [Bus]
        const doomed = steps.filter((one) => one.fails >= FAST.attempts).length
        await until(
          async () => {
            const { acked = 0, dead = 0, balance } = await ledgerOf(bus)
            expect(balance).toBe(0)
            return acked === steps.length - doomed && dead === doomed
          },
          `the end of ${JSON.stringify(steps)}`,
        )
        expect(overlaps).toEqual([])
        expect(handled.size).toBe(steps.length - doomed)
        const place = new Map(first.map((n, at) => [n, at]))
        for (const [later, two] of steps.entries()) {
          if (two.session === undefined) continue
          for (const [earlier, one] of steps.slice(0, later).entries()) {
            if (one.session !== two.session || (order === 'lanes' && one.isHigh !== two.isHigh)) continue
            expect(place.get(earlier)).toBeLessThan(place.get(later) as number)
          }
        }
        for (const one of buses) await one.close()
      }),
      { numRuns: 6 },
    )
  })
})
