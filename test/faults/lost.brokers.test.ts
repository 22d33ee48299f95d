import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { MACHINE_MS } from '../machine.ts'
import type { Server } from '../servers/server.ts'
import { publishTo, tally } from './load.ts'
import { child, codeOf, heard, KINDS, ledgerOf, open, placeOn, timed } from './support.ts'

const OUTAGE_MS = 5_000

describe.each(KINDS)('$name', ({ start }) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  // A test that failed leaves the server as it likes.
  afterEach(async () => {
    server.resume()
    if (server.pid === 0) await server.start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test.each([
    { how: 'is killed', hurt: () => server.kill(), heal: () => server.start() },
    { how: 'stands still', hurt: async () => server.pause(), heal: async () => server.resume() },
  ])(
    '[WN26] [W21] [C25] [I1] [I6] [I13] [V61] a broker that $how for 5 s under load: nothing lost, no reorder, reading goes on within 5 s without a gap',
    async ({ hurt, heal }) => {
      const url = placeOn(server.url)
      const events = heard('out', 'log.disconnected', 'log.retried', 'log.reconnected', 'log.lost')
      const out = await open(url, { name: 'out', offline: { forMs: 30_000 }, publishTimeoutMs: 40_000 })
      const into = await open(url, { name: 'into' })
      const handled: string[] = []
      const read: string[] = []
      let running = 0
      let inHand = 0
      into.subscribe(
        'work.x',
        async ({ session, data }) => {
          handled.push(`${session}:${data}`)
          inHand = Math.max(inHand, ++running)
          await sleep(1)
          running--
        },
        { group: 'workers' },
      )
      into.subscribe('work.x', ({ session, data }) => void read.push(`${session}:${data}`), { from: 'first' })
      const load = publishTo(out, 'work.x', 6)
      await expect.poll(() => handled.length, { timeout: 10_000 }).toBeGreaterThan(200)

      const away = sleep(OUTAGE_MS)
      await hurt()
      await expect.poll(() => events.map(({ event }) => event), { timeout: 8_000 }).toContain('log.disconnected')
      const { status, reasons, backend } = out.health()
      expect(status).not.toBe('healthy')
      expect(reasons.join()).toContain('no connection to the broker')
      expect(backend?.state).toBe('failing')
      await away
      await heal()
      const backMs = performance.now()
      const [before, seen] = [handled.length, read.length]
      await expect
        .poll(() => Math.min(handled.length - before, read.length - seen), { timeout: 10_000 })
        .toBeGreaterThan(50)
      expect(performance.now() - backMs).toBeLessThan(5_000)

      await load.stop()
      const missing = (): readonly string[] => [...tally(load.acked, handled).lost, ...tally(load.acked, read).lost]
      await expect.poll(missing, { timeout: 10_000 }).toEqual([])
      expect(tally(load.acked, handled).overtaking).toEqual([])
      expect(tally(load.acked, read)).toEqual({ lost: [], doubled: [], overtaking: [] })
      // Each session has one message in hand; one more may have been handed out already.
      expect(inHand).toBeLessThanOrEqual(6)
      expect(tally(load.acked, handled).doubled.length).toBeLessThanOrEqual(2 * 6)
      // One message of each session was on its way: of those it is not known. All others waited.
      expect(Object.keys(load.codes).filter((code) => !['ok', 'PUBLISH_UNKNOWN'].includes(code))).toEqual([])
      expect(load.codes.PUBLISH_UNKNOWN ?? 0).toBeLessThanOrEqual(6)
      // The same of all places: nothing was stored twice, and all is settled.
      const ledger = () => ledgerOf(into, 'work')
      const count = load.acked.length
      await expect
        .poll(ledger, { timeout: 10_000 })
        .toMatchObject({ published: count, acked: count, pending: 0, leased: 0 })
      await expect.poll(() => [out, into].flatMap((bus) => bus.health().reasons), { timeout: 10_000 }).toEqual([])

      const told = events.map(({ event }) => event)
      expect(told.filter((event) => event !== 'log.retried')).toEqual(['log.disconnected', 'log.reconnected'])
      const tries = events.filter(({ event }) => event === 'log.retried').map(({ fields }) => fields.tries)
      expect(tries).toEqual(tries.map((_, at) => at + 1))
      expect(tries.length).toBeLessThan(20)
    },
    60_000,
  )

  test('[C25] [W21] while the broker is away publishes wait in order within their bounds, and are refused beyond them', async () => {
    const url = placeOn(server.url)
    const events = heard('patient', 'log.disconnected')
    const patient = await open(url, {
      name: 'patient',
      offline: { limit: 50, forMs: 20_000 },
      publishTimeoutMs: 30_000,
    })
    const hasty = await open(url, { name: 'hasty', offline: { forMs: 0 } })
    const short = await open(url, { name: 'short', offline: { forMs: 300 } })
    await patient.publish('work.x', -1, { session: 's' })
    await server.kill()
    await expect.poll(() => events.length).toBe(1)
    for (const bus of [hasty, short]) await expect.poll(() => bus.health().status).not.toBe('healthy')
    const waiting = Array.from({ length: 50 }, (_, number) => patient.publish('work.x', number, { session: 's' }))
    expect(await codeOf(patient.publish('work.x', 'one too many'))).toBe('STORE_FULL')
    const refused = await timed(hasty.publish('work.x', 'refused'))
    expect(refused.code).toBe('STORE_FAILED')
    expect(refused.ms).toBeLessThan(250 + MACHINE_MS)
    const late = await timed(short.publish('work.x', 'late'))
    expect(late.code).toBe('STORE_FAILED')
    expect(late.ms).toBeGreaterThan(290)
    expect(late.ms).toBeLessThan(300 + 250 + MACHINE_MS)
    await server.start()
    const acks = await Promise.all(waiting)
    expect(acks.every(({ duplicate }) => !duplicate)).toBe(true)
    // What was reported as refused is nowhere, and what waited is in its order.
    const kept = await Array.fromAsync(patient.replay('work.x'), ({ data }) => data)
    expect(kept).toEqual(Array.from({ length: 51 }, (_, number) => number - 1))
    await expect.poll(() => codeOf(hasty.publish('work.x', 'again')), { timeout: 5_000 }).toBe('ok')
  }, 40_000)

  test('[CN9] [C25] a broker that is closed for 0.3 s costs a handful of events, and no processor time', async () => {
    const url = placeOn(server.url)
    const other = await child(
      url,
      `{ name: 'other' }`,
      `
      const { subscribe } = await import('node:diagnostics_channel')
      const { EVENTS } = await import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)})
      const events = []
      let cpu
      for (const event of EVENTS.filter((name) => name.startsWith('log.'))) {
        subscribe('swarmbus.' + event, () => {
          events.push(event)
          if (event === 'log.disconnected') cpu = process.cpuUsage()
          if (event !== 'log.reconnected') return
          const { user, system } = process.cpuUsage(cpu)
          say(JSON.stringify({ events, cpuMs: (user + system) / 1_000 }))
        })
      }
      bus.subscribe('work.x', ({ data }) => say('handled ' + data), { group: 'workers' })
      for (let channel = 0; channel < 5; channel++) bus.subscribe('more' + channel, () => undefined, { group: 'workers' })
      await bus.publish('work.x', 1)
      `,
    )
    await expect.poll(() => other.lines).toContain('handled 1')
    await server.kill()
    await sleep(300)
    await server.start()
    await expect.poll(() => other.lines.length, { timeout: 10_000 }).toBe(2)
    const told = JSON.parse(other.lines[1] as string) as { events: string[]; cpuMs: number }
    expect(told.events.filter((event) => event === 'log.disconnected')).toHaveLength(1)
    expect(told.events.length).toBeLessThan(12)
    // A loop that spins would have used all of the 300 ms and more.
    expect(told.cpuMs).toBeLessThan(150)
    const bus = await open(url)
    await bus.publish('work.x', 2)
    await expect.poll(() => other.lines, { timeout: 5_000 }).toContain('handled 2')
  }, 40_000)
})
