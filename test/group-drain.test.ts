import { expect, test } from 'vitest'
import { createBus } from '../src/index.ts'

test('a member of a group that drains ends what it has in hand, and the group goes on without a hole', async () => {
  await using bus = createBus()
  const seen: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = bus.subscribe(
    'tasks.coding',
    async ({ data }) => {
      await gate.promise
      seen.push(`pink ${data}`)
    },
    { group: 'coders', name: 'pink' },
  )
  await bus.publish('tasks.coding', 1)
  await new Promise((resolve) => setImmediate(resolve))
  bus.subscribe('tasks.coding', ({ data }) => void seen.push(`red ${data}`), { group: 'coders', name: 'red' })
  const drained = first.drain()
  expect((await bus.publish('tasks.coding', 2, { until: 'handled' })).recipients).toBe(1)
  expect(seen).toEqual(['red 2'])
  gate.resolve()
  await drained
  expect(first.active).toBe(false)
  await bus.publish('tasks.coding', 3, { until: 'handled' })
  expect(seen).toEqual(['red 2', 'pink 1', 'red 3'])
  expect(bus.stats().ledger).toMatchObject({ published: 3, handled: 3, dropped: 0 })
})
