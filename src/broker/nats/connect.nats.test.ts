import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MACHINE_MS } from '../../../test/machine.ts'
import { startNats } from '../../../test/servers/nats.ts'
import { startProxy } from '../../../test/servers/proxy.ts'
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
  expect(performance.now() - beganMs).toBeLessThan(500 + MACHINE_MS)
  await expect.poll(() => sockets.size).toBe(0)
  mute.close()
})

test('one that stops answering in the middle of a connection is given up in time, too', async () => {
  await using proxy = await startProxy(server.port)
  // The first word of the server comes through; what the client says to it does not.
  proxy.delay(350)
  const beganMs = performance.now()
  expect(await fault(connectNats(proxy.url('nats', 'bee:hon%40ey'), { connectTimeoutMs: 600 }))).toMatchObject({
    code: 'BROKER_UNREACHABLE',
  })
  const tookMs = performance.now() - beganMs
  expect(tookMs).toBeGreaterThanOrEqual(590)
  expect(tookMs).toBeLessThan(600 + 250 + MACHINE_MS)
  await expect.poll(() => proxy.connections, { timeout: 5_000 }).toBe(0)
})

test('of several servers the one that answers is used', async () => {
  const dead = await freePort()
  await using link = await connectNats(`nats://bee:hon%40ey@127.0.0.1:${dead},127.0.0.1:${server.port}`)
  const listed = link.connection.getServers().map(({ listen }) => listen)
  expect(new Set(listed)).toEqual(new Set([`127.0.0.1:${dead}`, `127.0.0.1:${server.port}`]))
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

test('a token is one way to say who one is', async () => {
  await using own = await startNats('authorization { token: "se/cret" }')
  await using link = await connectNats(own.url.replace('//', '//se%2Fcret@'))
  expect(link.url).not.toContain('cret')
  expect(await fault(connectNats(own.url.replace('//', '//other@')))).toMatchObject({ code: 'BROKER_REFUSED' })
})

test('by TLS it works with the authority of the certificate, and says what is missing without', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'swarmbus-tls-'))
  try {
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
    execFileSync(
      'openssl',
      [...args, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'key.pem', '-out', 'cert.pem'],
      {
        cwd: folder,
        stdio: 'ignore',
      },
    )
    const ca = readFileSync(join(folder, 'cert.pem'), 'utf8')
    await using secure = await startNats(`tls {
      cert_file: "${join(folder, 'cert.pem')}", key_file: "${join(folder, 'key.pem')}" }`)
    const url = secure.url.replace('nats:', 'tls:')
    {
      await using link = await connectNats(url, { client: { tls: { ca } } })
      expect(link.url).toBe(url)
      expect(await link.ask('$JS.API.INFO')).toBeDefined()
    }
    for (const one of [url, secure.url]) {
      const error = await fault(connectNats(one))
      expect(error).toMatchObject({ code: 'BROKER_REFUSED' })
      expect(error.message).toContain('client.tls.ca')
    }
    const plain = await fault(connectNats(withUser().replace('nats:', 'tls:')))
    expect(plain).toMatchObject({ code: 'BROKER_REFUSED' })
    expect(plain.message).toContain("does not support 'tls'")
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a reset connection comes back, and so do its subscriptions', async () => {
  await using proxy = await startProxy(server.port)
  await using link = await connectNats(proxy.url('nats', 'bee:hon%40ey'))
  const got: string[] = []
  link.connection.subscribe('t', { callback: (_, message) => void got.push(message.string()) })
  const types: string[] = []
  link.watch.on(({ type }) => void types.push(type))
  for (let round = 0; round < 3; round++) {
    await link.connection.flush()
    proxy.reset()
    await expect.poll(() => types.filter((type) => type === 'restored').length).toBe(round + 1)
    link.connection.publish('t', String(round))
    await expect.poll(() => got.length).toBe(round + 1)
  }
  expect(got).toEqual(['0', '1', '2'])
})

test('a question that the server carried out, and whose answer was cut off, is one of unknown outcome', async () => {
  await using proxy = await startProxy(server.port)
  await using link = await connectNats(proxy.url('nats', 'bee:hon%40ey'))
  const cut = proxy.resetAfter((bytes) => bytes.includes('STREAM.CREATE'))
  const config = JSON.stringify({ name: 'cut', subjects: ['cut'] })
  expect(await fault(link.ask('$JS.API.STREAM.CREATE.cut', config))).toMatchObject({ code: 'BROKER_TIMEOUT' })
  await cut
  await using other = await connectNats(withUser())
  expect((await other.ask('$JS.API.STREAM.INFO.cut')).json<{ config: { name: string } }>().config.name).toBe('cut')
})

test('300 ms each way is slow, not lost', async () => {
  await using proxy = await startProxy(server.port)
  proxy.delay(300)
  await using link = await connectNats(proxy.url('nats', 'bee:hon%40ey'))
  const types: string[] = []
  link.watch.on(({ type }) => void types.push(type))
  const untilMs = performance.now() + 6_000
  while (performance.now() < untilMs) await link.ask('$JS.API.INFO')
  expect(types).toEqual([])
}, 15_000)

test('a server that refuses for a while is tried until it takes the link again', async () => {
  await using own = await startNats()
  // A try may meet the server as it dies, and is given up then in time for the next one.
  await using link = await connectNats(own.url, { retryMs: 20, longestRetryMs: 50, connectTimeoutMs: 2_000 })
  const whys: string[] = []
  link.watch.on((event) => {
    if (event.type === 'retry') whys.push(event.why)
  })
  await own.kill()
  await own.start({ args: ['--user', 'other', '--pass', 'other'] })
  await expect.poll(() => whys.filter((why) => /Authorization Violation/i.test(why)).length).toBeGreaterThan(3)
  expect(link.connection.isClosed()).toBe(false)
  await own.kill()
  await own.start()
  await expect.poll(() => link.watch.isUp, { timeout: 5_000 }).toBe(true)
})

test('a link that hangs while it connects again ends at once when it is closed, and leaves no socket', async () => {
  await using proxy = await startProxy(server.port)
  const link = await connectNats(proxy.url('nats', 'bee:hon%40ey'), { retryMs: 10, longestRetryMs: 10 })
  proxy.stall()
  proxy.reset()
  await expect.poll(() => link.watch.isUp).toBe(false)
  await expect.poll(() => proxy.connections).toBe(1)
  const beganMs = performance.now()
  await link[Symbol.asyncDispose]()
  expect(performance.now() - beganMs).toBeLessThan(500 + MACHINE_MS)
  proxy.resume()
  await expect.poll(() => proxy.connections).toBe(0)
})

test('what a listener throws does not keep the link from coming back', async () => {
  await using proxy = await startProxy(server.port)
  await using link = await connectNats(proxy.url('nats', 'bee:hon%40ey'))
  link.watch.on(() => {
    throw new Error('from the listener')
  })
  const types: string[] = []
  link.watch.on(({ type }) => void types.push(type))
  proxy.reset()
  await expect.poll(() => types).toEqual(['lost', 'restored'])
  expect(await link.ask('$JS.API.INFO')).toBeDefined()
})

test.each<[string, object]>([
  ['connectTimeoutMs', { connectTimeoutMs: 0 }],
  ['retryMs', { retryMs: -1 }],
  ['there is no option', { other: 1 }],
])('wrong options are refused: %s', async (name, options) => {
  await expect(connectNats(withUser(), options)).rejects.toThrow(name)
})
