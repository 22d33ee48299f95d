import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { startSentinelSet } from '../../../test/servers/redis-sentinel.ts'
import type { Server } from '../../../test/servers/server.ts'
import type { LinkEvent } from '../watch.ts'
import { connectRedis } from './connect.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

function cli(server: Server, ...args: string[]): string {
  return execFileSync('redis-cli', ['-p', String(server.port), ...args], { encoding: 'utf8' }).trim()
}

/** The replica has all, and the sentinel knows of it. */
async function joined(sentinel: Server, replica: Server): Promise<void> {
  await expect.poll(() => cli(replica, 'INFO', 'replication'), { timeout: 10_000 }).toContain('master_link_status:up')
  await expect.poll(() => cli(sentinel, 'INFO', 'sentinel'), { timeout: 20_000 }).toContain('slaves=1')
}

test('when the master is killed the link works on the promoted replica, lines to the old one are ended', async () => {
  await using set = await startSentinelSet()
  const { url, master, replica, sentinel } = set
  await joined(sentinel, replica)
  await using link = await connectRedis(url)
  expect(link.kind).toBe('sentinel')
  const events: LinkEvent[] = []
  link.watch.on((event) => events.push(event))
  await link.command('a', ['SET', 'a', '1'])
  await link.command('a', ['WAIT', '1', '1000'])
  const line = await link.line()
  const lineLost = new Promise<string>((resolve) => line.onLost(resolve))
  await master.kill()
  await lineLost
  await expect.poll(() => events.at(-1)?.type, { timeout: 40_000 }).toBe('restored')
  expect(await link.command('a', ['GET', 'a'])).toEqual(bytes('1'))
  expect(await link.command('a', ['SET', 'a', '2'])).toEqual(bytes('OK'))
  expect(cli(replica, 'GET', 'a')).toBe('2')
  await using again = await link.line()
  expect(await again.command(['GET', 'a'])).toEqual(bytes('2'))
}, 90_000)

test('a master that was made a replica while it stays connected is left for the new one', async () => {
  await using set = await startSentinelSet()
  const { url, master, replica, sentinel } = set
  await joined(sentinel, replica)
  await using link = await connectRedis(url)
  await link.command('a', ['SET', 'a', '1'])
  const roleOfReplica = (): string => {
    const role = cli(replica, 'INFO', 'replication')
    // A sentinel that finds no good replica yet says so, or gives up: it is asked again.
    if (role.includes('role:slave')) cli(sentinel, 'SENTINEL', 'FAILOVER', 'swarm')
    return role
  }
  await expect.poll(roleOfReplica, { interval: 3_000, timeout: 30_000 }).toContain('role:master')
  await expect.poll(() => cli(master, 'INFO', 'replication'), { timeout: 20_000 }).toContain('role:slave')
  await expect
    .poll(() => link.command('a', ['SET', 'a', '2']).catch((error: { code: string }) => error.code), {
      timeout: 10_000,
    })
    .toEqual(bytes('OK'))
  expect(cli(replica, 'GET', 'a')).toBe('2')
}, 90_000)

test('a sentinel that knows no such master, and none that answers, are told apart', async () => {
  await using set = await startSentinelSet()
  const place = `127.0.0.1:${set.sentinel.port}`
  await expect(connectRedis(`redis+sentinel://${place}/other`)).rejects.toMatchObject({
    code: 'BROKER_REFUSED',
    message: expect.stringContaining('knows no master "other"'),
  })
  await expect(connectRedis('redis+sentinel://127.0.0.1:1,127.0.0.1:2/swarm')).rejects.toMatchObject({
    code: 'BROKER_UNREACHABLE',
  })
  // One of several is enough.
  await using link = await connectRedis(`redis+sentinel://127.0.0.1:1,${place}/swarm`)
  expect(await link.command('a', ['SET', 'a', '1'])).toEqual(bytes('OK'))
})

test('the password is that of the servers, and the sentinel, which has none, is asked without', async () => {
  await using set = await startSentinelSet({ requirepass: 'word', masterauth: 'word' })
  const url = set.url.replace('://', '://:word@')
  await using link = await connectRedis(url)
  expect(await link.command('a', ['SET', 'a', '1'])).toEqual(bytes('OK'))
})
