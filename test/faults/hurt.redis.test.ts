import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { startRedis } from '../servers/redis.ts'
import type { Server } from '../servers/server.ts'
import { codeOf, faultOf, heard, ledgerOf, open, placeOn } from './support.ts'

let server: Server
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

function cli(...args: string[]): string {
  return execFileSync('redis-cli', ['-p', String(server.port), ...args], { encoding: 'utf8' }).trim()
}

test('[CN19] [I1] FLUSHALL under a running swarm is told once to each process, and everybody goes on', async () => {
  const url = placeOn(server.url)
  const [one, two] = [heard('one', 'log.lost'), heard('two', 'log.lost')]
  const bus = await open(url, { name: 'one' })
  const other = await open(url, { name: 'two' })
  const handled: unknown[] = []
  other.subscribe('work.x', ({ data }) => void handled.push(data), { group: 'g' })
  for (let data = 1; data <= 5; data++) await bus.publish('work.x', data, { session: 's' })
  await expect.poll(() => handled).toEqual([1, 2, 3, 4, 5])
  cli('FLUSHALL')
  for (let data = 6; data <= 10; data++) await bus.publish('work.x', data, { session: 's' })
  await expect.poll(() => handled, { timeout: 10_000 }).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  await expect.poll(() => [one.length, two.length], { timeout: 10_000 }).toEqual([1, 1])
  for (const { health } of [bus, other].map((each) => ({ health: each.health() })))
    expect(health.reasons.join()).toContain('"work')
  for (const { fields } of [...one, ...two]) expect(fields.error).toMatchObject({ code: 'DATA_LOSS' })
})

test('a key of ours that somebody made something else: faults name it, other channels go on, and it heals when it is gone', async () => {
  const url = placeOn(server.url)
  const prefix = new URL(url).searchParams.get('prefix')
  const events = heard('typed', 'log.failed')
  const bus = await open(url, { name: 'typed' })
  const handled: unknown[] = []
  bus.subscribe('fine.x', ({ data }) => void handled.push(data), { group: 'g' })
  const streamKey = `${prefix}:{work}:s:work/normal`
  cli('SET', streamKey, 'not a stream')
  const fault = await faultOf(bus.publish('work.x', 1))
  expect(fault.code).toBe('STORE_FAILED')
  expect(fault.message).toContain(streamKey)
  cli('DEL', streamKey)
  await bus.publish('work.x', 2)

  const groupKey = `${prefix}:{other}:state`
  cli('SET', groupKey, 'not a hash')
  bus.subscribe('other.x', ({ data }) => void handled.push(data), { group: 'g' })
  await expect.poll(() => bus.health().reasons.join()).toContain('WRONGTYPE')
  expect(bus.health().status).toBe('unhealthy')
  expect(events.map(({ fields }) => fields.stream)).toContain('other/normal')
  await bus.publish('fine.x', 'fine', { until: 'handled' })
  cli('DEL', groupKey)
  await expect.poll(() => codeOf(bus.publish('other.x', 'other')), { timeout: 10_000 }).toBe('ok')
  await expect.poll(() => handled, { timeout: 10_000 }).toEqual(['fine', 'other'])
  await expect.poll(() => bus.health().status, { timeout: 10_000 }).toBe('healthy')
}, 40_000)

test('[I10] [C30] at maxmemory publishes are refused as full, acknowledgements go on, nothing is lost to the dead letters, and all recovers by itself', async () => {
  const url = placeOn(server.url)
  const retry = { attempts: 2, firstDelayMs: 1, jitter: 'none' } as const
  const bus = await open(url, { defaults: { retry, ackWaitMs: 1_000 } })
  const gate = Promise.withResolvers<void>()
  const handled: unknown[] = []
  bus.subscribe(
    'work.x',
    async ({ data }) => {
      await gate.promise
      if (data === 'bad') throw new Error('as every time')
      handled.push(data)
    },
    { group: 'g', concurrency: 10 },
  )
  for (const data of ['a', 'bad', 'b', 'c']) await bus.publish('work.x', data)
  await expect.poll(() => ledgerOf(bus, 'work')).toMatchObject({ published: 4, leased: 4 })
  cli('CONFIG', 'SET', 'maxmemory', '1')
  try {
    expect(await codeOf(bus.publish('work.x', 'refused'))).toBe('STORE_FULL')
    gate.resolve()
    await expect.poll(() => ledgerOf(bus, 'work')).toMatchObject({ published: 4, acked: 3, dead: 0, pending: 0 })
    expect(handled).toEqual(['a', 'b', 'c'])
    expect(await codeOf(bus.publish('work.x', 'refused, too'))).toBe('STORE_FULL')
    expect(await bus.deadLetters.count()).toBe(0)
  } finally {
    cli('CONFIG', 'SET', 'maxmemory', '0')
  }
  // What could not be buried stayed with its group, and is buried once now.
  await expect.poll(() => ledgerOf(bus, 'work'), { timeout: 15_000 }).toMatchObject({ acked: 3, dead: 1, leased: 0 })
  const [letter] = await bus.deadLetters.list()
  expect(letter?.message.data).toBe('bad')
  expect(letter?.attempts[0]?.error).toContain('as every time')
  await bus.publish('work.x', 'd', { until: 'handled' })
  expect(handled).toEqual(['a', 'b', 'c', 'd'])
  expect(await Array.fromAsync(bus.replay('work.x'), ({ data }) => data)).toEqual(['a', 'bad', 'b', 'c', 'd'])
}, 40_000)

test.each(['allkeys-lru', 'allkeys-random', 'volatile-lru'])(
  '[C30] a server that may evict by %s is refused at the start, with the setting to change',
  async (policy) => {
    cli('CONFIG', 'SET', 'maxmemory-policy', policy)
    try {
      const evicts = policy.startsWith('allkeys')
      if (evicts) {
        const fault = await faultOf(openBus(placeOn(server.url), { fallback: 'memory:' }))
        expect(fault.code).toBe('BROKER_REFUSED')
        expect(fault.message).toContain('maxmemory-policy')
        expect(fault.message).toContain('noeviction')
      } else {
        // It evicts only keys that expire by themselves; those that hold messages do not.
        const bus = await open(placeOn(server.url))
        await bus.publish('work.x', 1)
        const prefix = bus.health().backend?.name.split(' ')[1]
        const keys = cli('KEYS', `${prefix}:*`).split('\n')
        const expiring = keys.filter((key) => cli('TTL', key) !== '-1')
        expect(expiring.filter((key) => /:[smo]:/.test(key))).toEqual([])
      }
    } finally {
      cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    }
  },
)
