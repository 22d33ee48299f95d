import { describe, expect, test } from 'vitest'
import { findings } from '../crash/checker.ts'
import type { Event } from '../crash/events.ts'
import { ATTEMPTS, failsOnce, isDoomed } from '../crash/plan.ts'
import { look, place, range, run, unacked } from '../crash/run.ts'
import { poisonCases } from './cases/poison.ts'
import { BACKENDS } from './support.ts'

const LIMIT_MS = 120_000

poisonCases(BACKENDS)

describe('in processes', () => {
  test('[I17] a message that kills every process which handles it dies within its attempts and one, alone', {
    timeout: LIMIT_MS,
  }, async () => {
    using at = place()
    const all = range(1, 40).filter((n) => !failsOnce('a', n) && !isDoomed('a', n))
    const poison = [13]
    const history: Event[] = []
    let kills = 0
    for (;;) {
      const orders = { file: at.file, publish: unacked(all, history), groups: ['a'], poison, handleMs: 3, pipeline: 30 }
      const { how, said, errors } = await run(orders)
      expect(errors).toBe('')
      history.push({ type: 'round' }, ...said)
      if (how === 0) break
      expect(how).toBe('SIGKILL')
      expect(++kills, 'it never ends').toBeLessThanOrEqual(ATTEMPTS + 1)
    }
    expect(kills).toBeGreaterThanOrEqual(ATTEMPTS)
    const final = await look(at.file)
    expect(findings(history, final, { groups: ['a'], inOrder: true })).toEqual([])
    const dead = final.dead.map(({ message, reason }) => [(message.data as { readonly n: number }).n, reason])
    expect(dead).toEqual([[13, 'agent-unresponsive']])
  })
})
