import { describe, expect, test } from 'vitest'
import { findings, verdictOf } from './checker.ts'
import type { Orders } from './child.ts'
import type { Event } from './events.ts'
import type { Plant } from './faulty-log.ts'
import { look, place, randomFrom, range, run, unacked } from './run.ts'

// Kills at random moments, as a count of what was said; what is random follows from the seed in the title of the failure.

const ROUNDS = 50
const EACH = 24
const GROUPS = ['a', 'b', 'c']

interface Torture {
  readonly found: readonly string[]
  readonly history: readonly Event[]
  readonly kills: number
  readonly kept: number
}

/** Children on one file, each killed at a random moment; the last one works to the end. */
async function torture(rounds: number, seed: number, plant?: Plant): Promise<Torture> {
  using at = place()
  const random = randomFrom(seed)
  const history: Event[] = []
  const all: number[] = []
  let kills = 0
  const planted = plant === undefined ? {} : { plant }
  for (let round = 0; round < rounds; round++) {
    all.push(...range(all.length + 1, all.length + EACH))
    const publish = unacked(all, history)
    const orders: Orders = { file: at.file, publish, groups: GROUPS, pipeline: 1 + random(12), ...planted }
    // A child says about six things of each message; some are killed when they have barely begun, some at the end.
    let left = 1 + random(publish.length * 6)
    const { how, said, errors } = await run(orders, (_, child) => {
      if (--left === 0) child.kill('SIGKILL')
    })
    expect(errors).toBe('')
    expect(['SIGKILL', 0]).toContain(how)
    if (how === 'SIGKILL') kills++
    history.push({ type: 'round' }, ...said)
  }
  const last = await run({ file: at.file, publish: unacked(all, history), groups: GROUPS, pipeline: 4, ...planted })
  history.push({ type: 'round' }, ...last.said)
  if (plant === undefined) expect(last).toMatchObject({ how: 0, errors: '' })
  const final = await look(at.file)
  const found = findings(history, final, { groups: GROUPS, inOrder: true })
  return { found, history, kills, kept: final.stored.length }
}

describe.concurrent('rounds', () => {
  test(`[I1] [I2] [I3] [I4] [I5] [I6] [I10] [I17] [V62] after ${ROUNDS} kills under load everything acknowledged is handled or dead, once in each group`, {
    timeout: 300_000,
  }, async () => {
    const seed = 20_261_121
    const { found, history, kills, kept } = await torture(ROUNDS, seed)
    expect(found, `seed ${seed}`).toEqual([])
    expect(kept).toBe(ROUNDS * EACH)
    // Rare paths must have been met, or the run says nothing.
    expect(kills).toBeGreaterThan(ROUNDS / 2)
    const starts = history.filter((one) => one.type === 'start')
    const pairs = new Set(starts.map(({ group, n }) => `${group} ${n}`))
    expect(starts.length).toBeGreaterThan(pairs.size)
    expect(history.some((one) => one.type === 'ack' && one.duplicate)).toBe(true)
  })

  test.each([
    ['ack-first', 'I4'],
    ['lose-append', 'I1'],
    ['store-twice', 'I5'],
    ['double-death', 'I10'],
  ] as const)('the checker finds a log that is made to %s', { timeout: 120_000 }, async (plant, broken) => {
    const { found } = await torture(3, 7, plant)
    expect(verdictOf(found)).toMatch(new RegExp(`^INVALID\\(.*\\b${broken}\\b`))
  })

  test('the checker finds lost messages after a kill when acks come before the handling', {
    timeout: 120_000,
  }, async () => {
    const { found } = await torture(6, 7, 'ack-first')
    expect(verdictOf(found)).toMatch(/^INVALID\(I1\b/)
  })
})
