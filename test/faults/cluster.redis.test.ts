import { afterAll, beforeAll, expect, test } from 'vitest'
import { slotOf } from '../../src/broker/redis/slot.ts'
import type { Bus } from '../../src/index.ts'
import { type RedisCluster, startRedisCluster } from '../servers/redis-cluster.ts'
import { codeOf, faultOf, open, placeOn } from './support.ts'

let cluster: RedisCluster
beforeAll(async () => {
  // A node that is gone must not take the channels of the others along.
  cluster = await startRedisCluster(3, { 'cluster-require-full-coverage': 'no' })
}, 60_000)
afterAll(() => cluster[Symbol.asyncDispose]())

/** Channels by the node that keeps them: `count` of each. */
function channelsOn(prefix: string, count: number): readonly string[][] {
  const found: string[][] = [[], [], []]
  for (let at = 0; found.some((list) => list.length < count); at++) {
    const node = Math.floor((slotOf(`${prefix}:{c${at}}:state`) * 3) / 16_384)
    if ((found[node] as string[]).length < count) found[node]?.push(`c${at}`)
  }
  return found
}

async function ledgers(bus: Bus): Promise<Record<string, unknown>> {
  return Object.fromEntries((await bus.channels()).map(({ name, ledger }) => [name, ledger]))
}

test('[C31] over a Redis Cluster of three nodes: several channels, sessions in order, requests, dead letters, redrive, replay', async () => {
  const url = placeOn(cluster.url)
  const retry = { attempts: 2, firstDelayMs: 1, jitter: 'none' } as const
  const [out, into] = await Promise.all([open(url, { defaults: { retry } }), open(url, { defaults: { retry } })])
  const channels = ['tasks', 'reviews', 'deploys', 'alerts', 'notes']
  const handled: Record<string, number[]> = {}
  let mended = false
  for (const channel of channels) {
    into.subscribe(
      `${channel}.*`,
      ({ session, data }) => {
        if (data === 13 && !mended) throw new Error('bad luck')
        ;(handled[`${channel} ${session}`] ??= []).push(data as number)
      },
      { group: 'workers' },
    )
  }
  into.subscribe('ask', ({ data }) => `answer ${data}`)
  for (let at = 0; at < 20; at++) {
    await Promise.all(
      channels.flatMap((channel) => ['a', 'b'].map((session) => out.publish(`${channel}.x`, at, { session }))),
    )
  }
  await expect.poll(async () => (await out.request('ask', 1).catch(() => undefined))?.data).toBe('answer 1')
  await expect.poll(() => out.deadLetters.count(), { timeout: 10_000 }).toBe(10)
  const without13 = Array.from({ length: 20 }, (_, at) => at).filter((at) => at !== 13)
  const wanted = Object.fromEntries(
    channels.flatMap((channel) => ['a', 'b'].map((one) => [`${channel} ${one}`, without13])),
  )
  await expect.poll(() => handled, { timeout: 10_000 }).toEqual(wanted)
  mended = true
  expect(await out.deadLetters.redriveAll()).toBe(10)
  await expect.poll(() => Object.values(handled).every((list) => list.includes(13)), { timeout: 10_000 }).toBe(true)
  for (const channel of channels) {
    // What was redriven counts anew: dead once, and acknowledged.
    await expect
      .poll(async () => (await ledgers(out))[channel], { timeout: 10_000 })
      .toMatchObject({ published: 42, acked: 40, dead: 2, pending: 0, leased: 0 })
    expect((await Array.fromAsync(into.replay(`${channel}.x`))).length).toBe(40)
  }
}, 40_000)

test('[C31] [CN19] a node of the cluster is killed: channels of the others go on, its own say so and go on when it is back', async () => {
  const url = placeOn(cluster.url)
  const prefix = new URLSearchParams(url.slice(url.indexOf('?'))).get('prefix') as string
  const [first, second, third] = channelsOn(prefix, 2) as [string[], string[], string[]]
  const options = { offline: { forMs: 0 }, publishTimeoutMs: 2_000 }
  const [out, into] = await Promise.all([open(url, options), open(url, options)])
  const handled: unknown[] = []
  for (const channel of [...first, ...second, ...third]) {
    into.subscribe(`${channel}.x`, ({ topic, data }) => void handled.push(`${topic} ${data}`), { group: 'g' })
    await out.publish(`${channel}.x`, 1)
  }
  await expect.poll(() => handled.length, { timeout: 10_000 }).toBe(6)
  await cluster.nodes[2]?.kill()
  for (const channel of [...first, ...second]) {
    await expect.poll(() => codeOf(out.publish(`${channel}.x`, 2)), { timeout: 10_000 }).toBe('ok')
    await expect.poll(() => handled, { timeout: 10_000 }).toContain(`${channel}.x 2`)
  }
  const fault = await faultOf(out.publish(`${third[0]}.x`, 'lost'))
  expect(['STORE_FAILED', 'PUBLISH_UNKNOWN']).toContain(fault.code)
  await expect.poll(() => out.health().status).not.toBe('healthy')
  await cluster.nodes[2]?.start()
  await cluster.settled()
  for (const channel of third) {
    await expect.poll(() => codeOf(out.publish(`${channel}.x`, 3)), { timeout: 15_000 }).toBe('ok')
    await expect.poll(() => handled, { timeout: 15_000 }).toContain(`${channel}.x 3`)
  }
  await expect.poll(() => out.health().status, { timeout: 15_000 }).toBe('healthy')
}, 90_000)
