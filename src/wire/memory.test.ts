import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import { wireConformance } from './conformance/suite.ts'
import { memoryHub, memoryWire } from './memory.ts'
import type { Wire, WireOptions } from './wire.ts'

wireConformance(
  async () => {
    const hub = memoryHub()
    const wires: Wire[] = []
    return {
      async connect(options) {
        const wire = memoryWire(hub, options)
        wires.push(wire)
        return wire
      },
      async [Symbol.asyncDispose]() {
        for (const wire of wires) await wire[Symbol.asyncDispose]()
      },
    }
  },
  (title, run) => {
    // The suite brings its own checks, so that it can be shipped: what it throws is the failure.
    test(title, async () => {
      await expect(run()).resolves.toBeUndefined()
    })
  },
)

const frame = Uint8Array.of(1)

test('more waiting frames than the limit are refused, and there is room again after the hand-over', async () => {
  const env = fakeEnv()
  const hub = memoryHub(env)
  const wire = memoryWire(hub, { limit: 2 })
  const other = memoryWire(hub, { limit: 2 })
  wire.publish('t', frame)
  wire.publish('t', frame)
  expect(() => wire.publish('t', frame)).toThrow(
    expect.objectContaining({ code: 'QUEUE_FULL', details: { topic: 't', limit: 2 } }),
  )
  expect(() => other.publish('t', frame)).not.toThrow()
  await env.settle()
  expect(() => wire.publish('t', frame)).not.toThrow()
})

test('frames that cause frames without end let timers and I/O run', async () => {
  const hub = memoryHub()
  await using ping = memoryWire(hub)
  await using pong = memoryWire(hub)
  let frames = 0
  pong.subscribe('ping', () => {
    frames++
    pong.publish('pong', frame)
  })
  ping.subscribe('pong', () => ping.publish('ping', frame))
  ping.publish('ping', frame)
  await new Promise<void>((resolve) => setTimeout(resolve, 1))
  expect(frames).toBeGreaterThan(10)
})

test('who subscribes while a frame is handed over gets only later ones', async () => {
  const env = fakeEnv()
  const hub = memoryHub(env)
  const [one, two] = [memoryWire(hub), memoryWire(hub)]
  const late: string[] = []
  let subscribed = false
  two.subscribe('t', () => {
    if (!subscribed) two.subscribe('t', (_topic, bytes) => void late.push(String(bytes[0])))
    subscribed = true
  })
  one.publish('t', Uint8Array.of(1))
  one.publish('t', Uint8Array.of(2))
  await env.settle()
  expect(late).toEqual(['2'])
})

test('an idle wire arms no timer and asks for no turn of the event loop', async () => {
  const env = fakeEnv()
  const hub = memoryHub({
    ...env,
    nextTurn: () => {
      throw new Error('asked for a turn')
    },
  })
  const [one, two] = [memoryWire(hub), memoryWire(hub)]
  let count = 0
  two.subscribe('>', () => void count++)
  for (let times = 0; times < 1_000; times++) one.publish('t', frame)
  await env.settle()
  expect([count, env.timers]).toEqual([1_000, 0])
})

test.each([[{ limit: 0 }], [{ echo: 'yes' }], [{ onError: 5 }], [{ other: 1 }]])(
  'the options %j are refused',
  (options) => {
    expect(() => memoryWire(memoryHub(), options as WireOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
  },
)

test('a frame that is no bytes, and a handler that is no function, are refused', () => {
  const wire = memoryWire(memoryHub())
  expect(() => wire.publish('t', 'text' as unknown as Uint8Array)).toThrow(
    expect.objectContaining({ code: 'INVALID_PAYLOAD' }),
  )
  expect(() => wire.subscribe('t', undefined as unknown as () => void)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
})
