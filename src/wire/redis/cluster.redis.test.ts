import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RedisCluster, startRedisCluster } from '../../../test/servers/redis-cluster.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import { wireConformance } from '../conformance/suite.ts'
import { redisWire } from './redis.ts'

let cluster: RedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster(3, { appendonly: 'no', 'cluster-require-full-coverage': 'no' })
})
afterAll(() => cluster[Symbol.asyncDispose]())

let places = 0

/** Each participant with a link of its own, as if each were another process. */
wireConformance(
  async () => {
    const prefix = `place-${++places}`
    const made: AsyncDisposable[] = []
    return {
      async connect(options) {
        const link = await connectRedis(cluster.url)
        const wire = redisWire(link, { prefix, ...options })
        made.unshift(wire, link)
        return wire
      },
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

test('a wire lives on the nodes that are left', async () => {
  await using link = await connectRedis(cluster.url)
  await using wire = redisWire(link, { prefix: 'left', echo: true })
  const heard: string[] = []
  await wire.subscribe('a.*', (topic) => void heard.push(topic)).ready
  let round = 0
  for (const node of [0, 1]) {
    await cluster.nodes[node]?.kill()
    await expect.poll(() => link.watch.isUp, { timeout: 10_000 }).toBe(false)
    // Live only: what is published before the line stands again is missed.
    await expect
      .poll(
        () => {
          wire.publish(`a.${++round}`, Buffer.from('x'))
          return heard.length
        },
        { timeout: 10_000, interval: 50 },
      )
      .toBeGreaterThan(0)
    heard.length = 0
    await cluster.nodes[node]?.start()
    await cluster.settled()
    await expect.poll(() => link.watch.isUp, { timeout: 10_000 }).toBe(true)
  }
})
