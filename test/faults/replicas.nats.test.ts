import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Bus, isBusError, type OpenOptions, openBus } from '../../src/index.ts'
import { channelNames } from '../../src/log/jetstream/names.ts'
import { startNats } from '../servers/nats.ts'
import { type NatsCluster, startNatsCluster } from '../servers/nats-cluster.ts'
import { publishTo, tally } from './load.ts'
import { codeOf, faultOf, heard, open as openOnce, placeOn } from './support.ts'

let cluster: NatsCluster
beforeAll(async () => {
  cluster = await startNatsCluster()
}, 60_000)
beforeEach(() => cluster.settled())
afterAll(() => cluster[Symbol.asyncDispose]())

const PATIENCE = { timeout: 60_000 }

/** Opens a bus, however long the servers take to choose a leader. */
async function open(url: string, options: OpenOptions = {}): Promise<Bus> {
  for (let tries = 1; ; tries++) {
    try {
      return await openOnce(url, options)
    } catch (error) {
      if (!isBusError(error, 'BROKER_TIMEOUT') || tries === 6) throw error
    }
  }
}

/** The name of a channel on the servers. */
function streamOf(url: string, channel: string): string {
  const prefix = new URLSearchParams(url.slice(url.indexOf('?'))).get('prefix') as string
  return channelNames(prefix, channel).stream
}

/** The node that leads a channel, once there is one. */
async function leaderOf(url: string, channel: string): Promise<number> {
  const stream = streamOf(url, channel)
  await expect.poll(() => cluster.leader(stream), PATIENCE).toBeDefined()
  return (await cluster.leader(stream)) as number
}

test('[I1] [C14] on three servers with ?replicas=3 the level is replicated, and requests, sessions, retries and dead letters work', async () => {
  const url = placeOn(cluster.url, '&replicas=3')
  const retry = { attempts: 2, firstDelayMs: 1, jitter: 'none' } as const
  const channels = { work: { level: 'replicated', retry } } as const
  const [out, into] = await Promise.all([open(url, { channels }), open(url, { channels })])
  const handled: string[] = []
  into.subscribe(
    'work.x',
    ({ session, data }) => {
      if (data === 13) throw new Error('bad luck')
      handled.push(`${session}:${data}`)
    },
    { group: 'g' },
  )
  into.subscribe('ask', ({ data }) => `answer ${data}`)
  expect((await out.publish('work.x', 0, { session: 'a' })).level).toBe('replicated')
  for (let at = 1; at < 20; at++) await out.publish('work.x', at, { session: 'a' })
  await expect.poll(() => out.deadLetters.count(), PATIENCE).toBe(1)
  await expect.poll(() => handled.length, PATIENCE).toBe(19)
  expect(tally([], handled).overtaking).toEqual(['a:14 after 12'])
  await expect.poll(async () => (await out.request('ask', 1).catch(() => undefined))?.data, PATIENCE).toBe('answer 1')
}, 60_000)

test('[I1] [C14] [WN5] one server alone refuses ?replicas=3 at the start, and a channel that was made with less refuses it by name', async () => {
  await using alone = await startNats()
  const fault = await faultOf(openBus(placeOn(alone.url, '&replicas=3')))
  expect(fault).toMatchObject({ code: 'BROKER_REFUSED', details: { setting: 'replicas' } })
  expect(fault.message).toContain('in no cluster')
  const url = placeOn(cluster.url)
  await (await open(url)).publish('work.x', 1)
  const less = await faultOf(openBus(`${url}&replicas=3`))
  expect(less.code).toBe('BROKER_REFUSED')
  expect(less.message).toMatch(/"work" was made with replicas 1, and 3 is asked for.*nats stream edit/)
  const memory = placeOn(cluster.url, '&storage=memory')
  await (await open(memory)).publish('work.x', 1)
  const other = await faultOf(openBus(memory.replace('&storage=memory', '')))
  expect(other.message).toMatch(/was made with storage memory, and file is asked for/)
}, 30_000)

