import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProxy } from '../../../test/servers/proxy.ts'
import { startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import type { RedisLink } from '../../broker/redis/link.ts'
import { type LeasePlace, leaseConformance } from '../conformance/suite.ts'
import type { Lease, Leases } from '../lease.ts'
import { type RedisLeasesOptions, redisLeases } from './redis.ts'

let server: Server
beforeAll(async () => {
  server = await startRedis({ appendfsync: 'everysec' })
})
afterAll(() => server[Symbol.asyncDispose]())

let places = 0

/** Each participant with a link of its own, as if each were another process. */
async function makePlace(): Promise<LeasePlace> {
  const prefix = `place-${++places}`
  const made: (RedisLink | Leases)[] = []
  return {
    async connect() {
      const link = await connectRedis(server.url)
      const leases = redisLeases(link, { prefix })
      made.unshift(leases, link)
      return leases
    },
    pass: (ms) => sleep(ms),
    async [Symbol.asyncDispose]() {
      for (const one of made) await one[Symbol.asyncDispose]()
    },
  }
}

leaseConformance(makePlace, (title, run) => {
  // The suite brings its own checks, so that it can be shipped: what it throws is the failure.
  test(title, async () => {
    await expect(run()).resolves.toBeUndefined()
  })
})

async function got(lease: Promise<Lease | undefined>): Promise<Lease> {
  const value = await lease
  if (value === undefined) throw new Error('should be free')
  return value
}

test('[I15] tokens rise also on a server that lost all its keys', async () => {
  await using link = await connectRedis(server.url)
  await using leases = redisLeases(link, { prefix: 'wiped' })
  const before = await got(leases.acquire('jobs', 60_000))
  await link.command(undefined, ['FLUSHALL'])
  const after = await got(leases.acquire('jobs', 60_000))
  expect(after.token).toBeGreaterThan(before.token)
  expect(await before.renew()).toBe(false)
  expect(await leases.owner('jobs')).toBe(after.token)
})

test('two prefixes share no names', async () => {
  await using link = await connectRedis(server.url)
  await using one = redisLeases(link, { prefix: 'one' })
  await using two = redisLeases(link, { prefix: 'two' })
  const lease = await got(one.acquire('jobs', 60_000))
  expect(await two.owner('jobs')).toBeUndefined()
  await got(two.acquire('jobs', 60_000))
  expect(await one.owner('jobs')).toBe(lease.token)
})

test('nothing but the count of tokens is left of names that nobody holds', async () => {
  await using link = await connectRedis(server.url)
  await using leases = redisLeases(link, { prefix: 'left' })
  for (let index = 0; index < 50; index++) {
    const lease = await got(leases.acquire(`job-${index}`, 60_000))
    await lease.release()
  }
  expect(await link.command(undefined, ['KEYS', '{left:leases}*'])).toEqual([Buffer.from('{left:leases}:token')])
})

test('without a connection calls reject with STORE_FAILED, and what is held runs out by its own clock', async () => {
  await using own = await startRedis()
  await using link = await connectRedis(own.url)
  await using leases = redisLeases(link)
  const lease = await got(leases.acquire('jobs', 300))
  const ended = new Promise<void>((resolve) => lease.signal.addEventListener('abort', () => resolve(), { once: true }))
  const lost = new Promise<void>((resolve) => {
    link.watch.on((event) => {
      if (event.type === 'lost') resolve()
    })
  })
  await own.kill()
  await lost
  const fault = { code: 'STORE_FAILED', cause: { code: 'BROKER_UNREACHABLE' } }
  await expect(leases.acquire('other', 1_000)).rejects.toMatchObject(fault)
  await expect(leases.hold('other', { ttlMs: 1_000 })).rejects.toMatchObject(fault)
  await expect(leases.owner('jobs')).rejects.toMatchObject(fault)
  await ended
  expect(lease.leftMs).toBe(0)
})

test('what was taken by a call whose answer was lost is free again soon, not only when its time is over', async () => {
  await using proxy = await startProxy(server.port)
  await using link = await connectRedis(proxy.url('redis'))
  await using other = await connectRedis(server.url)
  await using leases = redisLeases(link, { prefix: 'unknown' })
  await using others = redisLeases(other, { prefix: 'unknown' })
  const reset = proxy.resetAfter((request) => request.includes('take'))
  await expect(leases.acquire('jobs', 60_000)).rejects.toMatchObject({
    code: 'STORE_FAILED',
    cause: { code: 'BROKER_TIMEOUT' },
  })
  await reset
  expect(await others.owner('jobs')).toBeGreaterThan(0)
  await expect.poll(() => others.owner('jobs'), { timeout: 5_000 }).toBeUndefined()
  const lease = await got(others.acquire('jobs', 60_000))
  expect(await lease.renew()).toBe(true)
})

test('what comes too late to take a claim back takes nothing from the next owner', async () => {
  await using own = await startRedis({ appendonly: 'no' })
  await using link = await connectRedis(own.url, { commandTimeoutMs: 200 })
  await using leases = redisLeases(link)
  own.pause()
  // Both are refused here; the server carries them out, and takes them back, in their order.
  const calls = [leases.acquire('jobs', 60_000), leases.acquire('jobs', 60_000)]
  for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'STORE_FAILED' })
  own.resume()
  const lease = await leases.hold('jobs', { ttlMs: 60_000 })
  await link.command(undefined, ['PING'])
  expect(await leases.owner('jobs')).toBe(lease.token)
})

test('a lease that is held outlives a server that restarts, with the same token', async () => {
  await using own = await startRedis()
  await using link = await connectRedis(own.url)
  await using leases = redisLeases(link)
  const lease = await leases.hold('jobs', { ttlMs: 20_000 })
  const restored = new Promise<void>((resolve) => {
    link.watch.on((event) => {
      if (event.type === 'restored') resolve()
    })
  })
  await own.kill()
  await own.start()
  await restored
  expect(await lease.renew()).toBe(true)
  expect(await leases.owner('jobs')).toBe(lease.token)
})

test.each([[{ prefix: 'a:b' }], [{ prefix: '' }], [{ limit: 0 }], [{ other: 1 }]])(
  'the options %j are refused',
  async (options) => {
    await using link = await connectRedis(server.url)
    expect(() => redisLeases(link, options as RedisLeasesOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
  },
)

test('what is no link is refused', () => {
  expect(() => redisLeases({} as RedisLink)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})
