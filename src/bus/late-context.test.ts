import { expect, test } from 'vitest'
import { createBus } from './bus.ts'
import type { Context } from './handler.ts'

test('a handler that uses its context when it is over sends as before, and is not counted as running again', async () => {
  const bus = createBus()
  const heard: unknown[] = []
  const kept: Context[] = []
  bus.register('once', { concurrency: 1, handler: (_message, context) => void kept.push(context) })
  bus.subscribe('later', ({ data, causationId }) => void heard.push([data, causationId]))
  bus.subscribe('asked', ({ data }) => data)
  const { id } = await bus.send('once', 1)
  await bus.idle()
  const [late] = kept
  await late?.bus.publish('later', 'x')
  expect((await late?.bus.request('asked', 'y'))?.data).toBe('y')
  expect(bus.stats().concurrency.active).toBe(0)
  await bus.send('once', 2)
  await bus.idle()
  expect(kept).toHaveLength(2)
  expect(heard).toEqual([['x', id]])
  expect(await bus.close({ limitMs: 0 })).toEqual({ handled: 0, left: 0, abandoned: 0 })
})
