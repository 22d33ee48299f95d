import { describe, expect, test } from 'vitest'
import type { DeadLetterAlert, OpenOptions } from '../../../src/index.ts'
import type { Backend } from '../../kept/support.ts'
import { ledgerOf, until } from '../support/cortex-kept.ts'
import { codeOf, numbers } from '../support/cortex-veritas.ts'

const FAST = { attempts: 3, firstDelayMs: 1, factor: 1, jitter: 'none' } as const
const DIES: OpenOptions = { defaults: { retry: { attempts: 1 } } }

export function cortexKeptRetryCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[C18] dead letters are listed newest first and limited, counted, discarded, and retried to their old priority', async () => {
      await using store = make()
      const bus = await store.open(DIES)
      let broken = true
      const seen: [unknown, string][] = []
      bus.subscribe(
        'tasks.*',
        ({ data, priority }) => {
          if (broken) throw new Error('down')
          seen.push([data, priority])
        },
        { group: 'workers', concurrency: 1 },
      )
      for (const number of numbers(10)) {
        await bus.publish('tasks.coding', number, { priority: number % 2 === 0 ? 'critical' : 'low', until: 'handled' })
        await until(async () => (await bus.deadLetters.count()) === number + 1)
      }
      const data = async (limit: number): Promise<unknown[]> =>
        (await bus.deadLetters.list({ limit })).map((one) => one.message.data)
      expect(await data(3)).toEqual([9, 8, 7])
      expect(await data(100)).toEqual(numbers(10).toReversed())
      const [newest, second] = await bus.deadLetters.list()
      await bus.deadLetters.discard(newest?.id as string)
      expect(await bus.deadLetters.count()).toBe(9)
      expect(await codeOf(bus.deadLetters.get(newest?.id as string))).toBe('UNKNOWN_DEAD_LETTER')
      expect(await codeOf(bus.deadLetters.redrive(newest?.id as string))).toBe('UNKNOWN_DEAD_LETTER')
      broken = false
      await bus.deadLetters.redrive(second?.id as string)
      await until(() => seen.length === 1)
      expect(seen).toEqual([[8, 'critical']])
      expect(await bus.deadLetters.redriveAll()).toBe(8)
      await until(() => seen.length === 9)
      expect(seen.slice(1).toSorted(([a], [b]) => Number(a) - Number(b))).toEqual(
        numbers(8).map((number) => [number, number % 2 === 0 ? 'critical' : 'low']),
      )
      expect(await bus.deadLetters.count()).toBe(0)
      await bus.close()
    })

    test('[C18] [CN16] attempts before a redrive stay in the history; they are not counted anew unseen', async () => {
      await using store = make()
      const bus = await store.open({ defaults: { retry: FAST } })
      const attempts: number[] = []
      bus.subscribe(
        'tasks.*',
        (_message, { attempt }) => {
          attempts.push(attempt)
          throw new Error(`try ${attempts.length}`)
        },
        { group: 'workers' },
      )
      await bus.publish('tasks.a', 1)
      for (const redriven of [0, 1, 2]) {
        await until(async () => (await bus.deadLetters.list())[0]?.redriven === redriven, `death ${redriven}`)
        const [letter] = await bus.deadLetters.list()
        expect(letter?.attempts.map((one) => one.error.replace('Error: ', ''))).toEqual(
          numbers(3 * (redriven + 1)).map((number) => `try ${number + 1}`),
        )
        if (redriven < 2) await bus.deadLetters.redrive(letter?.id as string)
      }
      expect(attempts).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3])
      expect((await ledgerOf(bus)).balance).toBe(0)
      await bus.close()
    })

    test('[C19] the alert comes when 3 messages to one agent have died, and names agent and count', async () => {
      await using store = make()
      const alerts: DeadLetterAlert[] = []
      const bus = await store.open({ ...DIES, onDeadLetters: (alert) => void alerts.push(alert) })
      for (const name of ['pink', 'red']) bus.register(name, { handler: () => Promise.reject(new Error('down')) })
      for (const name of ['pink', 'red', 'pink', 'red']) await bus.send(name, 1, { until: 'handled' })
      await until(async () => (await bus.deadLetters.count()) === 4)
      expect(alerts).toEqual([])
      await bus.send('pink', 1, { until: 'handled' })
      await until(() => alerts.length > 0)
      expect(alerts).toMatchObject([{ agent: 'pink', count: 3 }])
      expect(alerts[0]?.text).toMatch(/\b3\b.*pink/)
      for (const _ of numbers(3)) await bus.send('pink', 1, { until: 'handled' })
      await until(() => alerts.length === 2)
      expect(alerts[1]).toMatchObject({ agent: 'pink', count: 6 })
      await bus.close()
    })

    test('[CN7] a message whose handler fails is not acknowledged; after 3 failures it is in the dead letters and nowhere else', async () => {
      await using store = make()
      const bus = await store.open({ defaults: { retry: FAST } })
      let calls = 0
      bus.subscribe(
        'tasks.*',
        async () => {
          calls++
          expect((await ledgerOf(bus)).acked).toBe(0)
          throw new Error('down')
        },
        { group: 'workers' },
      )
      await bus.publish('tasks.a', 1)
      await until(async () => (await bus.deadLetters.count()) === 1)
      expect(calls).toBe(3)
      expect(await ledgerOf(bus)).toMatchObject({ published: 1, dead: 1, acked: 0, pending: 0, delayed: 0, leased: 0 })
      await bus.close()
      await using again = await store.open()
      let more = 0
      again.subscribe('tasks.*', () => void more++, { group: 'workers' })
      await again.publish('tasks.a', 2)
      await until(() => more > 0)
      await again.idle()
      expect(more).toBe(1)
      expect(await again.deadLetters.count()).toBe(1)
    })
  })
}
