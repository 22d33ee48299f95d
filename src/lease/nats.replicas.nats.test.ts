import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { leasesOnServer } from '../../test/conformance/leases.ts'
import { type NatsCluster, startNatsCluster } from '../../test/servers/nats-cluster.ts'
import { connectNats } from '../broker/nats/connect.ts'
import { systemEnv } from '../kit/env.ts'
import { natsLeases } from './nats.ts'
import { openLeaseStore } from './nats-store.ts'

let cluster: NatsCluster
beforeAll(async () => {
  cluster = await startNatsCluster()
}, 60_000)
afterAll(() => cluster?.[Symbol.asyncDispose]())

/** A participant with a link of its own, both ended together. */
async function participant(prefix: string, node?: number) {
  const url = node === undefined ? cluster.url : (cluster.nodes[node]?.url as string)
  const link = await connectNats(url, { retryMs: 20, longestRetryMs: 100 })
  const leases = await natsLeases(link, { prefix, replicas: 3 })
  return {
    leases,
    async [Symbol.asyncDispose]() {
      await leases[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
    },
  }
}

leasesOnServer(participant, (title) => `${title} (three servers)`)

test('of many at different servers that want a lease whose owner died, one gets it, each time', async () => {
  await using stack = new AsyncDisposableStack()
  const all = []
  for (let index = 0; index < 9; index++) all.push(stack.use(await participant('race', index % 3)))
  const dead = await openLeaseStore(stack.use(await connectNats(cluster.url)), 'race', 3, systemEnv())
  const owners: number[] = []
  for (let round = 0; round < 60; round++) {
    // What a killed process leaves.
    await dead.write(`job-${round}`, { by: `dead-${round}`, ttlMs: 1, atMs: Date.now() }, 0)
    await sleep(10)
    const got = await Promise.all(all.map(({ leases }) => leases.acquire(`job-${round}`, 60_000)))
    owners.push(got.filter((lease) => lease !== undefined).length)
  }
  expect(owners).toEqual(owners.map(() => 1))
}, 60_000)
