import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RedisCluster, startRedisCluster } from '../../../test/servers/redis-cluster.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import { leaseConformance } from '../conformance/suite.ts'
import { redisLeases } from './redis.ts'

let cluster: RedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster(3, { appendonly: 'no' })
})
afterAll(() => cluster[Symbol.asyncDispose]())

let places = 0

leaseConformance(
  async () => {
    const prefix = `place-${++places}`
    const made: AsyncDisposable[] = []
    return {
      async connect() {
        const link = await connectRedis(cluster.url)
        const leases = redisLeases(link, { prefix })
        made.unshift(leases, link)
        return leases
      },
      pass: (ms) => sleep(ms),
      async [Symbol.asyncDispose]() {
        for (const one of made) await one[Symbol.asyncDispose]()
      },
    }
  },
  (title, run) => {
    // The suite brings its own checks, so that it can be shipped: what it throws is the failure.
    test(`in a cluster: ${title}`, async () => {
      await expect(run()).resolves.toBeUndefined()
    })
  },
)
