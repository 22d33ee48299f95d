import { describe, expect, test } from 'vitest'
import type { Message } from '../../../src/index.ts'
import type { Backend } from '../../kept/support.ts'
import { codeOf, numbers } from '../support/cortex-veritas.ts'
import { ledgerOf, until } from '../support/kept.ts'

export function veritasKeptDeliveryCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[V34] dead letters are counted, replayed one by one or all, cleared, and survive a restart', async () => {
      await using store = make()
      let works = false
      const seen: unknown[] = []
      const options = { defaults: { retry: { attempts: 1 } } }
      const handler = ({ data }: Message): void => {
        if (!works) throw new Error('no')
        seen.push(data)
      }
      let bus = await store.open(options)
      bus.register('a', { handler })
      for (const index of numbers(6)) await bus.send('a', index)
      await until(async () => (await bus.deadLetters.count()) === 6, 'the dead letters')
      await bus.close()
      bus = await store.open(options)
      bus.register('a', { handler })
      works = true
      const [newest] = await bus.deadLetters.list({ agent: 'a', limit: 1 })
      await bus.deadLetters.redrive(newest?.id as string)
      expect(await codeOf(bus.deadLetters.redrive(newest?.id as string))).toBe('UNKNOWN_DEAD_LETTER')
      await until(() => seen.length === 1, 'the first one')
      const [other] = await bus.deadLetters.list({ limit: 1 })
      await bus.deadLetters.discard(other?.id as string)
      expect(await bus.deadLetters.redriveAll({ limit: 2 })).toBe(2)
      await until(() => seen.length === 3, 'two more')
      expect(await bus.deadLetters.discardAll()).toBe(2)
      expect(await bus.deadLetters.count()).toBe(0)
      expect(seen).toEqual([5, 0, 1])
      await bus.close()
    })

    test('[V34] [VN11] dead letters are bounded: beyond the limit the oldest goes, and that is announced', async () => {
      await using store = make()
      const bus = await store.open({ defaults: { retry: { attempts: 1 }, deadLetterLimit: 10 } })
      bus.register('a', {
        handler: () => {
          throw new Error('no')
        },
      })
      for (const index of numbers(50)) await bus.send('a', index)
      await until(async () => (await ledgerOf(bus)).dead === 50, 'the deaths')
      await until(async () => (await bus.deadLetters.count()) === 10, 'the limit')
      const left = await bus.deadLetters.list({ order: 'oldest' })
      expect(left.map((one) => one.message.data)).toEqual(numbers(10).map((index) => 40 + index))
      await bus.close()
    })
  })
}
