import { describe, expect, test } from 'vitest'
import { type Backend, isBroker } from '../../kept/support.ts'
import { AT_ONCE, ledgerOf, until } from '../support/kept.ts'
import { faultOf, gate, range } from '../support/woodwork.ts'

export const fails = (): never => {
  throw new Error('no')
}

export function llmgineKeptLifeCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make, name }) => {
    test('[LN6] a second bus on the same log has its dead letters and its history; filters, buffering and the log go together', async () => {
      await using store = make()
      const defaults = { retry: { ...AT_ONCE, attempts: 2 } }
      {
        await using bus = await store.open({ defaults })
        bus.subscribe('command', fails, { group: 'handlers' })
        for (const n of range(3)) await bus.publish('command', n, { until: 'handled' })
      }
      await using bus = await store.open({ defaults, autoStart: false, limit: 2 })
      expect((await bus.deadLetters.list({ order: 'oldest' })).map(({ message }) => message.data)).toEqual(range(3))
      const seen: unknown[] = []
      const replayed: unknown[] = []
      bus.subscribe('event', ({ data }) => void seen.push(data), { filter: ({ data }) => data !== 'filtered' })
      bus.subscribe('event', ({ data }) => void replayed.push(data), { group: 'late' })
      const early = [bus.publish('event', 'early'), bus.publish('event', 'filtered')]
      void Promise.allSettled(early)
      expect((await faultOf(bus.publish('event', 'too many'))).code).toBe('QUEUE_FULL')
      expect(seen).toEqual([])
      bus.start()
      await Promise.all(early)
      await until(() => seen.length === 1 && replayed.length === 2)
      expect([seen, replayed]).toEqual([['early'], ['early', 'filtered']])
      const kept: unknown[] = []
      for await (const { data } of bus.replay('>')) kept.push(data)
      expect(kept).toEqual([0, 1, 2, 'early', 'filtered'])
    })

    test('[LN8] an event for later is kept with all its fields, and comes once and at its time though the bus ended before', async () => {
      await using store = make()
      const data = { kind: 'Reminder', nested: { list: [1, null], bytes: new Uint8Array([1, 2]) }, at: new Date(0) }
      {
        await using bus = await store.open()
        bus.subscribe('reminder', fails, { group: 'handlers' })
        await bus.publish('reminder', data, {
          delayMs: 400,
          session: 's',
          headers: { type: 'Reminder' },
          priority: 'high',
        })
        expect((await bus.channels())[0]?.ledger).toMatchObject({ delayed: 1 })
      }
      await using bus = await store.open()
      const seen: unknown[] = []
      const openedMs = performance.now()
      bus.subscribe('reminder', (message) => void seen.push([message, performance.now() - openedMs]), {
        group: 'handlers',
      })
      await until(() => seen.length === 1)
      expect(seen).toMatchObject([
        [{ data, session: 's', headers: { type: 'Reminder' }, priority: 'high' }, expect.any(Number)],
      ])
      expect(await ledgerOf(bus)).toMatchObject({ delayed: 0, dead: 0, balance: 0 })
      expect(seen).toHaveLength(1)
    })

    test('[LN9] of a burst of 20,000 to a limit of 10,000 (on a broker 2,000 to 1,000) the publishers know exactly which were kept', async () => {
      await using store = make()
      const burst = isBroker(name) ? 2_000 : 20_000
      const limit = burst / 2
      await using bus = await store.open({ channels: { burst: { limit, overflow: 'refuse' } } })
      const wait = gate()
      let handled = 0
      bus.subscribe(
        'burst',
        async () => {
          await wait.opened
          handled++
        },
        { group: 'handlers', concurrency: 1_000, handlerTimeoutMs: 600_000 },
      )
      const outcomes: string[] = []
      for (const part of range(20)) {
        const results = await Promise.allSettled(
          range(burst / 20).map((n) => bus.publish('burst', (part * burst) / 20 + n)),
        )
        for (const one of results) outcomes.push(one.status === 'fulfilled' ? one.value.level : one.reason.code)
      }
      const kept = outcomes.filter((one) => one !== 'QUEUE_FULL').length
      expect(outcomes).toHaveLength(burst)
      // Exact to those that were on their way at the same time.
      expect(kept).toBeGreaterThanOrEqual(limit)
      expect(kept).toBeLessThanOrEqual(limit + burst / 20)
      wait.open()
      await until(async () => (await ledgerOf(bus)).acked === kept)
      expect(handled).toBe(kept)
    }, 120_000)
  })
}
