import { describe, expect, test } from 'vitest'
import type { Message } from '../../../src/index.ts'
import type { Backend } from '../../kept/support.ts'
import { ledgerOf, ledgerUntil, until } from '../support/cortex-kept.ts'
import { follow, gate, numbers, refusal } from '../support/cortex-veritas.ts'

export function cortexKeptDeliveryCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[C14] a publish is answered with an id and a place under which the message is kept already', async () => {
      await using store = make()
      await using bus = await store.open()
      for (const number of numbers(20)) {
        const { id, offset, level } = await bus.publish('tasks.a', number)
        expect(level).toBe((await bus.channels())[0]?.level)
        const found: Message[] = []
        for await (const message of bus.replay('tasks.>', { from: { offset: offset as string } })) found.push(message)
        expect(found.map((one) => [one.id, one.data])).toEqual([[id, number]])
      }
    })

    test('[C15] the acknowledgement comes after the handler has finished, not when it begins', async () => {
      await using store = make()
      await using bus = await store.open()
      const busy = gate()
      let started = false
      bus.subscribe(
        'tasks.*',
        async () => {
          started = true
          await busy.closed
        },
        { group: 'workers' },
      )
      const done = follow(bus.publish('tasks.a', 1, { until: 'handled' }))
      await until(() => started)
      await ledgerUntil(bus, ({ leased }) => leased === 1)
      expect(await ledgerOf(bus)).toMatchObject({ acked: 0, leased: 1 })
      expect(done.state).toBe('pending')
      busy.open()
      await ledgerUntil(bus, ({ acked }) => acked === 1)
      await until(() => done.state === 'resolved')
    })

    test('[C21] a task that waits is dropped with a record when it is cancelled; its neighbours are handled', async () => {
      await using store = make()
      await using bus = await store.open()
      const busy = gate()
      const handled: unknown[] = []
      bus.subscribe(
        'tasks.*',
        async ({ data }) => {
          handled.push(data)
          await busy.closed
        },
        { group: 'workers', concurrency: 1 },
      )
      const acks = await Promise.all(numbers(3).map((number) => bus.publish('tasks.a', number)))
      await ledgerUntil(bus, ({ leased }) => leased === 3)
      expect(await bus.cancel(acks[1]?.id as string)).toBe(1)
      expect(await bus.cancel(acks[1]?.id as string)).toBe(0)
      busy.open()
      await ledgerUntil(bus, ({ acked, dropped }) => acked === 2 && dropped === 1)
      expect(handled).toEqual([0, 2])
      await until(async () => (await bus.deadLetters.count({ reason: 'cancelled' })) === 1)
      expect((await bus.deadLetters.list())[0]?.message.data).toBe(1)
    })

    test('[C21] a running task gets an abort signal, is not tried again, and leaves a record', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: { attempts: 5, firstDelayMs: 0 } } })
      let starts = 0
      let reason: unknown
      bus.subscribe(
        'tasks.*',
        (_message, { signal }) =>
          new Promise((_resolve, reject) => {
            starts++
            signal.addEventListener('abort', () => {
              reason = signal.reason
              reject(signal.reason as Error)
            })
          }),
        { group: 'workers' },
      )
      const { id } = await bus.publish('tasks.a', 1)
      await until(() => starts === 1)
      expect(await bus.cancel(id)).toBe(1)
      expect(reason).toMatchObject({ code: 'CANCELLED' })
      await ledgerUntil(bus, ({ dropped }) => dropped === 1)
      await until(async () => (await bus.deadLetters.count({ reason: 'cancelled' })) === 1)
      expect(starts).toBe(1)
      expect((await ledgerOf(bus)).balance).toBe(0)
    })

    test('[C21] a cancel of a task that nobody works on yet overtakes it', async () => {
      await using store = make()
      await using bus = await store.open()
      const handled: unknown[] = []
      bus.subscribe('tasks.*', ({ data }) => void handled.push(data), { group: 'workers' })
      const unwanted = await bus.publish('tasks.a', 'unwanted', { delayMs: 3_600_000 })
      await bus.publish('tasks.a', 'wanted', { until: 'handled' })
      expect(await bus.cancel(unwanted.id)).toBe(1)
      await ledgerUntil(bus, ({ dropped, acked }) => dropped === 1 && acked === 1)
      await until(async () => (await bus.deadLetters.count({ reason: 'cancelled' })) === 1)
      expect(handled).toEqual(['wanted'])
    })

    test('[C22] a repeat with the same key is accepted once and gets the first id back, after a restart too', async () => {
      await using store = make()
      const handled: unknown[] = []
      let firstId = ''
      {
        await using bus = await store.open()
        const [first, second] = await Promise.all([
          bus.publish('tasks.a', 'one', { idempotencyKey: 'order-1' }),
          bus.publish('tasks.a', 'two', { idempotencyKey: 'order-1' }),
        ])
        expect([first?.duplicate, second?.duplicate]).toEqual([false, true])
        expect(second?.id).toBe(first?.id)
        expect(second?.offset).toBe(first?.offset)
        firstId = first?.id as string
      }
      await using bus = await store.open()
      bus.subscribe('tasks.*', ({ data }) => void handled.push(data), { group: 'workers' })
      const third = await bus.publish('tasks.a', 'three', { idempotencyKey: 'order-1' })
      expect([third.id, third.duplicate]).toEqual([firstId, true])
      const other = await bus.publish('tasks.a', 'four', { idempotencyKey: 'order-2', until: 'handled' })
      expect(other.duplicate).toBe(false)
      expect(handled).toEqual(['one', 'four'])
    })

    test('[C28] a consumer gets no more than it has room for; all the rest waits in the log, counted', async () => {
      await using store = make()
      await using bus = await store.open({ channels: { tasks: { window: 10 } } })
      const busy = gate()
      let running = 0
      let most = 0
      bus.subscribe(
        'tasks.*',
        async () => {
          running++
          most = Math.max(most, running)
          await busy.closed
          running--
        },
        { group: 'workers', concurrency: 4 },
      )
      await Promise.all(numbers(100).map((number) => bus.publish('tasks.a', number)))
      await until(() => running === 4)
      await ledgerUntil(bus, ({ leased }) => leased === 10)
      expect(await ledgerOf(bus)).toMatchObject({ published: 100, leased: 10, pending: 90, balance: 0 })
      busy.open()
      await ledgerUntil(bus, ({ acked }) => acked === 100)
      expect(most).toBe(4)
    })

    test('[C28] a full channel is visible to the publisher, and what was accepted is not dropped', async () => {
      await using store = make()
      await using bus = await store.open({ channels: { tasks: { limit: 5, overflow: 'refuse' } } })
      const busy = gate()
      const handled: unknown[] = []
      bus.subscribe(
        'tasks.*',
        async ({ data }) => {
          await busy.closed
          handled.push(data)
        },
        { group: 'workers' },
      )
      for (const number of numbers(5)) await bus.publish('tasks.a', number)
      const error = await refusal(bus.publish('tasks.a', 5))
      expect(error.code).toBe('QUEUE_FULL')
      expect(error.details).toMatchObject({ name: 'tasks', limit: 5 })
      busy.open()
      await ledgerUntil(bus, ({ acked }) => acked === 5)
      await bus.publish('tasks.a', 6, { until: 'handled' })
      expect(handled).toEqual([0, 1, 2, 3, 4, 6])
      expect(await ledgerOf(bus)).toMatchObject({ published: 6, acked: 6, dropped: 0, balance: 0 })
    })

    test('[C28] a channel that drops its oldest message under pressure says so by a dead letter', async () => {
      await using store = make()
      await using bus = await store.open({ channels: { tasks: { limit: 5, overflow: 'drop-oldest' } } })
      await bus.subscribe('tasks.*', () => undefined, { group: 'workers' }).drain()
      for (const number of numbers(8)) await bus.publish('tasks.a', number)
      const letters = await bus.deadLetters.list({ order: 'oldest' })
      expect(letters.map((one) => [one.message.data, one.reason])).toEqual(numbers(3).map((one) => [one, 'queue-full']))
      expect(await ledgerOf(bus)).toMatchObject({ dropped: 3, pending: 5, balance: 0 })
    })
  })
}
