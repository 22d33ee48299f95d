import { expect, test } from 'vitest'
import { BACKENDS, until } from '../../test/kept/support.ts'
import { openBus } from '../node/node.ts'

test.each(BACKENDS)('what was published before a place does not come, whatever its level ($name)', async ({ make }) => {
  await using store = make()
  await using bus = await store.open()
  await bus.publish('work', 'old high', { priority: 'high' })
  await bus.publish('work', 'old low', { priority: 'low' })
  // A place is told apart from what was stored in another lane by the time of storing.
  await new Promise<void>((resolve) => void setTimeout(resolve, 5))
  const { offset = '' } = await bus.publish('work', 'place')
  const seen: unknown[] = []
  bus.subscribe('work', ({ data }) => void seen.push(data), { from: { after: offset } })
  await bus.publish('work', 'new')
  await bus.publish('work', 'new high', { priority: 'high' })
  await bus.publish('work', 'new low', { priority: 'low' })
  await until(() => seen.includes('new low') && seen.includes('new high') && seen.includes('new'))
  expect(seen).toHaveLength(3)
})

test('a place that no ack gave is refused by the subscription itself', async () => {
  await using bus = await openBus('memory:')
  for (const group of [undefined, 'g']) {
    expect(() =>
      bus.subscribe('work', () => undefined, {
        from: { offset: 'nowhere' },
        ...(group === undefined ? {} : { group }),
      }),
    ).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  }
  expect(bus.stats().subscriptions).toBe(0)
})
