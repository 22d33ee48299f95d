import { Watch } from '../../src/broker/watch.ts'
import { type Bus, type BusOptions, createBus } from '../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../src/testing/index.ts'
import { type MemoryHub, memoryHub, memoryWire } from '../../src/wire/memory.ts'
import type { OnFrame, Wire } from '../../src/wire/wire.ts'

/** A wire that can be cut, and whose frames can be looked at. */
export interface TestWire extends Wire {
  readonly watch: Watch
  /** Topic and bytes of every frame that was published through it. */
  readonly sent: { readonly topic: string; readonly bytes: Uint8Array }[]
  /** What its subscribers threw. */
  readonly faults: unknown[]
  /** Carries nothing any more, in either direction, and says nothing of it. */
  cut(): void
  mend(): void
  /** Frames for which it is true are lost on their way out. */
  lose: (bytes: Uint8Array) => boolean
}

export function testWire(hub: MemoryHub): TestWire {
  const faults: unknown[] = []
  const inner = memoryWire(hub, { onError: (error) => void faults.push(error) })
  let isCut = false
  const wire: TestWire = {
    name: 'memory',
    watch: new Watch(),
    sent: [],
    faults,
    lose: () => false,
    cut: () => {
      isCut = true
    },
    mend: () => {
      isCut = false
    },
    publish(topic, bytes) {
      wire.sent.push({ topic, bytes: bytes.slice() })
      if (!isCut && !wire.lose(bytes)) inner.publish(topic, bytes)
    },
    subscribe(pattern: string, onFrame: OnFrame) {
      return inner.subscribe(pattern, (topic, bytes) => {
        if (!isCut) onFrame(topic, bytes)
      })
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
  return wire
}

export interface Swarm extends AsyncDisposable {
  readonly env: FakeEnv
  readonly hub: MemoryHub
  readonly buses: readonly Bus[]
  readonly wires: readonly TestWire[]
  /** One more bus, which knows the others. */
  join(options?: BusOptions): Promise<Bus>
}

/** Several buses on one hub and one clock: to each other they are processes. */
export async function swarm(count: number, options: BusOptions = {}): Promise<Swarm> {
  const env = fakeEnv()
  const hub = memoryHub(env)
  const wires: TestWire[] = []
  const buses: Bus[] = []
  const add = (more: BusOptions): Bus => {
    const wire = testWire(hub)
    const bus = createBus({ env, name: `p${buses.length}`, wire, ...options, ...more })
    wires.push(wire)
    buses.push(bus)
    return bus
  }
  for (let at = 0; at < count; at++) add({})
  await env.advance(1_000)
  await Promise.all(buses.map((bus) => bus.ready))
  return {
    env,
    hub,
    buses,
    wires,
    async join(more = {}) {
      const bus = add(more)
      await env.advance(1_000)
      await bus.ready
      return bus
    },
    async [Symbol.asyncDispose]() {
      const closing = Promise.all(buses.map((bus) => bus.close()))
      await env.advance(10_000)
      await closing
    },
  }
}

/** The objects in the frames of one kind that went out. */
export function framesOf(wire: TestWire, type: string): Record<string, unknown>[] {
  return wire.sent
    .map(({ bytes }) => JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>)
    .filter((frame) => frame.t === type)
}

/** The error that a promise rejects with. */
export async function thrown(promise: PromiseLike<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}
