import { describe, expect, test } from 'vitest'
import { type Message, PRIORITIES, priorityFrom } from '../../../src/index.ts'
import { eventPriority } from '../../../src/message/dialects/index.ts'
import type { Backend } from '../../kept/support.ts'
import { ledgerUntil, until } from '../support/cortex-kept.ts'
import { numbers } from '../support/cortex-veritas.ts'

export function cortexKeptMessagesCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[C2] values keep their types through the store and a restart', async () => {
      await using store = make()
      const data = {
        whole: 42,
        big: 2 ** 53 - 1,
        negative: -0.125,
        text: '42',
        yes: true,
        no: false,
        nothing: null,
        list: [1, '1', [true, null], { deep: { deeper: 1e-7 } }],
        empty: {},
        unicode: 'grün 🚀   "quoted"',
        bytes: new Uint8Array([0, 255, 128]),
        when: new Date(1_700_000_000_123),
      }
      {
        await using bus = await store.open()
        await bus.publish('tasks.a', data, { headers: { count: '42' } })
      }
      await using bus = await store.open()
      const got: Message[] = []
      bus.subscribe('tasks.*', (message) => void got.push(message), { group: 'coders' })
      await until(() => got.length === 1)
      expect(got[0]?.data).toEqual(data)
      expect(got[0]?.headers).toEqual({ count: '42' })
      for await (const message of bus.replay('tasks.>')) expect(message.data).toEqual(data)
    })

    test('[C4] the five levels survive the store and are handed out from the highest to the lowest after a restart', async () => {
      await using store = make()
      const levels = [4, 2, 0, 3, 1, 'unheard-of'] as const
      {
        await using bus = await store.open()
        for (const level of levels) await bus.publish('tasks.a', level, { priority: priorityFrom(level) })
      }
      await using bus = await store.open({ autoStart: false })
      const got: [unknown, string][] = []
      bus.subscribe('tasks.*', ({ data, priority }) => void got.push([data, priority]), {
        group: 'all',
        concurrency: 1,
      })
      await ledgerUntil(bus, ({ leased }) => leased === 6)
      bus.start()
      await until(() => got.length === 6)
      expect(got).toEqual([
        [0, 'critical'],
        [1, 'high'],
        [2, 'normal'],
        ['unheard-of', 'normal'],
        [3, 'low'],
        [4, 'background'],
      ])
    })

    test('[C4] events map to the level of their kind and are kept in its lane', async () => {
      await using store = make()
      await using bus = await store.open()
      const kinds = {
        critical: 'critical',
        error: 'critical',
        alert: 'critical',
        high: 'high',
        warning: 'high',
        low: 'low',
      }
      const all = { ...kinds, debug: 'low', lobe_start: 'normal' }
      for (const [kind, level] of Object.entries(all)) {
        const { offset } = await bus.publish(`events.${kind}`, kind, { priority: eventPriority(`events.${kind}`) })
        expect(offset).toContain(`events/${level}:`)
      }
    })

    test('[C5] [CN5] behind a kept backlog of 2 000 low messages, 5 critical ones are the next', {
      timeout: 60_000,
    }, async () => {
      await using store = make()
      await using bus = await store.open()
      await Promise.all(numbers(2_000).map((number) => bus.publish('tasks.a', number, { priority: 'low' })))
      const got: unknown[] = []
      const gate = Promise.withResolvers<void>()
      bus.subscribe(
        'tasks.*',
        async ({ data }) => {
          got.push(data)
          if (got.length === 10) await gate.promise
        },
        { group: 'workers', concurrency: 1 },
      )
      await until(() => got.length === 10)
      for (const number of numbers(5)) await bus.publish('tasks.a', `critical ${number}`, { priority: 'critical' })
      // 256 low ones are in hand already: no buffer may put them before those that came now.
      await ledgerUntil(bus, ({ leased }) => leased === 256 + 5)
      gate.resolve()
      await until(() => got.length === 2_005)
      expect(got.slice(10, 15)).toEqual(numbers(5).map((number) => `critical ${number}`))
      expect(got.filter((one) => typeof one === 'number')).toEqual(numbers(2_000))
    })

    test('[C5] low and background messages of a kept backlog are passed by at most 100 higher ones in a row', async () => {
      await using store = make()
      {
        await using bus = await store.open()
        for (const level of ['low', 'background'] as const) await bus.publish('tasks.a', level, { priority: level })
        await Promise.all(numbers(400).map((number) => bus.publish('tasks.a', number, { priority: 'high' })))
      }
      await using bus = await store.open({ channels: { tasks: { window: 1_000 } }, autoStart: false })
      const got: unknown[] = []
      bus.subscribe('tasks.*', ({ data }) => void got.push(data), { group: 'workers', concurrency: 1 })
      await ledgerUntil(bus, ({ leased }) => leased === 402)
      bus.start()
      await until(() => got.length === 402)
      const places = ['low', 'background'].map((level) => got.indexOf(level))
      expect(Math.min(...places)).toBeLessThanOrEqual(100)
      expect(Math.max(...places)).toBeLessThanOrEqual(201)
      expect(Math.min(...places)).toBeGreaterThan(10)
    })

    test('[C6] 20 000 kept messages of all levels to two inboxes come first in, first out in each level and inbox', {
      timeout: 120_000,
    }, async () => {
      await using store = make()
      await using bus = await store.open({ limit: 100_000 })
      const got = new Map<string, number[]>()
      for (const name of ['pink', 'red']) {
        bus.register(name, {
          handler: ({ data, priority }) => {
            const key = `${name} ${priority}`
            const list = got.get(key) ?? []
            got.set(key, list)
            list.push(data as number)
          },
        })
      }
      for (let from = 0; from < 20_000; from += 1_000) {
        await Promise.all(
          numbers(1_000).map((index) => {
            const number = from + index
            const priority = PRIORITIES[number % 5]
            return bus.send(number % 3 === 0 ? 'pink' : 'red', number, priority === undefined ? {} : { priority })
          }),
        )
      }
      const count = (): number => [...got.values()].reduce((sum, list) => sum + list.length, 0)
      await until(() => count() >= 20_000)
      await ledgerUntil(bus, ({ acked }) => acked === 20_000)
      expect(count()).toBe(20_000)
      expect(got.size).toBe(10)
      for (const [key, list] of got) {
        let last = -1
        let wrong = 0
        for (const number of list) {
          if (number < last) wrong++
          last = number
        }
        expect([key, wrong]).toEqual([key, 0])
      }
    })
  })
}
