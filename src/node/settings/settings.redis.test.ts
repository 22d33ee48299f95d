import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import { openBus } from '../node.ts'
import { cortexSettings } from './cortex.ts'
import { woodworkSettings } from './woodwork.ts'

let server: Server

beforeAll(async () => {
  server = await startRedis({ requirepass: 'a:b/c@d' })
}, 60_000)
afterAll(() => server[Symbol.asyncDispose]())

/** The names of all keys of a database. */
async function keysIn(database: number): Promise<readonly string[]> {
  const url = `redis://:${encodeURIComponent('a:b/c@d')}@127.0.0.1:${server.port}/${database}`
  await using link = await connectRedis(url)
  return ((await link.command(undefined, ['KEYS', '*'])) as readonly Buffer[]).map(String)
}

test('[C64] [CN11] password and database of Cortex are obeyed: the messages lie in that database, under its prefix', async () => {
  const given = { redis_addr: `127.0.0.1:${server.port}`, redis_password: 'a:b/c@d', redis_db: 3 }
  const settings = cortexSettings(given, {})
  if (!settings.enabled) throw new Error('it is enabled')
  await using bus = await openBus(settings.url, settings.options)
  expect((await bus.publish('tasks.coding', { task: 'fix' })).level).toBe('disk')
  const keys = await keysIn(3)
  expect(keys.length).toBeGreaterThan(0)
  expect(keys.filter((key) => !key.startsWith('cortex'))).toEqual([])
  const wrong = cortexSettings({ ...given, redis_password: 'wrong' }, {})
  await expect(openBus('url' in wrong ? wrong.url : '', {})).rejects.toMatchObject({ code: 'BROKER_REFUSED' })
})

test('[W24] [W23] the prefix of Woodwork separates swarms on one Redis, and its retries are obeyed there', async () => {
  const redis_url = `redis://:${encodeURIComponent('a:b/c@d')}@127.0.0.1:${server.port}/4`
  const one = woodworkSettings({ redis_url, stream_prefix: 'one', max_retries: 0 }, {})
  const two = woodworkSettings({ redis_url, stream_prefix: 'two' }, {})
  await using here = await openBus(one.url, one.options)
  await using there = await openBus(two.url, two.options)
  let calls = 0
  const fails = (): never => {
    calls++
    throw new Error('no')
  }
  here.subscribe('component.a', fails, { group: one.group })
  there.subscribe('component.a', fails, { group: two.group })
  await here.publish('component.a', 1, { until: 'handled' })
  expect(calls).toBe(1)
  expect(await here.deadLetters.count()).toBe(1)
  expect(await there.channels()).toEqual([])
  // Both have a group there, and nothing lies outside of the two.
  expect(new Set((await keysIn(4)).map((key) => key.slice(0, 3)))).toEqual(new Set(['one', 'two']))
})
