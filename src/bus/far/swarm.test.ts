import { expect, test } from 'vitest'
import { fakeEnv } from '../../testing/fake-env.ts'
import { memoryHub, memoryWire } from '../../wire/memory.ts'
import { type Bus, createBus } from '../bus.ts'
import type { BusOptions } from '../options.ts'

/** Several buses on one hub: to each other they are processes. */
async function swarm(count: number, options: BusOptions = {}) {
  const env = fakeEnv()
  const hub = memoryHub(env)
  const buses = Array.from({ length: count }, (_, at) =>
    createBus({ env, name: `p${at}`, wire: memoryWire(hub), ...options }),
  )
  await env.advance(1_000)
  await Promise.all(buses.map((bus) => bus.ready))
  return {
    env,
    hub,
    buses: buses as [Bus, Bus, Bus],
    async [Symbol.asyncDispose]() {
      const closing = Promise.all(buses.map((bus) => bus.close()))
      await env.advance(10_000)
      await closing
    },
  }
}

test('[Z95] a message published in one process reaches subscribers in another', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses
  const seen: unknown[] = []
  b.subscribe('tasks.*', ({ data }) => void seen.push(data))
  await all.env.settle()
  const ack = await a.publish('tasks.coding', { title: 'fix' })
  await all.env.settle()
  expect(seen).toEqual([{ title: 'fix' }])
  expect(ack.recipients).toBe(1)
})

test('[C13] a request finds its responder in another process', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses
  b.subscribe('sum', ({ data }) => (data as number[]).reduce((x, y) => x + y, 0))
  await all.env.settle()
  expect((await a.request('sum', [1, 2, 3])).data).toBe(6)
})

test('a streamed answer comes in order', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses
  b.subscribe('count', async function* ({ data }) {
    for (let number = 0; number < (data as number); number++) yield number
  })
  await all.env.settle()
  const got: unknown[] = []
  for await (const part of a.requestStream('count', 500)) got.push(part)
  expect(got).toEqual(Array.from({ length: 500 }, (_, at) => at))
})
