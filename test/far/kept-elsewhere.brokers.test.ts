import { describe, expect, test } from 'vitest'
import type { Bus } from '../../src/index.ts'
import { BROKERS } from '../kept/brokers.ts'
import { until } from '../kept/support.ts'

const AT_ONCE = { defaults: { retry: { attempts: 2, firstDelayMs: 0, jitter: 'none' } } } as const

describe.each(BROKERS)('on $name', ({ make }) => {
  async function pair(run: (one: Bus, two: Bus) => Promise<void>): Promise<void> {
    await using store = make()
    await using one = await store.open({ name: 'one', ...AT_ONCE })
    await using two = await store.open({ name: 'two', ...AT_ONCE })
    await until(() => one.processes().length === 1 && two.processes().length === 1, 'the other process')
    await run(one, two)
  }

  /** What one process says reaches the other with its next announcement. */
  async function known(bus: Bus, subscriptions: number): Promise<void> {
    await until(() => (bus.processes()[0]?.subscriptions ?? 0) >= subscriptions, 'its subscriptions')
  }

  test('[C11] [L84] a publisher hears how groups of other processes end with its message: handled, or dead after their attempts', () =>
    pair(async (one, two) => {
      two.subscribe(
        'jobs.*',
        ({ data }) => {
          if (data === 'bad') throw new Error('no')
        },
        { group: 'workers' },
      )
      two.register('pink', { handler: () => undefined })
      await known(one, 1)
      const good = await one.publish('jobs.code', 'good', { until: 'succeeded' })
      expect(good.deliveries).toMatchObject([{ outcome: 'handled' }])
      const bad = await one.publish('jobs.code', 'bad', { until: 'handled' })
      expect(bad.deliveries).toMatchObject([{ outcome: 'failed', reason: 'handler-error' }])
      await expect(one.publish('jobs.code', 'bad', { until: 'succeeded' })).rejects.toMatchObject({
        code: 'HANDLER_FAILED',
      })
      await until(() => one.processes()[0]?.agents.length === 1, 'pink')
      const sent = await one.send('pink', 1, { until: 'handled' })
      expect(sent.deliveries).toMatchObject([{ outcome: 'handled' }])
    }))

  test('[C11] of a group with members in both processes one report comes, from whoever handles it', () =>
    pair(async (one, two) => {
      let handled = 0
      for (const bus of [one, two]) bus.subscribe('jobs.*', () => void handled++, { group: 'workers' })
      await known(one, 1)
      for (let round = 0; round < 20; round++) {
        const { deliveries } = await one.publish('jobs.code', round, { until: 'succeeded' })
        expect(deliveries).toHaveLength(1)
      }
      expect(handled).toBe(20)
    }))

  test('[C21] a cancel reaches the process that has the message: what waits is dropped with its record, what runs is aborted', () =>
    pair(async (one, two) => {
      const began: unknown[] = []
      const aborted: unknown[] = []
      two.subscribe(
        'jobs.*',
        async ({ data }, { signal }) => {
          began.push(data)
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
          aborted.push(data)
        },
        { group: 'workers', concurrency: 1 },
      )
      await known(one, 1)
      const first = await one.publish('jobs.code', 'runs')
      const second = await one.publish('jobs.code', 'waits')
      await until(() => began.length === 1, 'the handler')
      // It is cancelled once the other process has it in hand: a moment later than it is kept.
      await until(async () => (await one.cancel(second.id)) === 1, 'the other process to have it')
      expect(await one.cancel(first.id)).toBe(1)
      expect(await one.cancel(first.id)).toBe(0)
      await until(() => aborted.length === 1, 'the abort')
      expect(began).toEqual(['runs'])
      await until(async () => (await one.deadLetters.count()) === 2, 'the records')
      const letters = await one.deadLetters.list()
      expect(letters.map(({ reason }) => reason)).toEqual(['cancelled', 'cancelled'])
    }))
})
