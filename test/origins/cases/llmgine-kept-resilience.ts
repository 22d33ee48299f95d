import { describe, expect, test } from 'vitest'
import { BusError, type DeadLetter, type Message } from '../../../src/index.ts'
import { type HandlerStatsCollector, handlerStats, isFailedResult } from '../../../src/reliability/index.ts'
import type { Backend } from '../../kept/support.ts'
import { AT_ONCE, ledgerOf, until } from '../support/kept.ts'
import { announcements, range } from '../support/woodwork.ts'

// A command is a kept message that one group handles; its outcome is announced, and a dead letter when nothing helped.

export const fails = (): never => {
  throw new Error('no')
}
/** A result that reports a failure is one. */
const strict =
  (next: (message: Message, context: never) => unknown) =>
  async (message: Message, context: never): Promise<unknown> => {
    const result = await next(message, context)
    if (isFailedResult(result)) throw new Error('the command reports a failure')
    return result
  }

export function llmgineKeptResilienceCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[L36] errors and failed results are retried; what cannot get better is not, unless a predicate says so', async () => {
      await using store = make()
      const calls: Record<string, number> = {}
      await using bus = await store.open({
        defaults: { retry: { ...AT_ONCE, attempts: 3 } },
        channels: {
          stubborn: {
            retry: { ...AT_ONCE, attempts: 3 },
            when: (error) => (error instanceof RangeError ? false : undefined),
          },
        },
      })
      bus.use(strict as never)
      const what: Record<string, () => unknown> = {
        thrown: fails,
        result: () => ({ success: false }),
        invalid: () => {
          throw new BusError('SCHEMA_MISMATCH', 'wrong data')
        },
        cancelled: () => {
          throw new BusError('CANCELLED', 'given up')
        },
        stubborn: () => {
          throw new RangeError('the predicate knows')
        },
      }
      for (const [topic, handler] of Object.entries(what)) {
        bus.subscribe(
          topic,
          () => {
            calls[topic] = (calls[topic] ?? 0) + 1
            return handler()
          },
          { group: 'handlers' },
        )
        await bus.publish(topic, 1, { until: 'handled' })
      }
      expect(calls).toEqual({ thrown: 3, result: 3, invalid: 1, cancelled: 1, stubborn: 1 })
      await until(async () => (await bus.deadLetters.count()) === 5)
    })

    test('[L37] one published and one result announcement per command, and one for each attempt that another follows', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, attempts: 3 } } })
      bus.subscribe(
        'command',
        ({ data }, { attempt }) => (data === 'good' && attempt < 3 ? fails() : data === 'bad' ? fails() : 'done'),
        {
          group: 'handlers',
        },
      )
      const names = [
        'message.published',
        'message.retried',
        'message.handled',
        'message.failed',
        'message.died',
      ] as const
      const told = new Map<string, readonly unknown[]>()
      const nested = names.reduceRight<() => Promise<void>>(
        (run, name) => async () => {
          told.set(name, await announcements(name, run))
        },
        async () => {
          for (const data of ['good', 'bad']) await bus.publish('command', data, { until: 'handled' })
          await until(async () => (await bus.deadLetters.count()) === 1)
        },
      )
      await nested()
      const of = (name: string, data: string): unknown[] =>
        (told.get(name) ?? []).filter((one) => (one as { message: Message }).message.data === data)
      expect(names.map((name) => of(name, 'good').length)).toEqual([1, 2, 1, 0, 0])
      expect(names.map((name) => of(name, 'bad').length)).toEqual([1, 2, 0, 1, 1])
      expect(of('message.retried', 'bad').map((one) => (one as { attempt: number }).attempt)).toEqual([1, 2])
      expect(of('message.failed', 'bad')[0]).toMatchObject({ attempt: 3, reason: 'handler-error' })
    })

    test('[L39] [LN20] dead letters in an order that reading does not change; one is retried with fresh attempts and leaves on success only', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, attempts: 2 } } })
      let calls = 0
      let ill = true
      bus.subscribe(
        'command',
        ({ data }) => {
          if (data === 3) calls++
          if (ill) fails()
        },
        { group: 'handlers' },
      )
      for (const n of range(7)) await bus.publish('command', n, { until: 'handled' })
      await until(async () => (await bus.deadLetters.count()) === 7)
      for (const order of ['newest', 'oldest'] as const) {
        const first = await bus.deadLetters.list({ limit: 5, order })
        expect(await bus.deadLetters.list({ limit: 5, order })).toEqual(first)
        const numbers = first.map(({ message }) => message.data)
        expect(numbers).toEqual(order === 'newest' ? [6, 5, 4, 3, 2] : [0, 1, 2, 3, 4])
      }
      const find = async () => (await bus.deadLetters.list()).find(({ message }) => message.data === 3)
      await bus.deadLetters.redrive((await find())?.id ?? '')
      await until(async () => calls === 4 && (await bus.deadLetters.count()) === 7)
      expect(await find()).toMatchObject({ redriven: 1, attempts: { length: 4 } })
      ill = false
      await bus.deadLetters.redrive((await find())?.id ?? '')
      await until(async () => (await ledgerOf(bus)).acked === 1)
      expect(await find()).toBeUndefined()
      expect([calls, await bus.deadLetters.count()]).toEqual([5, 6])
    })

    test('[L39] [LN5] full dead letters lose the oldest with an event, keep nobody waiting, and redriven ones take no room', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: { attempts: 1 }, deadLetterLimit: 10 } })
      let ill = true
      bus.subscribe('command', () => (ill ? fails() : undefined), { group: 'handlers' })
      const evicted = await announcements('dead-letter.evicted', async () => {
        for (const n of range(25)) await bus.publish('command', n, { until: 'handled' })
        await until(async () => (await bus.deadLetters.count()) === 10)
      })
      expect(evicted.map((one) => (one as { letter: DeadLetter }).letter.message.data)).toEqual(range(15))
      ill = false
      expect(await bus.deadLetters.redriveAll()).toBe(10)
      await until(async () => (await ledgerOf(bus)).acked === 10)
      ill = true
      const none = await announcements('dead-letter.evicted', async () => {
        for (const n of range(10)) await bus.publish('command', 100 + n, { until: 'handled' })
        await until(async () => (await bus.deadLetters.count()) === 10)
      })
      expect(none).toEqual([])
    })

    test('[L40] an event dies for the handler that failed, and is tried again for that one only', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, attempts: 2 } } })
      const seen: string[] = []
      let ill = true
      bus.subscribe('event', () => void seen.push('good'), { group: 'good' })
      bus.subscribe(
        'event',
        () => {
          seen.push('bad')
          if (ill) fails()
        },
        { group: 'bad' },
      )
      await bus.publish('event', 1, { until: 'handled' })
      await until(async () => (await bus.deadLetters.count()) === 1)
      const [letter] = await bus.deadLetters.list()
      expect(letter).toMatchObject({ group: 'bad:event' })
      ill = false
      await bus.deadLetters.redrive(letter?.id ?? '')
      await until(async () => seen.length === 4 && (await ledgerOf(bus)).pending === 0)
      expect(seen.toSorted()).toEqual(['bad', 'bad', 'bad', 'good'])
      expect(await bus.deadLetters.count()).toBe(0)
    })

    test('[L41] every attempt counts in the statistics of its handler and session, which are forgotten with the session', async () => {
      await using store = make()
      const stats: HandlerStatsCollector = handlerStats()
      await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, attempts: 3 } } })
      bus.use(stats.middleware)
      bus.subscribe('command', ({ data }, { attempt }) => (attempt <= (data as number) ? fails() : undefined), {
        group: 'handlers',
        name: 'build',
      })
      for (const [session, failures] of [
        ['s1', 1],
        ['s1', 3],
        ['s2', 0],
      ] as const) {
        await bus.publish('command', failures, { session, until: 'handled' })
      }
      expect(stats.get('build', 's1')).toMatchObject({
        failureCount: 4,
        consecutiveFailures: 3,
        totalExecutions: 5,
        failureRate: 4 / 5,
        lastFailure: { text: expect.stringContaining('no') },
      })
      expect(stats.get('build', 's2')).toMatchObject({ failureCount: 0, totalExecutions: 1, failureRate: 0 })
      expect(stats.forget('s1')).toBe(1)
      expect(stats.get('build', 's1')).toBeUndefined()
    })
  })
}
