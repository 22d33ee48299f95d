import { afterAll, beforeAll } from 'vitest'
import { leasesOnServer } from '../../../test/conformance/leases.ts'
import { type RedisCluster, startRedisCluster } from '../../../test/servers/redis-cluster.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import { redisLeases } from './redis.ts'

let cluster: RedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster(3, { appendonly: 'no' })
})
afterAll(() => cluster[Symbol.asyncDispose]())

leasesOnServer(
  async (prefix) => {
    const link = await connectRedis(cluster.url)
    const leases = redisLeases(link, { prefix })
    return {
      leases,
      async [Symbol.asyncDispose]() {
        await leases[Symbol.asyncDispose]()
        await link[Symbol.asyncDispose]()
      },
    }
  },
  (title) => `in a cluster: ${title}`,
)
