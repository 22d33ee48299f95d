import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { startNats } from '../servers/nats.ts'
import { startRedis } from '../servers/redis.ts'
import { type SentinelSet, startSentinelSet } from '../servers/redis-sentinel.ts'
import { publishTo, tally } from './load.ts'
import { faultOf, heard, open, placeOn } from './support.ts'

let set: SentinelSet
beforeAll(async () => {
  set = await startSentinelSet()
}, 60_000)
afterAll(() => set[Symbol.asyncDispose]())

test('[I1] [C14] with ?replicas=1 a publish is acknowledged as replicated, or unknown while there is no replica, and is there once', async () => {
  const url = placeOn(set.master.url, '&replicas=1')
  const bus = await open(url, { channels: { work: { level: 'replicated' } } })
  expect((await bus.publish('work.x', 1)).level).toBe('replicated')
  set.replica.pause()
  try {
    const fault = await faultOf(bus.publish('work.x', 2))
    expect(fault.code).toBe('PUBLISH_UNKNOWN')
    expect(fault.message).toContain('replica')
    const { id } = fault.details
    set.replica.resume()
    await expect
      .poll(
        () =>
          bus.publish('work.x', 2, { id: String(id) }).then(
            (ack) => ack.duplicate,
            () => false,
          ),
        { timeout: 10_000 },
      )
      .toBe(true)
  } finally {
    set.replica.resume()
  }
  expect(await Array.fromAsync(bus.replay('work.x'), ({ data }) => data)).toEqual([1, 2])
}, 40_000)

test('[I1] [I5] with ?replicas=1 and no replica at all every publish is unknown, never acknowledged', async () => {
  await using alone = await startRedis()
  const bus = await open(placeOn(alone.url, '&replicas=1'))
  expect((await faultOf(bus.publish('work.x', 1))).code).toBe('PUBLISH_UNKNOWN')
}, 20_000)

test('[WN5] a level that Redis or NATS cannot prove is refused with the setting that would', async () => {
  await using weak = await startRedis({ appendfsync: 'everysec' })
  const redis = await faultOf(openBus(weak.url, { channels: { x: { level: 'disk' } } }))
  expect(redis).toMatchObject({ code: 'UNSUPPORTED', details: { value: 'disk', allowed: 'process' } })
  expect(redis.message).toContain('appendfsync always')
  await using none = await startRedis({ appendonly: 'no' })
  const memory = await faultOf(openBus(none.url, { defaults: { level: 'process' } }))
  expect(memory.details).toMatchObject({ value: 'process', allowed: 'memory' })
  expect(memory.message).toContain('appendonly yes')
  await using nats = await startNats()
  const disk = await faultOf(openBus(nats.url, { channels: { x: { level: 'disk' } } }))
  expect(disk.details).toMatchObject({ value: 'disk', allowed: 'process' })
  expect(disk.message).toContain('sync_interval: always')
}, 30_000)

test('[C31] [I1] [I6] the master is killed, Sentinel promotes the replica: nothing acknowledged with ?replicas=1 is lost, and the swarm goes on', async () => {
  const events = heard('out', 'log.disconnected', 'log.reconnected')
  const url = placeOn(set.url, '&replicas=1')
  const out = await open(url, { name: 'out', offline: { forMs: 20_000 }, publishTimeoutMs: 30_000 })
  const into = await open(placeOn(set.url).replace(/\?.*/, url.slice(url.indexOf('?'))), { name: 'into' })
  const handled: string[] = []
  into.subscribe('work.x', ({ session, data }) => void handled.push(`${session}:${data}`), { group: 'g' })
  const load = publishTo(out, 'work.x', 4)
  await expect.poll(() => handled.length, { timeout: 10_000 }).toBeGreaterThan(100)
  await set.master.kill()
  await expect.poll(() => events.map(({ event }) => event), { timeout: 20_000 }).toContain('log.reconnected')
  const had = handled.length
  // The old master comes back as a replica, and publishes are acknowledged again.
  await set.master.start()
  await expect.poll(() => handled.length, { timeout: 30_000 }).toBeGreaterThan(had + 50)
  await load.stop()
  await expect.poll(() => tally(load.acked, handled).lost, { timeout: 10_000 }).toEqual([])
  expect(tally(load.acked, handled).overtaking).toEqual([])
  const kept = new Set(await Array.fromAsync(into.replay('work.x'), ({ session, data }) => `${session}:${data}`))
  expect(load.acked.filter((one) => !kept.has(one))).toEqual([])
}, 90_000)
