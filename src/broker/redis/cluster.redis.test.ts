import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis } from '../../../test/servers/redis.ts'
import { type RedisCluster, startRedisCluster } from '../../../test/servers/redis-cluster.ts'
import { connectRedis } from './connect.ts'
import { redisScript } from './link.ts'
import { redisProof } from './proof.ts'
import { slotOf } from './slot.ts'

let cluster: RedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster(3, { appendfsync: 'everysec', 'cluster-require-full-coverage': 'no' })
})
afterAll(() => cluster[Symbol.asyncDispose]())

const bytes = (text: string): Buffer => Buffer.from(text)
const idOf = (node: number): string => cluster.cli(node, 'CLUSTER', 'MYID')

/** A key in a slot of the node, by its tag. */
function keyAt(node: number, name: string): string {
  for (let index = 0; ; index++) {
    const key = `{${name}-${index}}`
    if (Math.floor((slotOf(key) * 3) / 16_384) === node) return key
  }
}

test('slots are those of the server, with tags and without', async () => {
  const keys = ['', 'foo', 'swarmbus', '{a}b', 'x{a}y{b}', '{}a', 'a{', '{a', 'é🐝', '{é}x', 'a'.repeat(500)]
  const said = keys.filter((key) => key !== '').map((key) => [key, Number(cluster.cli(0, 'CLUSTER', 'KEYSLOT', key))])
  expect(keys.filter((key) => key !== '').map((key) => [key, slotOf(key)])).toEqual(said)
})

test('[C32] commands and scripts go to the node of their key, `everywhere` to each', async () => {
  await using link = await connectRedis(cluster.url)
  const script = redisScript("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('INCR', KEYS[2])")
  for (let index = 0; index < 30; index++) {
    const key = `{spread-${index}}`
    expect(await link.run(script, [`${key}:a`, `${key}:n`], [String(index)])).toBe(1)
    expect(await link.command(`${key}:a`, ['GET', `${key}:a`])).toEqual(bytes(String(index)))
  }
  const sizes = (await link.everywhere(['DBSIZE'])) as number[]
  expect(sizes).toHaveLength(3)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(60)
  expect(Math.min(...sizes)).toBeGreaterThan(0)
})

test('one node of the URL is enough to find the others', async () => {
  await using link = await connectRedis(`redis+cluster://127.0.0.1:1,127.0.0.1:${cluster.nodes[1]?.port}`)
  for (let node = 0; node < 3; node++) {
    const key = keyAt(node, 'found')
    expect(await link.command(key, ['SET', key, '1'])).toEqual(bytes('OK'))
  }
})

test('a line goes to the node of its key; its channels are sharded', async () => {
  await using link = await connectRedis(cluster.url)
  for (let node = 0; node < 3; node++) {
    const key = keyAt(node, 'line')
    await using line = await link.line(key)
    expect(await line.command(['SET', key, '1'])).toEqual(bytes('OK'))
    await using ear = await link.line(key)
    const heard: string[] = []
    await ear.subscribe(key, (message) => heard.push(String(message)))
    expect(await link.command(key, ['SPUBLISH', key, 'hello'])).toBe(1)
    await expect.poll(() => heard).toEqual(['hello'])
  }
})

