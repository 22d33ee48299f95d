import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNats } from '../../../test/servers/nats.ts'
import { freePort, type Server } from '../../../test/servers/server.ts'
import type { LinkEvent } from '../watch.ts'
import { connectNats } from './connect.ts'

let server: Server
beforeAll(async () => {
  server = await startNats('authorization { user: bee, password: "hon@ey" }')
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const withUser = (port: number = server.port): string => `nats://bee:hon%40ey@127.0.0.1:${port}`

/** What the call rejects with. */
async function fault(call: Promise<unknown>): Promise<{ code?: string; message: string }> {
  return call.then(
    () => ({ message: 'it did not fail' }),
    (error: { code?: string; message: string }) => error,
  )
}

test('a link knows its server, answers questions, and may be closed twice', async () => {
  const link = await connectNats(withUser())
  expect(link.url).toBe(`nats://127.0.0.1:${server.port}`)
  expect(link.version).toEqual([2, 9, 10])
  expect([link.isAtLeast(2, 9), link.isAtLeast(2, 10), link.isAtLeast(1, 99), link.isAtLeast(3, 0)]).toEqual([
    true,
    false,
    true,
    false,
  ])
  expect(link.watch.isUp).toBe(true)
  const answer = await link.ask('$JS.API.INFO')
  expect(answer.json<{ type: string }>().type).toBe('io.nats.jetstream.api.v1.account_info_response')
  await Promise.all([link[Symbol.asyncDispose](), link[Symbol.asyncDispose]()])
  await link[Symbol.asyncDispose]()
  expect(await fault(link.ask('$JS.API.INFO'))).toMatchObject({ code: 'BROKER_UNREACHABLE' })
})

test('questions that nobody serves, answers, or that are too large are told apart', async () => {
  await using link = await connectNats(withUser())
  link.connection.subscribe('mute', { callback: () => undefined })
  expect(await fault(link.ask('nobody'))).toMatchObject({ code: 'BROKER_REFUSED' })
  expect(await fault(link.ask('mute', '', { timeoutMs: 50 }))).toMatchObject({ code: 'BROKER_TIMEOUT' })
  expect(await fault(link.ask('mute', new Uint8Array(2_000_000)))).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
})

test('a wrong password is refused, and no secret is in the error', async () => {
  const error = await fault(connectNats(`nats://bee:seCret@127.0.0.1:${server.port}`))
  expect(error).toMatchObject({ code: 'BROKER_REFUSED' })
  expect(error.message).toContain(`127.0.0.1:${server.port}`)
  expect(JSON.stringify(error) + error.message).not.toContain('seCret')
  expect(await fault(connectNats(server.url))).toMatchObject({ code: 'BROKER_REFUSED' })
})

test('where nobody listens the first connection fails at once, with the place and without the password', async () => {
  const port = await freePort()
  const error = await fault(connectNats(withUser(port)))
  expect(error).toMatchObject({ code: 'BROKER_UNREACHABLE' })
  expect(error.message).toContain(`127.0.0.1:${port}`)
  expect(error.message).not.toContain('ey@')
})

test('a place that takes connections and says nothing is given up in time, and its socket is closed', async () => {
  const sockets = new Set<unknown>()
  const mute = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
  }).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const { port } = mute.address() as { port: number }
  const beganMs = performance.now()
  expect(await fault(connectNats(withUser(port), { connectTimeoutMs: 300 }))).toMatchObject({
    code: 'BROKER_UNREACHABLE',
  })
  expect(performance.now() - beganMs).toBeLessThan(1_500)
  await expect.poll(() => sockets.size).toBe(0)
  mute.close()
})

test('of several servers the one that answers is used', async () => {
  const dead = await freePort()
  await using link = await connectNats(`nats://bee:hon%40ey@127.0.0.1:${dead},127.0.0.1:${server.port}`)
  expect(link.connection.getServers().map(({ listen }) => listen)).toEqual([
    `127.0.0.1:${dead}`,
    `127.0.0.1:${server.port}`,
  ])
  expect(await link.ask('$JS.API.INFO')).toBeDefined()
})

test('a lost connection comes back by itself, with one event a try, and a question under way ends at once', async () => {
  await using own = await startNats()
  await using link = await connectNats(own.url, { retryMs: 20, longestRetryMs: 80 })
  const events: LinkEvent[] = []
  link.watch.on((event) => events.push(event))
  link.connection.subscribe('mute', { callback: () => undefined })
  const asked = fault(link.ask('mute', '', { timeoutMs: 60_000 }))
  await link.connection.flush()
  await own.kill()
  expect(await asked).toMatchObject({ code: 'BROKER_TIMEOUT' })
  await expect.poll(() => events.filter(({ type }) => type === 'retry').length).toBeGreaterThanOrEqual(3)
  expect(link.watch.isUp).toBe(false)
  expect(await fault(link.ask('mute'))).toMatchObject({ code: 'BROKER_UNREACHABLE' })
  await own.start()
  await expect.poll(() => link.watch.isUp, { timeout: 5_000 }).toBe(true)
  expect(await link.ask('$JS.API.INFO')).toBeDefined()
  const retries = events.filter((event) => event.type === 'retry')
  expect(events[0]?.type).toBe('lost')
  expect(retries.map(({ tries }) => tries)).toEqual(retries.map((_, index) => index + 1))
  for (const { nextMs } of retries) expect(nextMs).toBeLessThanOrEqual(100)
  expect(events.at(-1)).toMatchObject({ type: 'restored', tries: retries.length + 1 })
})

test('a server that stops answering is noticed within 5 s, also while much is to be written', async () => {
  await using own = await startNats()
  await using quiet = await connectNats(own.url)
  await using busy = await connectNats(own.url)
  own.pause()
  const beganMs = performance.now()
  const chunk = new Uint8Array(500_000)
  for (let count = 0; count < 40; count++) busy.connection.publish('flood', chunk)
  await expect.poll(() => [quiet.watch.isUp, busy.watch.isUp], { timeout: 8_000, interval: 20 }).toEqual([false, false])
  expect(performance.now() - beganMs).toBeLessThan(5_000)
  own.resume()
  await expect.poll(() => [quiet.watch.isUp, busy.watch.isUp], { timeout: 5_000 }).toEqual([true, true])
  expect(await busy.ask('$JS.API.INFO')).toBeDefined()
})
