import { describe, expect, test } from 'vitest'
import { isBusError, type Message, type Priority } from '../../../src/index.ts'
import { type Backend, ledgerOf, until } from '../support.ts'

export function wholeCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ name, make }) => {
    test('[I2] [I3] what was published is handled value for value, and nothing of what was refused, not after a restart either', async () => {
      await using store = make()
      const options = { channels: { small: { limit: 5, overflow: 'refuse' as const } }, maxPayloadBytes: 10_000 }
      const kept: unknown[] = []
      const refused: string[] = []
      const deep = {
        list: [1, null, 'two', { three: new Date(3), four: Uint8Array.of(4) }],
        big: 5n,
        empty: {},
        none: [],
      }
      const given: readonly (readonly [topic: string, data: unknown, priority?: Priority])[] = [
        ...[0, -0.5, '', 'grün 🚀', true, null, deep].map((data) => ['work.a', data] as const),
        ['work.a', 'x'.repeat(20_000)],
        ['work.a', () => 'no data'],
        ['work.a', new Map([['key', new Set([1])]]), 'critical'],
        ...Array.from({ length: 9 }, (_, n) => ['small.a', n] as const),
      ]
      {
        const bus = await store.open(options)
        // They are there, and do not read: so the channel fills.
        for (const topic of ['work.*', 'small.*']) await bus.subscribe(topic, () => undefined, { group: 'g' }).drain()
        for (const [topic, data, priority = 'normal'] of given) {
          await bus.publish(topic, data, { priority }).then(
            () => kept.push(data),
            (error: unknown) => refused.push(isBusError(error) ? error.code : String(error)),
          )
        }
        await bus.close()
      }
      expect(refused).toEqual([
        'PAYLOAD_TOO_LARGE',
        // Memory keeps data as it is: nothing is encoded where nothing leaves the process, so even a function arrives.
        ...(name === 'memory' ? [] : ['INVALID_PAYLOAD']),
        ...Array.from({ length: 4 }, () => 'QUEUE_FULL'),
      ])
      await using bus = await store.open(options)
      const handled: unknown[] = []
      const handler = ({ data }: Message): void => void handled.push(data)
      for (const topic of ['work.*', 'small.*']) bus.subscribe(topic, handler, { group: 'g', concurrency: 1 })
      await until(() => handled.length >= kept.length, 'all that was kept')
      await until(async () => (await ledgerOf(bus)).acked === kept.length)
      expect(handled).toHaveLength(kept.length)
      for (const data of kept) expect(handled).toContainEqual(data)
      expect(await ledgerOf(bus)).toMatchObject({ published: kept.length, acked: kept.length, dead: 0, balance: 0 })
    })
  })
}
