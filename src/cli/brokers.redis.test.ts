import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../../test/architecture/source.ts'
import { describeCliOn } from '../../test/cli/brokers.ts'
import { blocksOf, masked, prepare, runBlock } from '../../test/cli/docs.ts'
import { cli, folder } from '../../test/cli/support.ts'
import { startRedis } from '../../test/servers/redis.ts'
import { connectRedis } from '../broker/redis/connect.ts'
import { openBus } from '../node/node.ts'

describeCliOn({
  scheme: 'redis',
  start: () => startRedis(),
  async damage(server, prefix, offset) {
    await using link = await connectRedis(server.url)
    const keys = (await link.command(undefined, ['KEYS', `*${prefix}*:s:tasks/normal`])) as readonly Buffer[]
    expect(keys).toHaveLength(1)
    expect(await link.command(undefined, ['XDEL', String(keys[0]), `${offset}-0`])).toBe(1)
  },
})

test.each([
  [{ appendonly: 'no' }, 0, 'level memory', /for more: process: set appendonly yes/],
  [{ appendfsync: 'everysec' }, 0, 'level process', /for more: disk: set appendfsync always/],
  [{}, 0, 'level disk', /for more: replicated: .*\?replicas=1/],
  [{ 'maxmemory-policy': 'allkeys-lru' }, 1, 'cannot keep messages', /refused .*set maxmemory-policy noeviction/],
])(
  '[C30] doctor says what a server with %j can promise, why, and what to change',
  async (settings, code, verdict, more) => {
    await using server = await startRedis(settings)
    const told = await cli(['doctor', server.url])
    expect(told.out).toContain(verdict)
    expect(told.out).toMatch(more)
    expect(told.code).toBe(code)
    const [[setting, value] = []] = Object.entries(settings)
    const json = JSON.parse((await cli(['doctor', server.url, '--json'])).out) as {
      ok: boolean
      settings: readonly object[]
    }
    expect(json.ok).toBe(code === 0)
    if (setting !== undefined) expect(json.settings).toContainEqual({ setting, value, says: expect.any(String) })
  },
)

test('doctor counts what the url asks for: replicas', async () => {
  await using server = await startRedis()
  const { out } = await cli(['doctor', `${server.url}?replicas=1`])
  expect(out).toContain('level replicated')
  expect(out).toMatch(/replicas \(of the url\) +1 /)
  expect(out).not.toContain('for more')
})

test('a wrong password is a clear failure, in which it does not stand', async () => {
  await using server = await startRedis({ requirepass: 'right' })
  const url = server.url.replace('redis://', 'redis://:hunter2@')
  for (const argv of [['stats'], ['doctor']]) {
    const { code, out, err } = await cli([...argv, '--url', url])
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/next: change what is named above/)
    expect(err).not.toContain('hunter2')
    expect(JSON.parse((await cli([...argv, '--url', url, '--json'])).err)).toMatchObject({
      error: { code: 'BROKER_REFUSED' },
    })
  }
})

test('the example of docs/cli.md on Redis prints what stands below it', async () => {
  await using server = await startRedis()
  const path = folder()
  const markdown = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8')
  prepare(path, markdown)
  {
    await using bus = await openBus(server.url)
    bus.subscribe('tasks.*', () => undefined, { group: 'g' })
    for (const data of ['fix auth', 'tidy up']) await bus.publish('tasks.coding', data, { until: 'handled' })
  }
  const blocks = blocksOf(markdown, ' redis')
  expect(blocks.length).toBeGreaterThan(0)
  const there = server.url.slice('redis://'.length)
  const plain = (text: string): string => masked(text.replace(/redis \d+\.\d+\.\d+/g, 'redis VERSION'))
  for (const { line, text } of blocks) {
    const done = await runBlock(path, { line, text: text.replaceAll('localhost:6379', there) })
    expect(plain(done.replaceAll(there, 'localhost:6379')), `docs/cli.md:${line}`).toBe(plain(text))
  }
})
