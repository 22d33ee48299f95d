import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Bus, PRIORITIES, type Priority } from '../../../src/index.ts'
import type { Backend } from '../support.ts'
import { ledgerOf, runsOn, type Store, until } from '../support.ts'

const FAST = { attempts: 4, firstDelayMs: 1, factor: 1, jitter: 'none' } as const

/** One message of a program: whose session, which level, how often its handler fails. */
interface Step {
  readonly session: number | undefined
  readonly priority: Priority
  readonly fails: number
}

const step: fc.Arbitrary<Step> = fc.record({
  session: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }),
  priority: fc.constantFrom(...PRIORITIES),
  fails: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 5 })),
})

const program = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 40 }),
  concurrency: fc.constantFrom(undefined, 1, 3, 16),
  members: fc.integer({ min: 1, max: 3 }),
  order: fc.constantFrom('lanes', 'strict'),
  restartAfter: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
  lateness: fc.boolean(),
})

type Program = typeof program extends fc.Arbitrary<infer T> ? T : never

interface Run {
  /** First handlings, in order. */
  readonly first: number[]
  readonly handled: Set<number>
  readonly dead: number
}

async function play(store: Store, given: Program): Promise<Run> {
  const first: number[] = []
  const handled = new Set<number>()
  const tried = new Map<number, number>()
  const running = new Set<string>()
  const overlaps: string[] = []
  const open = (): Promise<Bus> =>
    store.open({ defaults: { retry: FAST, order: given.order as 'lanes' | 'strict', window: 8 }, drainMs: 1_000 })
  const join = (bus: Bus): void => {
    for (let member = 0; member < given.members; member++) {
      bus.subscribe(
        'work.*',
        async ({ data, session }) => {
          const index = data as number
          if (session !== undefined && running.has(session)) overlaps.push(session)
          if (session !== undefined) running.add(session)
          const tries = (tried.get(index) ?? 0) + 1
          tried.set(index, tries)
          if (tries === 1) first.push(index)
          try {
            if (index % 3 === 0) await Promise.resolve()
            if (index % 7 === 0) await new Promise<void>((resolve) => void setImmediate(resolve))
            if (tries <= (given.steps[index] as Step).fails) throw new Error(`fault ${tries} of ${index}`)
            handled.add(index)
          } finally {
            if (session !== undefined) running.delete(session)
          }
        },
        { group: 'g', ...(given.concurrency === undefined ? {} : { concurrency: given.concurrency }) },
      )
    }
  }
  let bus = await open()
  if (!given.lateness) join(bus)
  for (const [index, { session, priority }] of given.steps.entries()) {
    const ack = await bus.publish(`work.t${index % 2}`, index, {
      priority,
      ...(session === undefined ? {} : { session: `s${session}` }),
    })
    expect(ack.duplicate).toBe(false)
    if (index + 1 === given.restartAfter) {
      await bus.close({ limitMs: 20 })
      bus = await open()
      if (!given.lateness) join(bus)
    }
  }
  if (given.lateness) join(bus)
  const done = async (): Promise<boolean> => {
    const { acked = 0, dead = 0, balance } = await ledgerOf(bus)
    expect(balance).toBe(0)
    return acked + dead === given.steps.length
  }
  await until(done, `the end of ${JSON.stringify(given)}`)
  // A death is counted at once, and can be read when it is stored.
  const doomed = given.steps.filter((one) => one.fails >= FAST.attempts).length
  await until(async () => (await bus.deadLetters.count()) === doomed, 'the dead letters')
  const dead = await bus.deadLetters.count()
  await bus.close()
  expect(overlaps).toEqual([])
  return { first, handled, dead }
}

export function orderCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ name, make }) => {
    test('[I6] [W13] [WN4] first handlings of a session are in publish order within a lane, across retries, restarts and late groups', {
      timeout: 240_000,
    }, async () => {
      await fc.assert(
        fc.asyncProperty(program, async (given) => {
          await using store = make()
          const { first, handled, dead } = await play(store, given)
          const place = new Map(first.map((index, at) => [index, at]))
          for (const [later, two] of given.steps.entries()) {
            if (two.session === undefined) continue
            for (let earlier = 0; earlier < later; earlier++) {
              const one = given.steps[earlier] as Step
              if (one.session !== two.session) continue
              if (given.order === 'lanes' && one.priority !== two.priority) continue
              expect(place.get(earlier)).toBeLessThan(place.get(later) as number)
            }
          }
          const doomed = given.steps.filter((one) => one.fails >= FAST.attempts).length
          expect(dead).toBe(doomed)
          expect(handled.size).toBe(given.steps.length - doomed)
        }),
        { numRuns: runsOn(name) },
      )
    })
  })
}
