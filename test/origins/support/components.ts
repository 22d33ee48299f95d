import { type CodeComponent, createSwarm, type Swarm, type SwarmOptions } from '../../../src/component/index.ts'
import { type Bus, type BusOptions, createBus } from '../../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../../src/testing/index.ts'

/** A started swarm under a clock that stands still. Ends at once. */
export interface SwarmRig extends AsyncDisposable {
  readonly bus: Bus
  readonly env: FakeEnv
  readonly swarm: Swarm
}

/** Components in code on a bus of their own, started. */
export async function swarmOf(
  components: readonly CodeComponent[],
  options: Omit<SwarmOptions, 'bus' | 'env'> & { readonly busOptions?: BusOptions } = {},
): Promise<SwarmRig> {
  const { busOptions, ...how } = options
  const env = fakeEnv()
  const bus = createBus({ ...busOptions, env })
  const swarm = createSwarm({ ...how, bus, env })
  for (const one of components) await swarm.add(one)
  await swarm.start()
  return {
    bus,
    env,
    swarm,
    async [Symbol.asyncDispose]() {
      await swarm.stop({ limitMs: 0 })
      await bus.close({ limitMs: 0 })
    },
  }
}

/** An output that notes what it gets. */
export function sink(name: string, heard: unknown[]): CodeComponent {
  return { name, role: 'output', handle: ({ data }) => void heard.push(data) }
}
