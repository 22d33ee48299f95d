import { expect, test } from 'vitest'
import type { MessageLog } from '../log/log.ts'
import { memoryLog } from '../log/memory.ts'
import { openBus } from '../node/node.ts'

test('[W12] publishes side by side are counted together, one after another each for itself, and none is admitted beyond the limit', async () => {
  await using inner = memoryLog()
  let asked = 0
  const log: MessageLog = {
    ...inner,
    groups: (stream) => {
      // Of one lane: that is how room is looked for.
      if (stream !== undefined) asked++
      return inner.groups(stream)
    },
  }
  await using bus = await openBus(log, { channels: { tasks: { limit: 102, overflow: 'refuse' } } })
  await bus.publish('tasks.a', 0)
  const single = asked
  expect(single).toBeGreaterThan(0)
  asked = 0
  await Promise.all(Array.from({ length: 100 }, (_, n) => bus.publish('tasks.a', n)))
  // One count for the first of them, one for all others.
  expect(asked).toBe(2 * single)
  asked = 0
  await bus.publish('tasks.a', 101)
  await expect(bus.publish('tasks.a', 102)).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  expect(asked).toBe(2 * single)
})

test('a count that failed is asked for again by whoever comes next', async () => {
  await using inner = memoryLog()
  let ill = false
  const log: MessageLog = {
    ...inner,
    groups: (stream) => (ill ? Promise.reject(new Error('ill')) : inner.groups(stream)),
  }
  await using bus = await openBus(log, { channels: { tasks: { limit: 10 } } })
  ill = true
  const results = await Promise.allSettled([bus.publish('tasks.a', 1), bus.publish('tasks.a', 2)])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  ill = false
  expect((await bus.publish('tasks.a', 3)).level).toBe('memory')
})
