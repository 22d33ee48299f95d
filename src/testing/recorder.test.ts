import { expect, test } from 'vitest'
import { recorder } from './recorder.ts'
import { testBus } from './test-bus.ts'

const topicsOf = (messages: readonly { topic: string }[]): string[] => messages.map(({ topic }) => topic)

test('a recorder keeps what is published on its pattern, in order, with data', async () => {
  await using one = testBus()
  using tasks = recorder(one.bus, 'tasks.*')
  await one.bus.publish('tasks.a', { n: 1 })
  await one.bus.publish('other', 1)
  await one.bus.publish('tasks.b', { n: 2 })
  await one.bus.idle()
  expect(topicsOf(tasks.messages)).toEqual(['tasks.a', 'tasks.b'])
  expect(tasks.messages.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }])
})

test('next waits for as many as are wanted, and gives each message once', async () => {
  await using one = testBus()
  using all = recorder(one.bus, '>')
  const first = all.next(2)
  const third = all.next()
  for (const topic of ['a', 'b', 'c', 'd']) await one.bus.publish(topic, 0)
  expect([topicsOf(await first), topicsOf(await third), topicsOf(await all.next())]).toEqual([['a', 'b'], ['c'], ['d']])
  expect(topicsOf(all.messages)).toEqual(['a', 'b', 'c', 'd'])
})

test('next that waits in vain says what came instead, and loses nothing', async () => {
  await using one = testBus()
  using all = recorder(one.bus, '>', { env: one.env })
  const waiting = all.next(3, { timeoutMs: 500 }).catch((error: unknown) => error)
  await one.bus.publish('a', 0)
  await one.env.advance(499)
  let settled = false
  void waiting.then(() => (settled = true))
  await one.env.settle()
  expect(settled).toBe(false)
  await one.env.advance(1)
  expect(await waiting).toMatchObject({
    code: 'RECEIVE_TIMEOUT',
    message: '1 of 3 messages came in 500 ms: a',
    details: { count: 3, came: 1 },
  })
  expect(topicsOf(await all.next())).toEqual(['a'])
  expect(one.env.timers).toBe(0)
})

test('a wish that gives up makes way for the smaller one behind it', async () => {
  await using one = testBus()
  using all = recorder(one.bus, '>', { env: one.env })
  const large = all.next(5, { timeoutMs: 10 }).catch(() => 'gave up')
  const small = all.next(1, { timeoutMs: 1_000 })
  await one.bus.publish('a', 0)
  await one.env.advance(10)
  expect([await large, topicsOf(await small)]).toEqual(['gave up', ['a']])
})

test('a recorder only looks on: it answers nothing and makes nobody a responder', async () => {
  await using one = testBus()
  using all = recorder(one.bus, '>')
  await expect(one.bus.request('nobody', 1)).rejects.toMatchObject({ code: 'NO_RESPONDERS' })
  one.bus.subscribe('somebody', () => 'answer')
  expect((await one.bus.request('somebody', 1)).data).toBe('answer')
  expect(topicsOf(all.messages)).toContain('somebody')
})

test('it can be limited to a session, and cleared', async () => {
  await using one = testBus()
  using of = recorder(one.bus, '>', { session: 's1' })
  await one.bus.publish('a', 0, { session: 's1' })
  await one.bus.publish('b', 0, { session: 's2' })
  await one.bus.idle()
  expect(topicsOf(of.messages)).toEqual(['a'])
  of.clear()
  expect(of.messages).toEqual([])
  await one.bus.publish('c', 0, { session: 's1' })
  expect(topicsOf(await of.next())).toEqual(['c'])
})

test('its end refuses who waits, and takes the subscription away', async () => {
  await using one = testBus()
  const all = recorder(one.bus, '>')
  const waiting = all.next().catch((error: unknown) => error)
  all[Symbol.dispose]()
  expect(await waiting).toMatchObject({ code: 'SUBSCRIPTION_ENDED' })
  await expect(all.next()).rejects.toMatchObject({ code: 'SUBSCRIPTION_ENDED' })
  expect(one.bus.subscribers('a')).toEqual([])
})

test('wrong options and wishes are refused', async () => {
  await using one = testBus()
  expect(() => recorder(one.bus, 'a..b')).toThrow(expect.objectContaining({ code: 'INVALID_TOPIC' }))
  expect(() => recorder(one.bus, '>', { nmae: 'x' } as object)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
  using all = recorder(one.bus, '>')
  await expect(all.next(0)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  await expect(all.next(1, { timeoutMs: -1 })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})
