import { describe, expect, test } from 'vitest'
import type { Backend } from '../../kept/support.ts'
import { AT_ONCE, ledgerOf, until } from '../support/kept.ts'
import { faultOf, gate, range } from '../support/woodwork.ts'

export const fails = (): never => {
  throw new Error('no')
}

export function woodworkKeptBusCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[W6] messages for a declared component are held through a restart and come in order, each once', async () => {
      await using store = make()
      {
        await using bus = await store.open()
        bus.declare('late')
        for (const n of range(5)) expect(await bus.send('late', n)).toMatchObject({ held: true })
        expect((await faultOf(bus.send('nobody', 1))).code).toBe('UNKNOWN_AGENT')
      }
      await using bus = await store.open({ preset: 'woodwork' })
      const seen: unknown[] = []
      bus.declare('late')
      expect(await bus.send('late', 5)).toMatchObject({ held: true })
      bus.register('late', { handler: ({ data }) => void seen.push(data) })
      expect(await bus.send('late', 6)).toMatchObject({ held: false })
      await until(() => seen.length >= 7)
      await until(async () => (await ledgerOf(bus)).acked === 7)
      expect(seen).toEqual(range(7))
    })

    test('[W7] every group of a topic is served on its own: one fails, one is slow, the third is done', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: AT_ONCE } })
      const slow = gate()
      const seen: unknown[] = []
      let tries = 0
      bus.subscribe('t', () => slow.opened, { group: 'slow' })
      bus.subscribe(
        't',
        () => {
          tries++
          fails()
        },
        { group: 'bad' },
      )
      bus.subscribe(
        't',
        ({ data }) => {
          seen.push(data)
          if (data === 0) bus.subscribe('t', () => void seen.push('another'), { group: 'another' })
        },
        { group: 'good' },
      )
      const acks = []
      for (const n of range(3)) acks.push(await bus.publish('t', n, { receipt: true }))
      await until(() => seen.filter((one) => typeof one === 'number').length === 3 && tries === 12)
      slow.open()
      const outcomes = await Promise.all(
        acks.map(async ({ receipt }) =>
          Object.fromEntries(((await receipt) ?? []).map(({ name, outcome }) => [name, outcome])),
        ),
      )
      for (const one of outcomes) expect(one).toMatchObject({ slow: 'handled', bad: 'failed', good: 'handled' })
      expect(seen.filter((one) => typeof one === 'number')).toEqual(range(3))
    })

    test('[W10] [WN5] the retries that the bus is given are obeyed by every channel that states none', async () => {
      await using store = make()
      const calls: Record<string, number> = {}
      await using bus = await store.open({
        defaults: { retry: { ...AT_ONCE, attempts: 2 } },
        channels: { own: { retry: { ...AT_ONCE, attempts: 5 } } },
      })
      for (const topic of ['plain', 'own']) {
        bus.subscribe(
          topic,
          () => {
            calls[topic] = (calls[topic] ?? 0) + 1
            fails()
          },
          { group: 'g' },
        )
        await bus.publish(topic, 1, { until: 'handled' })
      }
      expect(calls).toEqual({ plain: 2, own: 5 })
    })

    test('[W11] dead letters: listed, filtered, counted, replayed one or all, purged, told of; the oldest beyond the limit goes', async () => {
      await using store = make()
      const told: string[] = []
      const alerts: string[] = []
      await using bus = await store.open({
        defaults: { retry: { attempts: 1 }, deadLetterLimit: 20 },
        onDeadLetters: ({ text }) => void alerts.push(text),
        deadLettersAfter: 10,
      })
      let healthy = false
      const seen: unknown[] = []
      bus.subscribe(
        't.*',
        ({ data }) => {
          if (!healthy) throw new Error('the handler is ill')
          seen.push(data)
        },
        { group: 'g' },
      )
      const unwatch = bus.deadLetters.watch(({ message }) => void told.push(message.topic))
      for (const n of range(25))
        await bus.publish(n % 2 === 0 ? 't.even' : 't.odd', n, { session: `s${n}`, until: 'handled' })
      await until(async () => (await bus.deadLetters.count()) === 20)
      unwatch()
      expect(told).toHaveLength(25)
      expect(alerts).toHaveLength(2)
      const newest = await bus.deadLetters.list({ limit: 5 })
      expect(newest.map(({ message }) => message.data)).toEqual([24, 23, 22, 21, 20])
      expect(newest[0]).toMatchObject({
        channel: 't',
        reason: 'handler-error',
        error: expect.stringContaining('the handler is ill'),
        diedAt: expect.any(Number),
        message: { topic: 't.even', session: 's24' },
      })
      expect(await bus.deadLetters.count({ topic: 't.even' })).toBe(10)
      expect((await bus.deadLetters.list({ session: 's7' })).map(({ message }) => message.data)).toEqual([7])
      expect(await bus.deadLetters.count({ reason: 'expired' })).toBe(0)
      healthy = true
      await bus.deadLetters.redrive(newest[0]?.id ?? '')
      await until(() => seen.length === 1)
      expect(seen).toEqual([24])
      expect(await bus.deadLetters.redriveAll({ topic: 't.odd' })).toBe(10)
      await until(() => seen.length === 11)
      expect(await bus.deadLetters.discardAll()).toBe(9)
      expect(await bus.deadLetters.count()).toBe(0)
      expect((await faultOf(bus.deadLetters.get(newest[0]?.id ?? ''))).code).toBe('UNKNOWN_DEAD_LETTER')
    })

    test('[W12] a full channel lets the publisher wait, refuses, or makes a dead letter; the publisher is told each time', async () => {
      await using store = make()
      const dead: unknown[] = []
      await using bus = await store.open({
        channels: {
          waits: { limit: 3, overflow: 'wait', waitMs: 30 },
          refuses: { limit: 3, overflow: 'refuse' },
          buries: { limit: 3, overflow: 'dead-letter' },
          drops: { limit: 3, overflow: 'drop-oldest' },
        },
      })
      bus.deadLetters.watch(({ reason, message }) => void dead.push([reason, message.data]))
      const wait = gate()
      for (const topic of ['waits', 'refuses', 'buries', 'drops']) {
        bus.subscribe(topic, () => wait.opened, { group: 'g', concurrency: 1 })
        for (const n of range(3)) await bus.publish(topic, n)
      }
      for (const topic of ['waits', 'refuses']) expect((await faultOf(bus.publish(topic, 3))).code).toBe('QUEUE_FULL')
      const buried = await bus.publish('buries', 3, { until: 'handled' })
      expect(buried.refused).toMatchObject([{ name: 'buries', error: { code: 'QUEUE_FULL' } }])
      expect(buried.deliveries).toMatchObject([{ outcome: 'dropped', reason: 'queue-full' }])
      expect(await bus.deadLetters.list({ channel: 'buries' })).toMatchObject([
        { reason: 'queue-full', message: { data: 3 } },
      ])
      await bus.publish('drops', 3)
      await until(async () => (await bus.deadLetters.count({ channel: 'drops' })) === 1)
      // The oldest that waits: the first one is being handled.
      expect((await bus.deadLetters.list({ channel: 'drops' }))[0]).toMatchObject({
        reason: 'queue-full',
        message: { data: 1 },
      })
      expect(dead).toEqual([
        ['queue-full', 3],
        ['queue-full', 1],
      ])
      const waiting = bus.publish('waits', 4)
      wait.open()
      expect((await waiting).duplicate).toBe(false)
      expect(await ledgerOf(bus)).toMatchObject({ balance: 0 })
    })

    test('[W13] [WN4] order holds in each session, sender and level through retries; other sessions are not held up', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, firstDelayMs: 5 } } })
      const done = new Map<string, number[]>()
      const tried = new Map<string, number>()
      for (const n of range(4)) {
        for (const session of ['s1', 's2']) {
          for (const priority of ['high', 'low'] as const)
            await bus.publish('t', n, { session, priority, from: 'alice' })
        }
      }
      bus.subscribe(
        't',
        ({ data, session, priority }, { attempt }) => {
          const key = `${session} ${priority}`
          const n = data as number
          tried.set(key, (tried.get(key) ?? 0) + 1)
          if (n === 0 && attempt < 3) fails()
          done.set(key, [...(done.get(key) ?? []), n])
        },
        { group: 'g', concurrency: 8 },
      )
      await until(async () => (await ledgerOf(bus)).acked === 16)
      expect(done.size).toBe(4)
      for (const [key, numbers] of done) expect(numbers, key).toEqual(range(4))
      expect([...tried.values()]).toEqual([6, 6, 6, 6])
    })

    test('[W14] [WN8] what belongs to a session reaches no other: groups, replies, replay', async () => {
      await using store = make()
      await using bus = await store.open()
      const heard = new Map<string, unknown[]>()
      const sessions = range(50).map((n) => `client-${n}`)
      for (const session of sessions) {
        bus.subscribe('input', ({ data }) => void heard.set(session, [...(heard.get(session) ?? []), data]), {
          group: 'front',
          session,
        })
      }
      await Promise.all(sessions.map((session, n) => bus.publish('input', n, { session })))
      await bus.publish('input', 'of nobody')
      await until(() => heard.size === 50)
      for (const [n, session] of sessions.entries()) {
        expect(heard.get(session)).toEqual([n])
        const replayed: unknown[] = []
        for await (const message of bus.replay('input', { session })) replayed.push(message.data)
        expect(replayed).toEqual([n])
      }
    })
  })
}
