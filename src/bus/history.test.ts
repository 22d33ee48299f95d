import fc from 'fast-check'
import { expect, test } from 'vitest'
import { messageMaker } from '../message/make.ts'
import type { Message } from '../message/message.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { History } from './history.ts'

const maker = messageMaker(fakeEnv())
const make = (number: number): Message =>
  maker.make(
    `t.${number}`,
    { number },
    { from: 'a', to: 'b', session: 's', priority: 'high', correlationId: 'c', headers: { h: 'x' } },
  )

test('[Z19] [C41] the newest entries are kept, oldest first; a count gives the last of them', () => {
  fc.assert(
    fc.property(fc.nat(12), fc.nat(40), fc.nat(15), (limit, noted, count) => {
      const history = new History(limit, false)
      for (let number = 0; number < noted; number++) history.note(make(number), 10)
      const kept = Array.from({ length: Math.min(limit, noted) }, (_, index) => noted - Math.min(limit, noted) + index)
      const numbers = (list: readonly { topic: string }[]): number[] => list.map(({ topic }) => Number(topic.slice(2)))
      expect(numbers(history.list())).toEqual(kept)
      expect(numbers(history.list(count))).toEqual(count === 0 ? [] : kept.slice(-count))
      expect(history.size).toBe(kept.length)
    }),
  )
})

test('[Z19] an entry has the envelope without content', () => {
  const history = new History(5, false)
  const message = make(1)
  history.note(message, 10)
  const { id, topic, time } = message
  expect(history.list()).toEqual([
    { id, topic, time, from: 'a', to: 'b', session: 's', priority: 'high', correlationId: 'c' },
  ])
  expect(history.list()[0]).not.toHaveProperty('data')
})

test('with the option the data is there, too, whatever its size', () => {
  const history = new History(2, true)
  history.note(make(1), 1e9)
  expect(history.list()[0]?.data).toEqual({ number: 1 })
})

test.each([
  ['large', 5_000],
  ['unmeasured', Number.NaN],
])('%s data is not kept alive by a history without data', async (_name, bytes) => {
  const history = new History(5, false)
  const ref = ((): WeakRef<object> => {
    const data = { text: 'x'.repeat(100) }
    history.note({ ...make(1), data } as Message, bytes)
    return new WeakRef(data)
  })()
  await new Promise<void>((resolve) => setImmediate(resolve))
  globalThis.gc?.()
  expect(ref.deref()).toBeUndefined()
  expect(history.list()[0]?.topic).toBe('t.1')
})

test('what a reader gets is a copy: changing it changes nothing', () => {
  const history = new History(2, false)
  history.note(make(1), 10)
  const list = history.list() as unknown as { topic: string }[]
  list[0]!.topic = 'changed'
  list.push({ topic: 'more' })
  expect(history.list().map(({ topic }) => topic)).toEqual(['t.1'])
})

test('clear forgets everything, and what follows is kept in order', () => {
  const history = new History(3, false)
  for (let number = 0; number < 5; number++) history.note(make(number), 10)
  history.clear()
  expect([history.size, history.list()]).toEqual([0, []])
  for (let number = 5; number < 9; number++) history.note(make(number), 10)
  expect(history.list().map(({ topic }) => topic)).toEqual(['t.6', 't.7', 't.8'])
})