test('a slot that moves is followed while it moves and afterwards, without being lost', async () => {
  await using link = await connectRedis(cluster.url)
  const told: string[] = []
  link.watch.on(({ type }) => told.push(type))
  const key = keyAt(0, 'moving')
  const slot = String(slotOf(key))
  const other = `${key}:other`
  await link.command(key, ['SET', key, '1'])
  const line = await link.line(key)
  const lineLost = new Promise<string>((resolve) => line.onLost(resolve))
  cluster.cli(1, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', idOf(0))
  cluster.cli(0, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', idOf(1))
  // What is not there any more, or not yet, is asked for at the other node.
  expect(await link.command(other, ['SET', other, '2'])).toEqual(bytes('OK'))
  expect(await link.command(other, ['GET', other])).toEqual(bytes('2'))
  expect(await link.command(key, ['GET', key])).toEqual(bytes('1'))
  cluster.cli(0, 'MIGRATE', '127.0.0.1', String(cluster.nodes[1]?.port), key, '0', '5000')
  for (const node of [1, 0, 2]) cluster.cli(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', idOf(1))
  const replies = await Promise.all([key, other, key].map((one) => link.command(one, ['GET', one])))
  expect(replies).toEqual([bytes('1'), bytes('2'), bytes('1')])
  await expect(line.command(['GET', key])).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
  expect(await lineLost).toBe('its slot has moved')
  await using again = await link.line(key)
  expect(await again.command(['GET', key])).toEqual(bytes('1'))
  expect(told).toEqual([])
  // Back, for the tests below.
  for (const one of [key, other]) await link.command(one, ['DEL', one])
  for (const node of [0, 1, 2]) cluster.cli(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', idOf(0))
})

test('while one node is away its keys are surely not served, those of the others are, and it comes back', async () => {
  await using link = await connectRedis(cluster.url)
  const told: string[] = []
  link.watch.on(({ type }) => told.push(type))
  const [gone, stays] = [keyAt(2, 'gone'), keyAt(0, 'stays')]
  await link.command(gone, ['SET', gone, '1'])
  await cluster.nodes[2]?.kill()
  await expect.poll(() => told, { timeout: 10_000 }).toContain('retry')
  expect(link.watch.isUp).toBe(false)
  await expect(link.command(gone, ['SET', gone, '2'])).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
  await expect(link.line(gone)).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
  await expect(link.everywhere(['DBSIZE'])).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
  expect(await link.command(stays, ['SET', stays, '1'])).toEqual(bytes('OK'))
  await cluster.nodes[2]?.start()
  await cluster.settled()
  await expect.poll(() => told.at(-1), { timeout: 10_000 }).toBe('restored')
  expect(await link.command(gone, ['GET', gone])).toEqual(bytes('1'))
  expect(told.filter((type) => type === 'lost')).toHaveLength(1)
})

test('what the cluster proves is what its weakest master proves', async () => {
  await using link = await connectRedis(cluster.url)
  expect(await redisProof(link)).toMatchObject({ level: 'process' })
  cluster.cli(1, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  cluster.cli(2, 'CONFIG', 'SET', 'appendonly', 'no')
  const proof = await redisProof(link)
  cluster.cli(1, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  cluster.cli(2, 'CONFIG', 'SET', 'appendonly', 'yes')
  expect(proof.level).toBe('memory')
  expect(proof.refused).toMatchObject({ code: 'BROKER_REFUSED' })
  expect(proof.runId.split(',')).toHaveLength(3)
})

test('nobody, a server that is no cluster, and a cluster that is taken for one server are told apart', async () => {
  await expect(connectRedis('redis+cluster://127.0.0.1:1')).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
  await using single = await startRedis({ appendonly: 'no' })
  const taken = connectRedis(single.url.replace('redis://', 'redis+cluster://'))
  await expect(taken).rejects.toMatchObject({
    code: 'BROKER_REFUSED',
    message: expect.stringContaining('cluster-enabled yes'),
  })
  await using link = await connectRedis(cluster.nodes[0]?.url ?? '')
  const key = keyAt(1, 'elsewhere')
  await expect(link.command(key, ['GET', key])).rejects.toMatchObject({
    code: 'BROKER_REFUSED',
    message: expect.stringContaining('redis+cluster://'),
  })
})

test('a replica that takes over from a master that was killed is found, and lines to it can be opened', async () => {
  await using own = await startRedisCluster(3, { 'cluster-require-full-coverage': 'no' })
  const replica = await own.addReplica(0)
  await using link = await connectRedis(own.url)
  const key = keyAt(0, 'taken')
  await link.command(key, ['SET', key, '1'])
  await expect.poll(() => own.cli(replica, 'DBSIZE')).toBe('1')
  await own.nodes[0]?.kill()
  await expect.poll(() => link.watch.isUp, { timeout: 10_000 }).toBe(false)
  await expect.poll(() => link.watch.isUp, { timeout: 20_000 }).toBe(true)
  expect(await link.command(key, ['GET', key])).toEqual(bytes('1'))
  await using line = await link.line(key)
  expect(await line.command(['SET', key, '2'])).toEqual(bytes('OK'))
  expect(own.cli(replica, 'GET', key)).toBe('2')
})
