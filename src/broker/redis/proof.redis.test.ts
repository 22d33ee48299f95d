import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RedisSettings, startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from './connect.ts'
import { type RedisProof, redisProof } from './proof.ts'

let server: Server
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

/** What a server of its own proves with these settings. */
async function proofWith(settings: RedisSettings): Promise<RedisProof> {
  await using own = await startRedis(settings)
  await using link = await connectRedis(own.url)
  return await redisProof(link)
}

/** The settings of the shared server, which are put back. */
async function withConfig<T>(settings: RedisSettings, run: () => Promise<T>): Promise<T> {
  await using link = await connectRedis(server.url)
  const before = new Map<string, string>()
  for (const [name, value] of Object.entries(settings)) {
    const [, old] = (await link.command(undefined, ['CONFIG', 'GET', name])) as Buffer[]
    before.set(name, String(old))
    await link.command(undefined, ['CONFIG', 'SET', name, value])
  }
  try {
    return await run()
  } finally {
    for (const [name, value] of before) await link.command(undefined, ['CONFIG', 'SET', name, value])
  }
}

async function proofHere(url = server.url): Promise<RedisProof> {
  await using link = await connectRedis(url)
  return await redisProof(link)
}

const because = (proof: RedisProof, setting: string) => proof.reasons.find((reason) => reason.setting === setting)

test.each([
  ['always', 'disk'],
  ['everysec', 'process'],
  ['no', 'process'],
])('[C25] with appendfsync %s an acknowledged write survives as much as "%s" says', async (appendfsync, level) => {
  const proof = await withConfig({ appendfsync }, () => proofHere())
  expect(proof).toMatchObject({ level })
  expect(proof.refused).toBeUndefined()
  expect(because(proof, 'appendfsync')).toMatchObject({ value: appendfsync })
})

test('without a file of appended writes only memory is proven', async () => {
  const proof = await proofWith({ appendonly: 'no' })
  expect(proof.level).toBe('memory')
  expect(because(proof, 'appendonly')?.says).toContain('set appendonly yes')
})

test('the version is told, and a run id that is another one after a restart', async () => {
  const one = await proofHere()
  expect(one.version).toMatch(/^\d+\.\d+\.\d+$/)
  expect(one.runId).toMatch(/^[0-9a-f]{40}$/)
  await server.kill()
  await server.start()
  expect((await proofHere()).runId).not.toBe(one.runId)
})

test.each(['allkeys-lru', 'allkeys-lfu', 'allkeys-random'])(
  '[C30] a server that evicts by %s is refused, with the setting to change',
  async (policy) => {
    for (const maxmemory of ['0', '100mb']) {
      const { refused } = await withConfig({ 'maxmemory-policy': policy, maxmemory }, () => proofHere())
      expect(refused).toMatchObject({ code: 'BROKER_REFUSED', details: { setting: 'maxmemory-policy', value: policy } })
      expect(refused?.message).toContain('set maxmemory-policy noeviction')
    }
  },
)

test('a server that evicts only keys with a time to live is fine, and what may go early is said', async () => {
  const proof = await withConfig({ 'maxmemory-policy': 'volatile-ttl', maxmemory: '100mb' }, () => proofHere())
  expect(proof.refused).toBeUndefined()
  expect(because(proof, 'maxmemory-policy')?.says).toContain('may go early')
})

test('a limit of memory without eviction is said', async () => {
  const proof = await withConfig({ maxmemory: '104857600' }, () => proofHere())
  expect(because(proof, 'maxmemory-policy')?.says).toContain('above 104857600 bytes publishing is refused')
})

test('what a user may not ask counts as unproven: INFO alone shows that writes are appended, not that they reach the disk', async () => {
  await using link = await connectRedis(server.url)
  await link.command(undefined, ['ACL', 'SETUSER', 'meek', 'on', '>word', '~*', '&*', '+@all', '-config'])
  const proof = await withConfig({ 'maxmemory-policy': 'allkeys-lru' }, () =>
    proofHere(server.url.replace('redis://', 'redis://meek:word@')),
  )
  expect(proof.level).toBe('process')
  expect(because(proof, 'appendfsync')).toMatchObject({ value: 'unproven' })
  expect(proof.refused).toMatchObject({ code: 'BROKER_REFUSED' })
})

test('a user who may ask nothing gets the least', async () => {
  await using link = await connectRedis(server.url)
  await link.command(undefined, ['ACL', 'SETUSER', 'blind', 'on', '>word', '~*', '&*', '+@all', '-config', '-info'])
  const proof = await proofHere(server.url.replace('redis://', 'redis://blind:word@'))
  expect(proof).toMatchObject({ level: 'memory', version: '', runId: '' })
  expect(because(proof, 'maxmemory-policy')).toMatchObject({ value: 'unproven' })
})

test('a replica is refused', async () => {
  const { refused } = await proofWith({ replicaof: `127.0.0.1 ${server.port}`, 'replica-serve-stale-data': 'yes' })
  expect(refused).toMatchObject({ code: 'BROKER_REFUSED', details: { setting: 'role' } })
})

test('how many replicas a write needs is said', async () => {
  const proof = await withConfig({ 'min-replicas-to-write': '1' }, () => proofHere())
  expect(because(proof, 'min-replicas-to-write')).toMatchObject({ value: '1' })
})
