import { describe, expect, test } from 'vitest'
import type { Bus, Inbox } from '../../../src/index.ts'
import type { Backend } from '../../kept/support.ts'
import { numbers } from '../support/cortex-veritas.ts'
import { ledgerOf, until } from '../support/kept.ts'

export function zejzlKeptReceiveCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    async function taken(box: { receive: Inbox['receive'] }, count: number): Promise<unknown[]> {
      const data: unknown[] = []
      while (data.length < count) data.push((await box.receive()).data)
      return data
    }

    const acked = async (bus: Bus): Promise<number> => (await ledgerOf(bus)).acked ?? 0

    test('[ZN16] a message taken by hand is acknowledged when the next one is taken, or at an orderly end, not before', async () => {
      await using store = make()
      const bus = await store.open()
      const agent = bus.register('a')
      for (const index of numbers(4)) await bus.send('a', index)
      expect(await taken(agent, 2)).toEqual([0, 1])
      await until(async () => (await acked(bus)) === 1, 'the first acknowledgement')
      expect(await ledgerOf(bus)).toMatchObject({ acked: 1, balance: 0 })
      await bus.close()
      const again = await store.open()
      expect(await taken(again.register('a'), 2)).toEqual([2, 3])
      await again.close()
    })

    test.each(['lanes', 'strict'] as const)(
      '[ZN16] [I6] with order "%s" a session is taken by hand in order, one message after the other',
      async (order) => {
        await using store = make()
        const bus = await store.open({ defaults: { order } })
        const agent = bus.register('a')
        const box = bus.inbox('tasks.*', { group: 'g' })
        for (const index of numbers(5)) {
          await bus.send('a', index, { session: 's' })
          await bus.publish('tasks.x', index, { session: 's' })
        }
        expect(await taken(agent, 5)).toEqual(numbers(5))
        expect(await taken(box, 5)).toEqual(numbers(5))
        await bus.close()
      },
    )

    test('[ZN16] a window of 1 does not stop a consumer that takes by hand', async () => {
      await using store = make()
      const bus = await store.open({ defaults: { window: 1 } })
      const box = bus.inbox('tasks.*', { group: 'g' })
      for (const index of numbers(4)) await bus.publish('tasks.x', index)
      expect(await taken(box, 4)).toEqual(numbers(4))
      await bus.close()
    })

    test('[ZN16] taking from one channel acknowledges what the same inbox took from another', async () => {
      await using store = make()
      const bus = await store.open()
      const box = bus.inbox(['tasks.*', 'jobs.*'], { group: 'g' })
      await bus.publish('tasks.x', 1)
      expect(await taken(box, 1)).toEqual([1])
      await bus.publish('jobs.x', 2)
      expect(await taken(box, 1)).toEqual([2])
      await until(async () => (await acked(bus)) === 1, 'the acknowledgement of the first')
      await bus.close()
    })

    test('[ZN16] what waits for an agent that unregisters is there for the next one of its name', async () => {
      await using store = make()
      const bus = await store.open()
      const agent = bus.register('a')
      for (const index of numbers(4)) await bus.send('a', index, { session: 's' })
      expect(await taken(agent, 1)).toEqual([0])
      agent.unregister()
      expect(await taken(bus.register('a'), 3)).toEqual([1, 2, 3])
      await until(async () => (await acked(bus)) === 3, 'the acknowledgements')
      expect(await bus.deadLetters.count()).toBe(0)
      await bus.close()
    })

    test('[ZN16] an inbox that ends gives back what it had not handed out, also to another member of its group', async () => {
      await using store = make()
      const bus = await store.open()
      const one = bus.inbox('tasks.*', { group: 'g' })
      for (const index of numbers(4)) await bus.publish('tasks.x', index)
      expect(await taken(one, 1)).toEqual([0])
      one[Symbol.dispose]()
      const other = bus.inbox('tasks.*', { group: 'g' })
      expect(await taken(other, 3)).toEqual([1, 2, 3])
      await bus.close()
    })
  })
}
