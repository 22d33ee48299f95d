import { type Bus, createBus } from '../bus/bus.ts'
import type { BusOptions } from '../bus/options.ts'
import { type FakeEnv, type FakeEnvOptions, fakeEnv } from './fake-env.ts'

/** Options of the bus, and where its simulated clock starts. */
export interface TestBusOptions extends Omit<BusOptions, 'env'>, FakeEnvOptions {}

/** A bus on a simulated clock. Disposal closes the bus, moving its clock over the time limit of the drain if need be. */
export interface TestBus extends AsyncDisposable {
  readonly bus: Bus
  readonly env: FakeEnv
}

/** Makes a bus whose time stands still until `env.advance` moves it. The same seed gives the same run. Throws INVALID_OPTION. */
export function testBus(options: TestBusOptions = {}): TestBus {
  const { wallMs, seed, ...rest } = options
  const env = fakeEnv({ ...(wallMs === undefined ? {} : { wallMs }), ...(seed === undefined ? {} : { seed }) })
  const bus = createBus({ ...rest, env })
  return {
    bus,
    env,
    async [Symbol.asyncDispose]() {
      let closed = false
      const closing = bus.close().finally(() => {
        closed = true
      })
      await env.settle()
      for (let steps = 0; !closed && steps < 10_000; steps++) await env.advance(1_000)
      await closing
    },
  }
}
