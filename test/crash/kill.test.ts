import { describe, expect, test } from 'vitest'
import { findings } from './checker.ts'
import type { Orders } from './child.ts'
import type { Event } from './events.ts'
import type { Point } from './faulty-log.ts'
import { ATTEMPTS } from './plan.ts'
import { look, place, range, run, unacked } from './run.ts'

// A process dies between two effects; the next one goes on with its file. The points lie in the order of a message's way.

const LIMIT_MS = 120_000
const ALL = range(1, 24)

interface Killed {
  readonly first: readonly Event[]
  readonly second: readonly Event[]
  /** Publishes that were begun and not answered. */
  readonly open: readonly number[]
  /** Numbers of the messages that are kept at the end. */
  readonly kept: readonly number[]
  readonly found: readonly string[]
}

interface Given extends Partial<Orders> {
  /** The next process publishes again what was not answered. Default true. */
  readonly again?: boolean
}

/** Kills a child as ordered, lets the next one go on, and looks at the end. */
async function killed({ again = true, ...given }: Given): Promise<Killed> {
  using at = place()
  const orders: Orders = { publish: ALL, groups: ['a', 'b'], ...given, file: at.file }
  const first = await run(orders)
  expect(first).toMatchObject({ how: 'SIGKILL', errors: '' })
  const begun = new Set(first.said.flatMap((event) => (event.type === 'try' ? [event.n] : [])))
  const left = unacked(orders.publish, first.said)
  const open = left.filter((n) => begun.has(n))
  const publish = again ? left : left.filter((n) => !begun.has(n))
  const second = await run({ file: at.file, publish, groups: orders.groups })
  expect(second).toMatchObject({ how: 0, errors: '' })
  const final = await look(at.file)
  const history: readonly Event[] = [...first.said, { type: 'round' }, ...second.said]
  const found = findings(history, final, { groups: orders.groups, inOrder: true })
  const kept = final.stored.map((data) => (data as { readonly n: number }).n)
  return { first: first.said, second: second.said, open, kept, found }
}

const starts = (said: readonly Event[], group: string, n: number): readonly number[] =>
  said.flatMap((one) => (one.type === 'start' && one.group === group && one.n === n ? [one.attempt] : []))

const POINTS: readonly Point[] = [
  'before-append',
  'after-append',
  'after-answer',
  'before-begin',
  'before-effect',
  'after-effect',
  'before-remember',
  'after-remember',
  'before-ack',
  'after-ack',
  'before-nack',
  'after-nack',
  'before-bury',
  'after-bury',
]

