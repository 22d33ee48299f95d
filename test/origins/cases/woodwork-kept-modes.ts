import { describe, expect, test } from 'vitest'
import { DELIVERY_MODE_HEADER, type DeliveryMode, MAX_RETRIES_HEADER } from '../../../src/index.ts'
import type { Backend } from '../../kept/support.ts'
import { AT_ONCE, until } from '../support/kept.ts'

export const MODES: readonly DeliveryMode[] = ['at-most-once', 'at-least-once', 'exactly-once']
const fails = (): never => {
  throw new Error('no')
}

export function woodworkKeptModesCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[W8] [WN1] the mode of a channel decides how often a failing handler is called; nothing is forgotten', async () => {
      await using store = make()
      const calls = new Map<string, number>()
      const channels = Object.fromEntries(MODES.map((mode) => [mode, { mode, retry: AT_ONCE }]))
      await using bus = await store.open({ channels })
      for (const mode of MODES) {
        bus.subscribe(
          mode,
          ({ topic }) => {
            calls.set(topic, (calls.get(topic) ?? 0) + 1)
            fails()
          },
          { group: 'g' },
        )
        const { deliveries } = await bus.publish(mode, 1, { until: 'handled' })
        expect(deliveries).toMatchObject([{ outcome: 'failed', reason: 'handler-error' }])
      }
      expect(Object.fromEntries(calls)).toEqual({ 'at-most-once': 1, 'at-least-once': 4, 'exactly-once': 4 })
      await until(async () => (await bus.deadLetters.count()) === 3)
      const letters = await bus.deadLetters.list({ order: 'oldest' })
      expect(letters.map(({ channel, attempts }) => [channel, attempts.length])).toEqual([
        ['at-most-once', 1],
        ['at-least-once', 4],
        ['exactly-once', 4],
      ])
      // A person may still decide to try it once more.
      await bus.deadLetters.redrive(letters[0]?.id ?? '')
      await until(() => calls.get('at-most-once') === 2)
      await until(async () => (await bus.deadLetters.count({ channel: 'at-most-once' })) === 1)
      expect(calls.get('at-most-once')).toBe(2)
    })

    test('[W8] [W10] a message that states mode or retries is handled by its own word, another by its channel', async () => {
      await using store = make()
      const calls: unknown[] = []
      await using bus = await store.open({ channels: { t: { retry: { ...AT_ONCE, attempts: 3 } } } })
      bus.subscribe(
        't',
        ({ data }) => {
          calls.push(data)
          fails()
        },
        { group: 'g' },
      )
      const send = (data: string, headers: Record<string, string>) =>
        bus.publish('t', data, { headers, until: 'handled' })
      await send('channel', {})
      await send('once', { [DELIVERY_MODE_HEADER]: 'at-most-once' })
      await send('none', { [MAX_RETRIES_HEADER]: '0' })
      await send('five', { [MAX_RETRIES_HEADER]: '5' })
      await send('unread', { [DELIVERY_MODE_HEADER]: 'whatever', [MAX_RETRIES_HEADER]: '-1' })
      const count = (data: string): number => calls.filter((one) => one === data).length
      expect(['channel', 'once', 'none', 'five', 'unread'].map(count)).toEqual([3, 1, 1, 6, 3])
    })

    test('[W8] [WN2] the effect of an id happens once, whoever publishes it again and whatever fails in between', async () => {
      await using store = make()
      const effects: unknown[] = []
      let tries = 0
      // Without the log's own comparison of ids: it is the mode that must hold the promise.
      const options = {
        channels: { once: { mode: 'exactly-once', retry: AT_ONCE }, twice: { retry: AT_ONCE } },
      } as const
      const id = '018f2f6e-0000-7000-8000-000000000001'
      const open = async () => {
        const bus = await store.open(options)
        const handler = ({ data }: { readonly data: unknown }): void => {
          if (++tries === 1) throw new Error('the first try fails')
          effects.push(data)
        }
        for (const topic of ['once.*', 'twice.*']) bus.subscribe(topic, handler, { group: 'g' })
        return bus
      }
      {
        await using bus = await open()
        await bus.publish('once.a', 'effect', { id, until: 'succeeded' })
        expect((await bus.publish('once.a', 'effect', { id, until: 'handled' })).duplicate).toBe(true)
        // The key makes another message of it for the log, the id does not for the mode.
        const again = await bus.publish('once.b', 'effect', { id, idempotencyKey: 'other', until: 'succeeded' })
        expect(again.duplicate).toBe(false)
        expect([tries, effects]).toEqual([2, ['effect']])
        const [ledger] = (await bus.channels()).map((one) => one.ledger)
        expect(ledger).toMatchObject({ published: 2, acked: 2, held: 0 })
      }
      await using bus = await open()
      expect(
        (await bus.publish('once.c', 'effect', { id, idempotencyKey: 'third', until: 'succeeded' })).duplicate,
      ).toBe(false)
      expect(effects).toEqual(['effect'])
      for (const key of ['x', 'y'])
        await bus.publish('twice.a', 'plain', { id, idempotencyKey: key, until: 'succeeded' })
      expect(effects).toEqual(['effect', 'plain', 'plain'])
    })
  })
}
