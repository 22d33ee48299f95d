import { describe, expect, test } from 'vitest'
import { isBusError } from '../../../src/index.ts'
import { range } from '../../crash/run.ts'
import { deep, POISONS } from '../../origins/support/woodwork-poison.ts'
import type { Backend } from '../support.ts'
import { ledgerOf, until } from '../support.ts'

const RETRY = { attempts: 3, firstDelayMs: 1, factor: 1, jitter: 'none' } as const
const REFUSED = /^(INVALID_PAYLOAD|PAYLOAD_TOO_LARGE)$/

const FAILING = Object.entries(POISONS).filter(([, poison]) => poison.outcome === 'failed')

export function poisonCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test.each(FAILING)(
      '[I17] [CN7] a handler that %s costs its message three attempts and a dead letter, and nothing else',
      async (_, poison) => {
        await using store = make()
        await using bus = await store.open({ defaults: { retry: RETRY }, drainMs: 20 })
        let tries = 0
        const good: number[] = []
        bus.subscribe(
          'work.*',
          (message, context) => {
            if (message.data !== 7) {
              good.push(message.data as number)
              return
            }
            tries++
            return poison.handler(message, context)
          },
          { group: 'g', handlerTimeoutMs: 100, concurrency: 4 },
        )
        for (let n = 0; n < 20; n++) await bus.publish('work.a', n, n % 2 === 0 ? {} : { session: `s${n % 3}` })
        await until(async () => (await bus.deadLetters.count()) === 1, 'the dead letter')
        await until(() => good.length === 19, 'the others')
        await until(async () => (await ledgerOf(bus)).acked === 19, 'their acknowledgements')
        expect(tries).toBe(RETRY.attempts)
        expect(good.toSorted((a, b) => a - b)).toEqual(range(0, 19).filter((n) => n !== 7))
        const [letter] = await bus.deadLetters.list()
        const reason = poison.hangs === true ? 'handler-timeout' : 'handler-error'
        expect(letter).toMatchObject({ message: { data: 7 }, reason, attempts: range(1, 3).map(() => ({})) })
        expect(typeof letter?.error).toBe('string')
        expect(letter?.error).not.toBe('')
        expect(await ledgerOf(bus)).toMatchObject({
          published: 20,
          acked: 19,
          dead: 1,
          pending: 0,
          leased: 0,
          balance: 0,
        })
      },
    )

    test('[I17] data of 10 MB, or of 10 000 levels, is refused at the publish, and nothing of it is kept', async () => {
      await using store = make()
      await using bus = await store.open()
      const codeOf = (error: unknown): string => (isBusError(error) ? error.code : String(error))
      await bus.publish('work.a', 'before')
      expect(await bus.publish('work.a', 'x'.repeat(10 * 1_048_576)).catch(codeOf)).toBe('PAYLOAD_TOO_LARGE')
      expect(await bus.publish('work.a', deep(10_000)).catch(codeOf)).toMatch(REFUSED)
      expect(await bus.publish('work.a', { list: Array.from({ length: 300_000 }, () => 'four') }).catch(codeOf)).toBe(
        'PAYLOAD_TOO_LARGE',
      )
      const circle: Record<string, unknown> = {}
      circle.self = circle
      expect(await bus.publish('work.a', circle).catch(codeOf)).toMatch(REFUSED)
      await bus.publish('work.a', 'behind')
      const kept: unknown[] = []
      for await (const { data } of bus.replay('work.>')) kept.push(data)
      expect(kept).toEqual(['before', 'behind'])
      expect(await ledgerOf(bus)).toMatchObject({ published: 2, held: 2, balance: 0 })
    })
  })
}