test('[C31] [I1] [I6] the leader of the channel is killed: nothing acknowledged is lost, sessions stay in order, and the swarm goes on', async () => {
  const url = placeOn(cluster.url, '&replicas=3')
  // What the dead leader had in hand is answered by nobody: unknown after two seconds, and published again with the same id.
  const out = await open(url, { offline: { forMs: 30_000 }, publishTimeoutMs: 2_000 })
  const into = await open(url, { name: 'into' })
  const lost = heard('into', 'log.lost', 'log.gap')
  const handled: string[] = []
  into.subscribe('work.x', ({ session, data }) => void handled.push(`${session}:${data}`), { group: 'g' })
  const load = publishTo(out, 'work.x', 4)
  await expect.poll(() => handled.length, PATIENCE).toBeGreaterThan(100)
  const node = await leaderOf(url, 'work')
  await cluster.nodes[node]?.kill()
  const had = handled.length
  await expect.poll(() => handled.length, PATIENCE).toBeGreaterThan(had + 100)
  await cluster.nodes[node]?.start()
  await cluster.settled()
  const then = handled.length
  await expect.poll(() => handled.length, PATIENCE).toBeGreaterThan(then + 100)
  await load.stop()
  await expect.poll(() => tally(load.acked, handled).lost, PATIENCE).toEqual([])
  expect(tally(load.acked, handled).overtaking).toEqual([])
  const kept = await Array.fromAsync(into.replay('work.x'), ({ session, data }) => `${session}:${data}`)
  expect(tally(load.acked, kept)).toEqual({ lost: [], doubled: [], overtaking: [] })
  expect(lost).toEqual([])
  await expect.poll(() => out.health().status, PATIENCE).toBe('healthy')
}, 240_000)

test('[CN19] [I1] two of three servers are gone: publishes are refused or unknown, never acknowledged, and all goes on when one is back', async () => {
  const events = heard('minority', 'log.lost')
  const url = placeOn(cluster.url, '&replicas=3')
  const out = await open(url, { name: 'minority', offline: { forMs: 0 }, publishTimeoutMs: 3_000 })
  const handled: unknown[] = []
  out.subscribe('work.x', ({ data }) => void handled.push(data), { group: 'g' })
  await out.publish('work.x', 1)
  await expect.poll(() => handled, PATIENCE).toEqual([1])
  await Promise.all([cluster.nodes[0]?.kill(), cluster.nodes[1]?.kill()])
  const fault = await faultOf(out.publish('work.x', 2))
  expect(['STORE_FAILED', 'PUBLISH_UNKNOWN']).toContain(fault.code)
  await expect.poll(() => out.health().status, PATIENCE).not.toBe('healthy')
  await cluster.nodes[0]?.start()
  await expect.poll(() => codeOf(out.publish('work.x', 3)), PATIENCE).toBe('ok')
  await expect.poll(() => handled, PATIENCE).toContain(3)
  await cluster.nodes[1]?.start()
  await cluster.settled()
  expect(events).toEqual([])
}, 240_000)

test('[C31] [I1] [I13] a server is replaced by an empty one, then another is killed: all that was acknowledged is there', async () => {
  await using own = await startNatsCluster()
  const url = placeOn(own.url, '&replicas=3')
  const out = await open(url, { name: 'replaced', offline: { forMs: 30_000 }, publishTimeoutMs: 2_000 })
  const lost = heard('replaced', 'log.lost', 'log.gap')
  const load = publishTo(out, 'work.x', 4)
  await expect.poll(() => load.acked.length, PATIENCE).toBeGreaterThan(50)
  await own.nodes[0]?.kill()
  await own.nodes[0]?.start({ wipe: true })
  await own.settled()
  const had = load.acked.length
  await expect.poll(() => load.acked.length, PATIENCE).toBeGreaterThan(had + 50)
  // Only then another one may be lost: before, what is on the two others would be on one.
  await expect.poll(() => own.isCopied(streamOf(url, 'work')), PATIENCE).toBe(true)
  await own.nodes[1]?.kill()
  const then = load.acked.length
  await expect.poll(() => load.acked.length, PATIENCE).toBeGreaterThan(then + 50)
  await load.stop()
  // While the two that are left choose a leader, a read may be refused in time.
  const read = (): Promise<string[]> =>
    Array.fromAsync(out.replay('work.x'), ({ session, data }) => `${session}:${data}`)
  await expect.poll(() => codeOf(read()), PATIENCE).toBe('ok')
  expect(tally(load.acked, await read())).toEqual({ lost: [], doubled: [], overtaking: [] })
  expect(lost).toEqual([])
}, 240_000)
