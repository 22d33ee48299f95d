import { describe, expect, test } from 'vitest'
import type { Context, Message } from '../../../src/index.ts'
import type { Backend } from '../../kept/support.ts'
import { numbers } from '../support/cortex-veritas.ts'
import { ledgerOf, until } from '../support/kept.ts'

export function veritasKeptCrashCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[V51] [I10] the ledger balances at any time, through retries, deaths, expiry, cancels, redrives and a restart', {
      timeout: 60_000,
    }, async () => {
      await using store = make()
      const options = { defaults: { retry: { attempts: 3, firstDelayMs: 5, jitter: 'none' } }, drainMs: 2_000 } as const
      let bus = await store.open(options)
      const join = (): void => {
        for (const group of ['one', 'two']) {
          const handler = async (message: Message, context: Context): Promise<void> => {
            const n = message.data as number
            if (n % 3 === 0) await new Promise<void>((resolve) => void setImmediate(resolve))
            if (n % 10 === 7 || (n % 5 === 2 && context.attempt === 1)) throw new Error(`fault ${n}`)
          }
          bus.subscribe('work.*', handler, { group, concurrency: 5 })
        }
      }
      const looks: number[] = []
      const look = async (): Promise<void> => {
        const { balance, published = 0 } = await ledgerOf(bus)
        expect(balance).toBe(0)
        looks.push(published)
      }
      join()
      for (const n of numbers(300)) {
        const expires = n % 20 === 3 ? { ttlMs: 1 } : {}
        const late = n % 25 === 4 ? { delayMs: 30 } : {}
        const ack = await bus.publish('work.x', n, { session: `s${n % 7}`, ...expires, ...late })
        if (n % 40 === 9) await bus.cancel(ack.id)
        if (n % 10 === 0) await look()
        if (n === 150) {
          await bus.close()
          bus = await store.open(options)
          join()
          await look()
        }
      }
      await until(async () => {
        await look()
        const { pending, leased, delayed } = await ledgerOf(bus)
        return pending === 0 && leased === 0 && delayed === 0
      }, 'the end of all')
      const ledger = await ledgerOf(bus)
      expect(ledger).toMatchObject({ published: 600, balance: 0, held: 0 })
      expect(ledger.dead).toBeGreaterThanOrEqual(50)
      expect((ledger.acked ?? 0) + (ledger.dead ?? 0) + (ledger.expired ?? 0) + (ledger.dropped ?? 0)).toBe(600)
      const died = (ledger.dead ?? 0) + (ledger.expired ?? 0) + (ledger.dropped ?? 0)
      await until(async () => (await bus.deadLetters.count()) === died, 'the dead letters')
      expect(await bus.deadLetters.redriveAll({ reason: 'handler-error', limit: 10 })).toBe(10)
      await look()
      await bus.close()
    })
  })
}
