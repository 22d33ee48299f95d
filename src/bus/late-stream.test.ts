import { expect, test } from 'vitest'
import { createBus } from './bus.ts'

test('an async handler that resolves to a generator answers as a stream, as a handler that returns one does', async () => {
  await using bus = createBus()
  bus.subscribe('count', async () =>
    (async function* () {
      yield 1
      yield 2
    })(),
  )
  const parts: unknown[] = []
  for await (const part of bus.requestStream('count', undefined)) parts.push(part)
  expect(parts).toEqual([1, 2])
})

test('an async handler that resolves to something that refuses to be looked at fails alone', async () => {
  await using bus = createBus()
  const { proxy, revoke } = Proxy.revocable({}, {})
  bus.subscribe('trap', async () => {
    const answer = { inner: proxy }
    revoke()
    return answer
  })
  bus.subscribe('plain', async () => 'fine')
  await expect(bus.request('trap', undefined)).rejects.toThrow()
  expect((await bus.request('plain', undefined)).data).toBe('fine')
})
