import { describe, expect, test } from 'vitest'
import type { Backend } from '../../kept/support.ts'
import { until } from '../support/kept.ts'
import { gate, range } from '../support/woodwork.ts'

export function woodworkKeptStopCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[W19] [W13] [WN4] a message that fails while the bus stops is not overtaken by those behind it', async () => {
      await using store = make()
      const options = { defaults: { retry: { attempts: 3, firstDelayMs: 1, jitter: 'none' } } } as const
      const seen: unknown[] = []
      {
        await using bus = await store.open(options)
        const first = gate()
        const started = gate()
        bus.subscribe(
          'work',
          async ({ data }, { attempt }) => {
            seen.push(`${data} ${attempt}`)
            started.open()
            await first.opened
            if (data === 0) throw new Error('the first one fails')
          },
          { group: 'g' },
        )
        for (const n of range(4)) await bus.publish('work', n, { session: 's' })
        await started.opened
        const stopping = bus.stop()
        first.open()
        expect(await stopping).toMatchObject({ handled: 0, left: 0, abandoned: 0, kept: 4 })
        expect(seen).toEqual(['0 1'])
      }
      await using bus = await store.open(options)
      bus.subscribe('work', ({ data }, { attempt }) => void seen.push(`${data} ${attempt}`), { group: 'g' })
      await until(() => seen.length >= 5)
      expect(seen).toEqual(['0 1', '0 2', '1 1', '2 1', '3 1'])
    })

    test('[W19] a stop finishes what is in hand within its deadline, and a start goes on with what was kept', async () => {
      await using store = make()
      await using bus = await store.open()
      const seen: unknown[] = []
      bus.subscribe('work', ({ data }) => void seen.push(data), { group: 'g' })
      for (const n of range(3)) await bus.publish('work', n)
      await until(() => seen.length === 3)
      expect(await bus.stop()).toMatchObject({ left: 0, abandoned: 0, kept: 0 })
      bus.start()
      await bus.publish('work', 3, { until: 'succeeded' })
      expect(seen).toEqual(range(4))
    })
  })
}
