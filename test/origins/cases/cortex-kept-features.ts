import { describe, expect, test } from 'vitest'
import type { Backend } from '../../kept/support.ts'
import { ledgerOf, ledgerUntil, until } from '../support/cortex-kept.ts'
import { numbers } from '../support/cortex-veritas.ts'

export function cortexKeptFeaturesCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[CN18] dead letters: a message that always fails leaves its group and is found among them, by a bus opened later', async () => {
      await using store = make()
      {
        await using bus = await store.open({ defaults: { retry: { attempts: 1 } } })
        bus.subscribe('tasks.*', () => Promise.reject(new Error('down')), { group: 'workers' })
        await bus.publish('tasks.a', 'poison', { until: 'handled' })
        await ledgerUntil(bus, ({ dead }) => dead === 1)
      }
      await using bus = await store.open()
      const [letter] = await bus.deadLetters.list()
      expect([letter?.message.data, letter?.reason]).toEqual(['poison', 'handler-error'])
      expect(await ledgerOf(bus)).toMatchObject({ dead: 1, pending: 0, balance: 0 })
    })

    test('[CN18] replay: what was handled and acknowledged is read again, after a restart too', async () => {
      await using store = make()
      {
        await using bus = await store.open()
        bus.subscribe('tasks.*', () => undefined, { group: 'workers' })
        for (const number of numbers(5)) await bus.publish('tasks.a', number, { until: 'handled' })
      }
      await using bus = await store.open()
      const replayed: unknown[] = []
      for await (const { data } of bus.replay('tasks.>')) replayed.push(data)
      expect(replayed).toEqual(numbers(5))
      const joined: unknown[] = []
      bus.subscribe('tasks.>', ({ data }) => void joined.push(data), { from: 'first' })
      await bus.publish('tasks.a', 5)
      await until(() => joined.length === 6)
      expect(joined).toEqual(numbers(6))
    })

    test('[CN18] metrics: the ledger and the figures follow each message', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: { attempts: 1 } } })
      bus.subscribe(
        'tasks.*',
        ({ data }) => {
          if (data === 'bad') throw new Error('down')
        },
        { group: 'workers' },
      )
      expect((await bus.channels()).find((one) => one.name === 'tasks')?.messages ?? 0).toBe(0)
      for (const data of ['good', 'bad', 'good']) await bus.publish('tasks.a', data, { until: 'handled' })
      await ledgerUntil(bus, ({ acked, dead }) => acked === 2 && dead === 1)
      await until(async () => (await bus.deadLetters.count()) === 1)
      const info = (await bus.channels()).find((one) => one.name === 'tasks')
      expect(info).toMatchObject({ messages: 3, deadLetters: 1 })
      expect(info?.ledger).toMatchObject({ published: 3, acked: 2, dead: 1, pending: 0, leased: 0 })
      const stats = bus.stats()
      expect(stats.ledger).toMatchObject({ handled: 2, failed: 1 })
      expect(stats.latency.count).toBe(3)
    })
  })
}
