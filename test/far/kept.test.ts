import { expect, test, vi } from 'vitest'
import { type Bus, openBus } from '../../src/index.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { memoryHub } from '../../src/wire/memory.ts'
import { framesOf, type TestWire, testWire } from './swarm.ts'

/** Two buses with one log and a wire: as two processes over one broker. */
async function pair(): Promise<{ a: Bus; b: Bus; wires: readonly TestWire[] } & AsyncDisposable> {
  const hub = memoryHub()
  const log = memoryLog()
  const wires = [testWire(hub), testWire(hub)] as const
  const channels = { live: { kept: false } }
  const a = await openBus(log, { name: 'a', wire: wires[0], channels })
  const b = await openBus(log, { name: 'b', wire: wires[1], channels })
  return {
    a,
    b,
    wires,
    async [Symbol.asyncDispose]() {
      await Promise.all([a.close(), b.close()])
      await log[Symbol.asyncDispose]()
    },
  }
}

test('[Z95] of a kept message live listeners of another process hear over the wire, its group reads it from the log, each once', async () => {
  await using both = await pair()
  const heard: unknown[] = []
  const worked: unknown[] = []
  both.b.subscribe('tasks.*', ({ data }) => void heard.push(data))
  both.b.subscribe('tasks.*', ({ data }) => void worked.push(data), { group: 'workers' })
  await vi.waitFor(() => expect(both.a.processes()[0]?.subscriptions).toBe(2))
  for (let at = 0; at < 50; at++) await both.a.publish('tasks.x', at)
  const all = Array.from({ length: 50 }, (_, at) => at)
  await vi.waitFor(() => expect([heard.length, worked.length]).toEqual([50, 50]))
  expect(heard).toEqual(all)
  expect(worked).toEqual(all)
  expect(framesOf(both.wires[0]!, 'message')).toHaveLength(50)
})

test('a kept message for which only groups wait is not put on the wire', async () => {
  await using both = await pair()
  const worked: unknown[] = []
  both.b.subscribe('tasks.*', ({ data }) => void worked.push(data), { group: 'workers' })
  await vi.waitFor(() => expect(both.a.processes()[0]?.subscriptions).toBe(1))
  await both.a.publish('tasks.x', 1)
  await vi.waitFor(() => expect(worked).toEqual([1]))
  expect(framesOf(both.wires[0]!, 'message')).toEqual([])
})

test('a message to an agent of another process is kept, and it gets it once', async () => {
  await using both = await pair()
  const got: unknown[] = []
  both.b.register('pink', { handler: ({ data }) => void got.push(data) })
  await vi.waitFor(() => expect(both.a.processes()[0]?.agents).toHaveLength(1))
  const ack = await both.a.send('pink', 'task')
  expect(ack).toMatchObject({ accepted: ['pink'], offset: expect.any(String) })
  await vi.waitFor(() => expect(got).toEqual(['task']))
  expect(framesOf(both.wires[0]!, 'message')).toEqual([])
})

test('live topics and requests to a durable group of another process go over the wire, and nothing of them is kept', async () => {
  await using both = await pair()
  const heard: unknown[] = []
  both.b.subscribe('live.*', ({ data }) => void heard.push(data))
  both.b.subscribe('tasks.*', ({ data }) => `did ${data}`, { group: 'workers' })
  await vi.waitFor(() => expect(both.a.processes()[0]?.subscriptions).toBe(2))
  expect((await both.a.publish('live.x', 1)).offset).toBeUndefined()
  expect((await both.a.request('tasks.x', 'it')).data).toBe('did it')
  await vi.waitFor(() => expect(heard).toEqual([1]))
})