describe.concurrent('a process that is killed with SIGKILL', () => {
  test.each(POINTS)(
    '[I1] [I2] [I3] [I4] [I5] [I6] [I10] [I17] [C14] %s: loses nothing acknowledged, ends nothing twice, keeps the order',
    { timeout: LIMIT_MS },
    async (point) => {
      // The first time, and in the middle of the work, with publishes under way.
      const early = await killed({ killAt: { point, time: 1 } })
      expect(early.found).toEqual([])
      expect(early.kept.toSorted((a, b) => a - b)).toEqual(ALL)
      const late = await killed({ killAt: { point, time: 3 }, pipeline: 6 })
      expect(late.found).toEqual([])
      expect(late.kept.toSorted((a, b) => a - b)).toEqual(ALL)
    },
  )

  test('[I3] before the append: what nobody was told of is not kept', { timeout: LIMIT_MS }, async () => {
    const { found, open, kept } = await killed({ killAt: { point: 'before-append', time: 7 }, again: false })
    expect(found).toEqual([])
    expect(open).toEqual([7])
    expect(kept.toSorted((a, b) => a - b)).toEqual(ALL.filter((n) => n !== 7))
  })

  test('[I1] [I5] after the append: the message is kept, is handled, and published again it is the same one', {
    timeout: LIMIT_MS,
  }, async () => {
    const killAt = { point: 'after-append', time: 7 } as const
    const silent = await killed({ killAt, again: false })
    expect(silent.found).toEqual([])
    expect(silent.open).toEqual([7])
    expect(silent.kept).toContain(7)
    const again = await killed({ killAt })
    expect(again.found).toEqual([])
    expect(again.second).toContainEqual({ type: 'ack', n: 7, duplicate: true, level: 'disk' })
    expect(again.kept.filter((n) => n === 7)).toHaveLength(1)
  })

  test.each(['before-effect', 'after-effect', 'before-remember'] as const)(
    '[I4] [ZN16] %s: the message that was in hand is handed out again',
    { timeout: LIMIT_MS },
    async (point) => {
      const { found, first, second } = await killed({ publish: [1], groups: ['a'], killAt: { point, time: 1 } })
      expect(found).toEqual([])
      expect(starts(first, 'a', 1)).toEqual([1])
      expect(starts(second, 'a', 1)).toHaveLength(1)
      expect(second).toContainEqual({ type: 'settled', n: 1, group: 'a', as: 'acked', ok: true })
    },
  )

  test.each(['after-remember', 'before-ack'] as const)(
    '[I5] %s: the message is acknowledged by the next process, and its effect is not repeated',
    { timeout: LIMIT_MS },
    async (point) => {
      const { found, first, second } = await killed({ publish: [1], groups: ['a'], killAt: { point, time: 1 } })
      expect(found).toEqual([])
      expect(first).toContainEqual({ type: 'effect', n: 1, group: 'a' })
      expect(starts(second, 'a', 1)).toEqual([])
      expect(second).toContainEqual({ type: 'settled', n: 1, group: 'a', as: 'acked', ok: true })
    },
  )

  test('[I17] the count of attempts goes on where the process before had it', { timeout: LIMIT_MS }, async () => {
    for (let failed = 1; failed < ATTEMPTS; failed++) {
      const killAt = { point: 'after-nack', time: failed } as const
      const { found, first, second } = await killed({ publish: [5], groups: ['a'], killAt })
      expect(found).toEqual([])
      const [before, behind] = [starts(first, 'a', 5), starts(second, 'a', 5)]
      expect(before).toEqual(range(1, before.length))
      // What was kept as failed is not tried again; a try that began meanwhile may be.
      const next = behind[0] ?? ATTEMPTS + 1
      expect(next).toBeGreaterThan(failed)
      expect(next).toBeLessThanOrEqual(before.length + 1)
      expect(behind).toEqual(range(next, ATTEMPTS))
    }
  })

  test('[I10] in any commit of a death, at any point of it: there is one dead letter with all its attempts', {
    timeout: LIMIT_MS,
  }, async () => {
    let deaths = 0
    for (const point of ['before-commit', 'after-commit', 'after-mark', 'before-answer']) {
      for (let commit = 1; ; commit++) {
        using at = place()
        const orders = { file: at.file, publish: [5], groups: ['a'] }
        const first = await run({ ...orders, failAt: `${point}:${commit}` })
        if (first.how === 0) {
          // It has fewer commits than that, for several steps may share one: all of them were met.
          expect(commit).toBeGreaterThan(2)
          break
        }
        expect(first).toMatchObject({ how: 'SIGKILL', errors: '' })
        const second = await run({ ...orders, publish: unacked([5], first.said) })
        expect(second).toMatchObject({ how: 0, errors: '' })
        const final = await look(at.file)
        expect(findings([...first.said, ...second.said], final, { groups: ['a'] })).toEqual([])
        expect(final.dead).toMatchObject([{ message: { data: { n: 5 } }, reason: 'handler-error', code: undefined }])
        expect(final.dead[0]?.attempts.length).toBeGreaterThanOrEqual(ATTEMPTS - 1)
        deaths++
      }
    }
    expect(deaths).toBeGreaterThan(8)
  })

  test('[V62] [CN1] [C14] with 1 000 accepted and 100 handled: all are handled, in order, twice only what was not acknowledged', {
    timeout: LIMIT_MS,
  }, async () => {
    using at = place()
    const { file } = at
    const all = range(1, 1_000)
    const publisher = await run({ file, publish: all, groups: [], pipeline: 64 }, (event, child) => {
      if (event.type === 'note' && event.text === 'published') child.kill('SIGKILL')
    })
    expect(unacked(all, publisher.said)).toEqual([])
    const worker = { file, publish: [], groups: ['a'] }
    const first = await run({ ...worker, killAt: { point: 'after-ack', time: 100 } })
    expect(first.how).toBe('SIGKILL')
    const second = await run(worker)
    expect(second.how).toBe(0)
    const final = await look(file)
    const history: readonly Event[] = [...publisher.said, ...first.said, ...second.said]
    expect(findings(history, final, { groups: ['a'], inOrder: true })).toEqual([])
    const done = new Set(first.said.flatMap((one) => (one.type === 'settled' ? [one.n] : [])))
    expect(done.size).toBeGreaterThanOrEqual(100)
    const again = second.said.flatMap((one) => (one.type === 'start' && done.has(one.n) ? [one.n] : []))
    expect(again).toEqual([])
  })
})
