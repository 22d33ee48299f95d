import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { leasesOnServer } from '../../test/conformance/leases.ts'
import { startNats } from '../../test/servers/nats.ts'
import { startProxy } from '../../test/servers/proxy.ts'
import { freePort, type Server } from '../../test/servers/server.ts'
import { connectNats } from '../broker/nats/connect.ts'
import { systemEnv } from '../kit/env.ts'
import type { Lease } from './lease.ts'
import { type NatsLeasesOptions, natsLeases } from './nats.ts'

let server: Server
let places = 0
beforeAll(async () => {
  server = await startNats()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

leasesOnServer(
  (prefix) => at(server.url, { prefix }),
  (title) => title,
)

/** A participant with a link of its own, both ended together. */
async function at(url: string, options: NatsLeasesOptions = {}) {
  const link = await connectNats(url, { retryMs: 20, longestRetryMs: 100 })
  const leases = await natsLeases(link, { prefix: `t-${places}`, ...options })
  return {
    link,
    leases,
    async [Symbol.asyncDispose]() {
      await leases[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
    },
  }
}

async function mustGet(lease: Promise<Lease | undefined>): Promise<Lease> {
  const got = await lease
  if (got === undefined) throw new Error('the name should be free')
  return got
}

/** Wall clocks that are off by so much. */
const offBy = (ms: number) => ({ ...systemEnv(), wallMs: () => systemEnv().wallMs() + ms })

test('leases outlast kill -9 of the server, and waits its absence; tokens go on rising', async () => {
  places++
  await using own = await startNats()
  await using one = await at(own.url)
  await using two = await at(own.url)
  const kept = await one.leases.hold('kept', { ttlMs: 3_000 })
  const given = await mustGet(one.leases.acquire('given', 600_000))
  const next = two.leases.hold('given', { ttlMs: 3_000 })
  await own.kill()
  await expect.poll(() => [one.link.watch.isUp, two.link.watch.isUp]).toEqual([false, false])
  await expect(two.leases.acquire('new', 1_000)).rejects.toMatchObject({ code: 'STORE_FAILED' })
  await expect(two.leases.owner('kept')).rejects.toMatchObject({ cause: { code: 'BROKER_UNREACHABLE' } })
  expect(kept.signal.aborted).toBe(false)
  await own.start()
  await expect.poll(() => [one.link.watch.isUp, two.link.watch.isUp]).toEqual([true, true])
  await sleep(3_500)
  expect([kept.signal.aborted, await two.leases.owner('kept')]).toEqual([false, kept.token])
  expect(await two.leases.acquire('kept', 1_000)).toBeUndefined()
  expect(await given.release()).toBe(true)
  expect((await next).token).toBeGreaterThan(given.token)
})

test('a server that lost all its data gives higher tokens than before, and its late owners learn that they lost', async () => {
  places++
  await using own = await startNats()
  await using one = await at(own.url)
  await using two = await at(own.url)
  let last = 0
  for (let round = 0; round < 50; round++) {
    const lease = await mustGet(one.leases.acquire('jobs', 600_000))
    last = lease.token
    if (round < 49) await lease.release()
    else expect(await lease.renew()).toBe(true)
  }
  const late = await mustGet(two.leases.acquire('late', 600_000))
  await own.kill()
  await own.start({ wipe: true })
  await expect.poll(() => [one.link.watch.isUp, two.link.watch.isUp], { timeout: 5_000 }).toEqual([true, true])
  expect((await mustGet(two.leases.acquire('jobs', 1_000))).token).toBeGreaterThan(last)
  expect(await late.renew()).toBe(false)
  expect(late.signal.aborted).toBe(true)
})

test('a take whose answer was cut off is not lost: who waits owns it, with the time from its first try', async () => {
  places++
  await using proxy = await startProxy(server.port)
  await using one = await at(proxy.url('nats'))
  await using two = await at(server.url)
  const cut = proxy.resetAfter((bytes) => bytes.includes(`t-${places}.l.jobs`))
  const beganMs = performance.now()
  const lease = await one.leases.hold('jobs', { ttlMs: 30_000 })
  await cut
  expect(await two.leases.owner('jobs')).toBe(lease.token)
  expect(performance.now() - beganMs).toBeLessThan(10_000)
  expect(await lease.release()).toBe(true)
  expect(await two.leases.owner('jobs')).toBeUndefined()
})

test('a renewal whose answer was cut off was one; the next one goes on from it', async () => {
  places++
  await using proxy = await startProxy(server.port)
  await using one = await at(proxy.url('nats'))
  const lease = await mustGet(one.leases.acquire('jobs', 60_000))
  const cut = proxy.resetAfter((bytes) => bytes.includes(`t-${places}.l.jobs`))
  await expect(lease.renew()).rejects.toMatchObject({ code: 'STORE_FAILED', cause: { code: 'BROKER_TIMEOUT' } })
  await cut
  await expect.poll(() => one.link.watch.isUp).toBe(true)
  expect(await lease.renew()).toBe(true)
  expect(await lease.release()).toBe(true)
})

test('calls on a link where nothing passes settle once that is noticed', async () => {
  places++
  await using proxy = await startProxy(server.port)
  await using one = await at(proxy.url('nats'))
  const lease = await mustGet(one.leases.acquire('jobs', 600_000))
  proxy.stall()
  const beganMs = performance.now()
  await expect(lease.renew()).rejects.toMatchObject({ code: 'STORE_FAILED' })
  expect(performance.now() - beganMs).toBeLessThan(5_250)
  proxy.resume()
  await expect.poll(() => lease.renew().catch(() => 'not yet'), { timeout: 8_000 }).toBe(true)
})

test('who comes later finds a lease that still runs held, and one that ran out free, at once', async () => {
  places++
  {
    await using one = await at(server.url)
    const link = await connectNats(server.url)
    const crashed = await natsLeases(link, { prefix: `t-${places}` })
    await mustGet(crashed.acquire('short', 200))
    await mustGet(crashed.acquire('long', 600_000))
    // As in a crash, nothing is given up.
    await link[Symbol.asyncDispose]()
    await crashed[Symbol.asyncDispose]()
    expect(await one.leases.owner('long')).toBeDefined()
  }
  await sleep(250)
  await using later = await at(server.url)
  expect(await later.leases.owner('short')).toBeUndefined()
  expect(await later.leases.owner('long')).toBeDefined()
  expect(await later.leases.acquire('long', 1_000)).toBeUndefined()
  await mustGet(later.leases.acquire('short', 1_000))
})

test.each<[string, number, number]>([
  ['the clock of the owner is an hour late', -3_600_000, 0],
  ['the clock of the owner is an hour early', 3_600_000, 0],
  ['the clock of who comes later is an hour late', 0, -3_600_000],
  ['the clock of who comes later is an hour early', 0, 3_600_000],
])('[I14] no clock of one machine ends a lease early: %s', async (_, ownerMs, laterMs) => {
  places++
  await using early = await at(server.url)
  await using owner = await at(server.url, { env: offBy(ownerMs) })
  const lease = await mustGet(owner.leases.acquire('jobs', 60_000))
  await using later = await at(server.url, { env: offBy(laterMs) })
  for (const { leases } of [early, later]) {
    expect(await leases.owner('jobs')).toBe(lease.token)
    expect(await leases.acquire('jobs', 1_000)).toBeUndefined()
  }
})

test('a step of its clock does not make a participant end what it saw begin', async () => {
  places++
  let stepMs = 0
  const env = { ...systemEnv(), wallMs: () => systemEnv().wallMs() + stepMs }
  await using one = await at(server.url, { env })
  await using two = await at(server.url, { env })
  stepMs = -3_600_000
  const lease = await mustGet(one.leases.acquire('jobs', 60_000))
  stepMs = 3_600_000
  expect(await two.leases.owner('jobs')).toBe(lease.token)
  expect(await two.leases.acquire('jobs', 1_000)).toBeUndefined()
})

test('[I9] released names leave nothing, neither in the stream nor at the server', async () => {
  places++
  const monitor = await freePort()
  await using own = await startNats(`http: 127.0.0.1:${monitor}`)
  const subscriptions = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${monitor}/subsz`)
    return ((await answer.json()) as { num_subscriptions: number }).num_subscriptions
  }
  await using link = await connectNats(own.url)
  await link.ask('$JS.API.INFO')
  const before = await subscriptions()
  const leases = await natsLeases(link, { prefix: `t-${places}` })
  const streamed = await subscriptions()
  for (let round = 0; round < 200; round++) {
    const lease = await mustGet(leases.acquire(`name-${round}`, 60_000))
    if (round % 2 === 0) await lease.renew()
    await lease.release()
  }
  const { state } = (await link.ask(`$JS.API.STREAM.INFO.t-${places}-leases`)).json<{ state: { messages: number } }>()
  // The mark of its coming is all.
  expect(state.messages).toBe(1)
  await leases[Symbol.asyncDispose]()
  await link.connection.flush()
  // Those of the server for the two subjects of the stream stay.
  expect([await subscriptions(), streamed]).toEqual([before + 2, before + 4])
})

test('what a stranger wrote for a name is written over', async () => {
  places++
  await using one = await at(server.url)
  await one.link.ask(`t-${places}.l.jobs`, 'nonsense')
  expect(await one.leases.owner('jobs')).toBeUndefined()
  const lease = await mustGet(one.leases.acquire('jobs', 60_000))
  expect(await one.leases.owner('jobs')).toBe(lease.token)
})

test('a name of a process that was killed goes to another one when its time is over, not before', async () => {
  places++
  const file = (path: string): string => new URL(path, import.meta.url).href
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { connectNats } = await import(${JSON.stringify(file('../broker/nats/connect.ts'))})
       const { natsLeases } = await import(${JSON.stringify(file('./nats.ts'))})
       const leases = await natsLeases(await connectNats('${server.url}'), { prefix: 't-${places}' })
       const lease = await leases.hold('jobs', { ttlMs: 2_000 })
       console.log(lease.token)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  const token = Number(said.toString())
  await using one = await at(server.url)
  // Longer than its time: it is renewed.
  await sleep(2_500)
  expect(await one.leases.owner('jobs')).toBe(token)
  const next = one.leases.hold('jobs', { ttlMs: 2_000 })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const beganMs = performance.now()
  expect((await next).token).toBeGreaterThan(token)
  expect(performance.now() - beganMs).toBeLessThan(3_000)
})

test('however connections break, no two own a name at the same time, and tokens rise with the owners', async () => {
  places++
  const owners: { token: number; fromMs: number; untilMs: number }[] = []
  const proxies = await Promise.all([1, 2, 3].map(() => startProxy(server.port)))
  const parties = await Promise.all(proxies.map((proxy) => at(proxy.url('nats'))))
  const ending = new AbortController()
  const turns = parties.map(async ({ leases }) => {
    while (!ending.signal.aborted) {
      const lease = await leases.hold('jobs', { ttlMs: 400, signal: ending.signal }).catch(() => undefined)
      if (lease === undefined) continue
      const fromMs = performance.now()
      const turn = { token: lease.token, fromMs, untilMs: fromMs }
      owners.push(turn)
      const releaseAtMs = fromMs + (owners.length % 4) * 150
      for (;;) {
        const nowMs = performance.now()
        if (lease.signal.aborted || nowMs > releaseAtMs) break
        // It is held a moment later, so it was held then.
        turn.untilMs = nowMs
        await sleep(5)
      }
      await lease.release().catch(() => undefined)
    }
  })
  for (let round = 0; round < 12; round++) {
    const proxy = proxies[round % 3]
    if (round % 4 === 3) {
      proxy?.stall()
      await sleep(500)
      proxy?.resume()
    } else {
      await sleep(250)
      proxy?.reset()
    }
  }
  ending.abort()
  await Promise.all(turns)
  for (const one of [...parties, ...proxies]) await one[Symbol.asyncDispose]()
  expect(owners.length).toBeGreaterThan(5)
  const inTime = owners.toSorted((a, b) => a.fromMs - b.fromMs)
  for (const [index, { token, fromMs }] of inTime.entries()) {
    const before = inTime[index - 1]
    if (before === undefined) continue
    expect(token).toBeGreaterThan(before.token)
    expect(fromMs).toBeGreaterThanOrEqual(before.untilMs)
  }
}, 40_000)

test('without JetStream they are refused', async () => {
  await using own = await startNats(`
    accounts { plain { users: [{ user: plain, password: p }] }, other { jetstream: enabled } }`)
  await using link = await connectNats(own.url.replace('//', '//plain:p@'))
  await expect(natsLeases(link)).rejects.toMatchObject({ code: 'BROKER_REFUSED' })
})

test.each<[string, object]>([
  ['prefix', { prefix: 'a.b' }],
  ['replicas', { replicas: 0 }],
  ['limit', { limit: 0 }],
  ['there is no option', { other: 1 }],
])('wrong options are refused: %s', async (name, options) => {
  await using link = await connectNats(server.url)
  await expect(natsLeases(link, options)).rejects.toThrow(name)
})
