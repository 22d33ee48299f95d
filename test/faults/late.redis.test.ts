import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProxy } from '../servers/proxy.ts'
import { startRedis } from '../servers/redis.ts'
import type { Server } from '../servers/server.ts'
import { open, placeOn } from './support.ts'

let server: Server
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

test('[I4] [I15] what is on its way to a process for longer than its lease is not handled there as well as elsewhere', async () => {
  await using proxy = await startProxy(Number(new URL(server.url).port))
  const place = placeOn('')
  const options = { defaults: { ackWaitMs: 500 } }
  const far = await open(proxy.url('redis') + place, options)
  const handled: number[] = []
  const note = ({ data }: { readonly data: unknown }): void => void handled.push(data as number)
  far.subscribe('work.x', note, { group: 'g' })
  const near = await open(server.url + place, options)
  // The answer to whoever asks takes longer than what it says lasts.
  proxy.delay(800)
  for (let at = 0; at < 20; at++) await near.publish('work.x', at)
  const ledger = async () => (await near.channels()).find(({ name }) => name === 'work')?.ledger
  await expect.poll(async () => (await ledger())?.leased, { interval: 10, timeout: 10_000 }).toBeGreaterThan(0)
  near.subscribe('work.x', note, { group: 'g' })
  await expect.poll(ledger, { timeout: 20_000 }).toMatchObject({ published: 20, acked: 20, pending: 0, leased: 0 })
  // What was on its way has come by now.
  await sleep(2_000)
  proxy.delay(0)
  expect(handled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, at) => at))
}, 60_000)
