import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startProxy } from '../servers/proxy.ts'
import type { Server } from '../servers/server.ts'
import { KINDS, ledgerOf, open, placeOn } from './support.ts'

/** So long, in milliseconds, everything is on its way: longer than a lease on Redis, and than NATS leaves what a silent process did not take. */
const DELAY_MS = { redis: 800, nats: 3_000 }

describe.each(KINDS)('$name', ({ name, start }) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test('[I4] [I15] what is on its way to a process for longer than its lease is not handled there as well as elsewhere', async () => {
    await using proxy = await startProxy(Number(new URL(server.url).port))
    const place = placeOn('')
    const options = { defaults: { ackWaitMs: 500 } }
    const far = await open(proxy.url(name) + place, options)
    const near = await open(server.url + place, options)
    const handled: number[] = []
    const note = ({ data }: { readonly data: unknown }): void => void handled.push(data as number)
    far.subscribe('work.x', note, { group: 'g' })
    const ledger = () => ledgerOf(near, 'work')
    // It is there, and known.
    await near.publish('work.x', -1)
    await expect.poll(ledger, { timeout: 10_000 }).toMatchObject({ acked: 1 })
    // What comes to whoever asks is older than it may be.
    proxy.delay(DELAY_MS[name])
    for (let at = 0; at < 20; at++) await near.publish('work.x', at)
    if (name === 'redis') {
      await expect.poll(async () => (await ledger())?.leased, { interval: 10, timeout: 10_000 }).toBeGreaterThan(0)
    }
    near.subscribe('work.x', note, { group: 'g' })
    await expect.poll(ledger, { timeout: 20_000 }).toMatchObject({ published: 21, acked: 21, pending: 0, leased: 0 })
    // What was on its way has come by now.
    await sleep(DELAY_MS[name] * 2.5)
    proxy.delay(0)
    expect(handled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 21 }, (_, at) => at - 1))
  }, 60_000)
})
