import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MACHINE_MS } from '../../../test/machine.ts'
import { startProxy } from '../../../test/servers/proxy.ts'
import { startRedis } from '../../../test/servers/redis.ts'
import { freePort, type Server } from '../../../test/servers/server.ts'
import type { BusError } from '../../kit/errors.ts'
import type { LinkEvent } from '../watch.ts'
import { connectRedis } from './connect.ts'
import { type RedisLink, type RedisLinkOptions, redisScript } from './link.ts'

let server: Server
beforeAll(async () => {
  server = await startRedis({ appendonly: 'no' })
})
afterAll(() => server[Symbol.asyncDispose]())

const bytes = (text: string): Buffer => Buffer.from(text)

/** How the call fails, and after how many milliseconds. */
async function faultOf(call: Promise<unknown>): Promise<{ error: BusError; ms: number }> {
  const sinceMs = performance.now()
  try {
    await call
  } catch (error) {
    return { error: error as BusError, ms: performance.now() - sinceMs }
  }
  throw new Error('should have failed')
}

/** What the link tells, and a wait for it. */
function eventsOf(link: RedisLink): { readonly all: LinkEvent[]; until(type: LinkEvent['type']): Promise<void> } {
  const all: LinkEvent[] = []
  link.watch.on((event) => all.push(event))
  return {
    all,
    until: (type) =>
      expect.poll(() => all.map((event) => event.type), { timeout: 10_000, interval: 5 }).toContain(type),
  }
}

describe('a connection that stands', () => {
  test('answers come as bytes, numbers, null and lists, whatever the bytes mean', async () => {
    await using link = await connectRedis(server.url)
    const odd = Buffer.from([0, 13, 10, 255])
    expect(await link.command('a', ['SET', 'bytes', odd])).toEqual(bytes('OK'))
    expect(await link.command('a', ['GET', 'bytes'])).toEqual(odd)
    expect(await link.command('a', ['GET', 'nothing'])).toBeNull()
    expect(await link.command('a', ['INCRBY', 'count', '41'])).toBe(41)
    expect(await link.command('a', ['MGET', 'bytes', 'nothing'])).toEqual([odd, null])
    expect(await link.everywhere(['DBSIZE'])).toEqual([2])
  })

  test('commands are carried out in the order of the calls', async () => {
    await using link = await connectRedis(server.url)
    const calls = Array.from({ length: 5_000 }, (_, index) => link.command('order', ['RPUSH', 'order', String(index)]))
    expect(await Promise.all(calls)).toEqual(calls.map((_, index) => index + 1))
  })

  test('the database of the URL is used', async () => {
    await using zero = await connectRedis(server.url)
    await using three = await connectRedis(`${server.url}/3`)
    await three.command('a', ['SET', 'only-three', '1'])
    expect(await zero.command('a', ['EXISTS', 'only-three'])).toBe(0)
    await using line = await three.line()
    expect(await line.command(['EXISTS', 'only-three'])).toBe(1)
  })

  test('a script is loaded when the server does not know it, and again after SCRIPT FLUSH', async () => {
    await using link = await connectRedis(server.url)
    const script = redisScript("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}")
    expect(await link.run(script, ['runs'], ['x'])).toEqual([bytes('runs'), bytes('x'), 1])
    await link.command(undefined, ['SCRIPT', 'FLUSH'])
    expect(await link.run(script, ['runs'], ['x'])).toEqual([bytes('runs'), bytes('x'), 2])
    await link.command(undefined, ['SCRIPT', 'FLUSH'])
    const many = await Promise.all(Array.from({ length: 20 }, () => link.run(script, ['runs'], ['x'])))
    expect(many.map((reply) => (reply as unknown[])[2])).toEqual(Array.from({ length: 20 }, (_, index) => index + 3))
  })

  test('a line that blocks holds up nobody, and is ended by its disposal', async () => {
    await using link = await connectRedis(server.url)
    const line = await link.line()
    const blocked = faultOf(line.command(['XREAD', 'BLOCK', '0', 'STREAMS', 'nothing', '$']))
    await link.command('a', ['SET', 'a', '1'])
    await line[Symbol.asyncDispose]()
    expect((await blocked).error.code).toBe('BROKER_TIMEOUT')
    await expect.poll(() => clients(link)).toBe(1)
    await expect(line.command(['PING'])).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
  })

  test('a command that waits in the server has that much longer', async () => {
    await using link = await connectRedis(server.url, { commandTimeoutMs: 100 })
    await using line = await link.line()
    expect(await line.command(['XREAD', 'BLOCK', '250', 'STREAMS', 'nothing', '$'])).toBeNull()
  })

  test('a line hears what is published to its channels and globs, from when it is told so', async () => {
    await using link = await connectRedis(server.url)
    await using line = await link.line()
    const heard: string[] = []
    await line.subscribe('news', (text) => heard.push(`news ${text}`))
    await line.subscribePattern('n*', (text, channel) => heard.push(`${channel} by glob ${text}`))
    await link.command(undefined, ['PUBLISH', 'news', '1'])
    await expect.poll(() => heard.toSorted()).toEqual(['news 1', 'news by glob 1'])
    await line.unsubscribe('news')
    await line.unsubscribePattern('n*')
    expect(await link.command(undefined, ['PUBLISH', 'news', '2'])).toBe(0)
  })

  test('disposal may be called twice, ends the lines, and leaves no connection at the server', async () => {
    await using other = await connectRedis(server.url)
    const link = await connectRedis(server.url)
    const line = await link.line()
    const lost: string[] = []
    line.onLost((why) => lost.push(why))
    await link[Symbol.asyncDispose]()
    await link[Symbol.asyncDispose]()
    expect(lost).toEqual(['it was closed'])
    await expect(link.command('a', ['PING'])).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
    await expect(link.line()).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
    await expect.poll(() => clients(other)).toBe(1)
  })
})

async function clients(link: RedisLink): Promise<number> {
  const list = String(await link.command(undefined, ['CLIENT', 'LIST', 'TYPE', 'normal']))
  return list.trim().split('\n').length
}

describe('what the server answers', () => {
  test('a wrong type is STORE_FAILED, with what the server said', async () => {
    await using link = await connectRedis(server.url)
    await link.command('a', ['SET', 'text', '1'])
    const { error } = await faultOf(link.command('a', ['LPUSH', 'text', '1']))
    expect(error).toMatchObject({ code: 'STORE_FAILED', details: { answer: 'WRONGTYPE' } })
    expect((error.cause as Error).message).toContain('WRONGTYPE')
  })

  test('a full memory is STORE_FULL, in scripts too, and passes by itself', async () => {
    await using link = await connectRedis(server.url)
    const script = redisScript("return redis.call('SET', KEYS[1], ARGV[1])")
    await link.command(undefined, ['CONFIG', 'SET', 'maxmemory', '1'])
    const full = await faultOf(link.command('a', ['SET', 'a', '1']))
    const inScript = await faultOf(link.run(script, ['a'], ['1']))
    await link.command(undefined, ['CONFIG', 'SET', 'maxmemory', '0'])
    expect([full.error.code, inScript.error.code]).toEqual(['STORE_FULL', 'STORE_FULL'])
    await link.run(script, ['a'], ['1'])
  })

  test('a missing right, too few replicas and a replica are BROKER_REFUSED, naming what to change', async () => {
    await using link = await connectRedis(server.url)
    await link.command(undefined, ['ACL', 'SETUSER', 'reader', 'on', '>word', '~*', '+@read', '+@connection'])
    await using reader = await connectRedis(server.url.replace('redis://', 'redis://reader:word@'))
    const right = await faultOf(reader.command('a', ['SET', 'a', '1']))
    expect(right.error).toMatchObject({ code: 'BROKER_REFUSED', details: { answer: 'NOPERM' } })
    await link.command(undefined, ['CONFIG', 'SET', 'min-replicas-to-write', '1'])
    const few = await faultOf(link.command('a', ['SET', 'a', '1']))
    await link.command(undefined, ['CONFIG', 'SET', 'min-replicas-to-write', '0'])
    expect(few.error.code).toBe('BROKER_REFUSED')
    expect(few.error.message).toContain('min-replicas-to-write')
    await link.command(undefined, ['REPLICAOF', '127.0.0.1', '1'])
    const replica = await faultOf(link.command('a', ['SET', 'a', '1']))
    await link.command(undefined, ['REPLICAOF', 'NO', 'ONE'])
    expect(replica.error).toMatchObject({ code: 'BROKER_REFUSED', details: { answer: 'READONLY' } })
  })
})

describe('a first connection', () => {
  test('[C26] that nobody answers is refused at once, naming host and port and not the password', async () => {
    const port = await freePort()
    const { error, ms } = await faultOf(connectRedis(`redis://me:secret@127.0.0.1:${port}`))
    expect(error.code).toBe('BROKER_UNREACHABLE')
    expect(error.message).toContain(`127.0.0.1:${port}`)
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('secret')
    expect(ms).toBeLessThan(5_000)
  })

  test('[C26] to a server that accepts and says nothing is given up in time', async () => {
    await using silent = await startRedis({ appendonly: 'no' })
    silent.pause()
    const { error, ms } = await faultOf(connectRedis(silent.url, { connectTimeoutMs: 300 }))
    silent.resume()
    expect(error.code).toBe('BROKER_UNREACHABLE')
    expect(ms).toBeLessThan(300 + 250 + MACHINE_MS)
  })

  test('with a wrong password, or none, is BROKER_REFUSED and says so without the password', async () => {
    await using closed = await startRedis({ requirepass: 'right', appendonly: 'no' })
    await using link = await connectRedis(closed.url.replace('redis://', 'redis://:right@'))
    await link.command('a', ['SET', 'a', '1'])
    await link.command(undefined, ['ACL', 'SETUSER', 'odd', 'on', '>p@ss:/w%', '~*', '+@all'])
    await using odd = await connectRedis(closed.url.replace('redis://', 'redis://odd:p%40ss%3A%2Fw%25@'))
    expect(String(await odd.command(undefined, ['ACL', 'WHOAMI']))).toBe('odd')
    expect(odd.url).toBe(closed.url)
    const wrong = await faultOf(connectRedis(closed.url.replace('redis://', 'redis://:wrong-one@')))
    expect(wrong.error.code).toBe('BROKER_REFUSED')
    expect(wrong.error.message).toContain(`127.0.0.1:${closed.port}`)
    expect(`${wrong.error.message} ${wrong.error.stack}`).not.toContain('wrong-one')
    const none = await faultOf(connectRedis(closed.url))
    expect(none.error.code).toBe('BROKER_REFUSED')
    expect(none.error.message).toContain('name the user and the password in the URL')
  })

  test('by TLS works with the authority of the certificate, and says what is missing without', async () => {
    const port = await freePort()
    const folder = server.folder
    const run = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
    run(
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'key.pem', '-out', 'cert.pem'],
    )
    await using secure = await startRedis({
      'tls-port': String(port),
      'tls-cert-file': join(folder, 'cert.pem'),
      'tls-key-file': join(folder, 'key.pem'),
      'tls-ca-cert-file': join(folder, 'cert.pem'),
      'tls-auth-clients': 'no',
      appendonly: 'no',
    })
    const url = `rediss://127.0.0.1:${port}`
    const ca = readFileSync(join(folder, 'cert.pem'))
    await using link = await connectRedis(url, { client: { socket: { tls: true, ca } } })
    expect(await link.command('a', ['SET', 'a', '1'])).toEqual(bytes('OK'))
    await using line = await link.line()
    expect(await line.command(['GET', 'a'])).toEqual(bytes('1'))
    const untrusted = await faultOf(connectRedis(url))
    expect(untrusted.error.code).toBe('BROKER_REFUSED')
    expect(untrusted.error.message).toContain('client: { socket: { ca } }')
    const plain = await faultOf(connectRedis(`rediss://127.0.0.1:${secure.port}`, { connectTimeoutMs: 300 }))
    expect(plain.error.code).toBe('BROKER_UNREACHABLE')
    expect(plain.error.message).toContain('does this port expect redis:// (no TLS)?')
    const bare = await faultOf(connectRedis(`redis://127.0.0.1:${port}`))
    expect(bare.error.code).toBe('BROKER_UNREACHABLE')
    expect(bare.error.message).toContain('does this port expect rediss:// (TLS)?')
  })

  test.each([
    'http://host',
    'redis://',
    'redis://a,b',
    'redis://host:0',
    'redis://host:99999',
    'redis://host/x',
    'redis+cluster://a:1,b:2/3',
    'redis+sentinel://a:1',
    'redis://host?x=1',
    'redis://me:secret%@host',
  ])('by %s is refused', async (url) => {
    const { error } = await faultOf(connectRedis(url))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).not.toContain('secret')
  })

  test.each([[{ connectTimeoutMs: 0 }], [{ retryMs: 'soon' }], [{ other: 1 }]])(
    'with %j is refused',
    async (options) => {
      const { error } = await faultOf(connectRedis(server.url, options as RedisLinkOptions))
      expect(error.code).toBe('INVALID_OPTION')
    },
  )
})

describe('a connection that is lost', () => {
  test('what is asked meanwhile was surely not carried out, and it comes back with one event a try', async () => {
    await using own = await startRedis()
    await using link = await connectRedis(own.url)
    const events = eventsOf(link)
    await link.command('a', ['SET', 'a', '1'])
    await own.kill()
    await events.until('retry')
    expect(link.watch.isUp).toBe(false)
    const { error, ms } = await faultOf(link.command('a', ['SET', 'a', '2']))
    expect(error.code).toBe('BROKER_UNREACHABLE')
    expect(ms).toBeLessThan(MACHINE_MS)
    await expect(link.line()).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
    await own.start()
    await events.until('restored')
    expect(link.watch.isUp).toBe(true)
    expect(await link.command('a', ['GET', 'a'])).toEqual(bytes('1'))
    const tries = events.all.filter(({ type }) => type === 'retry').map((event) => ('tries' in event ? event.tries : 0))
    expect(tries).toEqual(tries.map((_, index) => index + 1))
    expect(events.all[0]?.type).toBe('lost')
    expect(events.all.at(-1)).toMatchObject({ type: 'restored', tries: tries.length + 1 })
  })

  test('[CN9] a server that is away for 0.3 s costs a handful of tries, with growing waits', async () => {
    await using own = await startRedis({ appendonly: 'no' })
    await using proxy = await startProxy(own.port)
    await using link = await connectRedis(proxy.url('redis'))
    const events = eventsOf(link)
    proxy.refuse()
    proxy.reset()
    await events.until('lost')
    const sinceMs = performance.now()
    await expect.poll(() => performance.now() - sinceMs, { interval: 20 }).toBeGreaterThan(300)
    proxy.accept()
    await events.until('restored')
    const tries = events.all.filter(({ type }) => type === 'retry')
    expect(tries.length).toBeGreaterThan(0)
    expect(tries.length).toBeLessThan(8)
  })

  test('after a reset it is unknown whether what was sent was carried out; it is not sent again', async () => {
    await using own = await startRedis({ appendonly: 'no' })
    await using proxy = await startProxy(own.port)
    await using link = await connectRedis(proxy.url('redis'))
    const events = eventsOf(link)
    const reset = proxy.resetAfter((request) => request.includes('INCR'))
    const { error } = await faultOf(link.command('n', ['INCR', 'n']))
    await reset
    expect(error.code).toBe('BROKER_TIMEOUT')
    await events.until('restored')
    expect(await link.command('n', ['GET', 'n'])).toEqual(bytes('1'))
  })

  test('a server that is stopped is given up by the time limit of each call', async () => {
    await using own = await startRedis({ appendonly: 'no' })
    await using link = await connectRedis(own.url, { commandTimeoutMs: 300 })
    own.pause()
    const faults = await Promise.all([
      faultOf(link.command('a', ['SET', 'a', '1'])),
      faultOf(link.command('a', ['SET', 'b', '1'], 500)),
      faultOf(link.run(redisScript('return 1'), [], [])),
    ])
    own.resume()
    expect(faults.map(({ error }) => error.code)).toEqual(['BROKER_TIMEOUT', 'BROKER_TIMEOUT', 'BROKER_TIMEOUT'])
    expect(faults[0]?.ms).toBeLessThan(300 + 250 + MACHINE_MS)
    expect(faults[1]?.ms).toBeLessThan(500 + 250 + MACHINE_MS)
    // Nothing was lost: what waited is carried out.
    await expect.poll(() => link.command('a', ['MGET', 'a', 'b'])).toEqual([bytes('1'), bytes('1')])
    expect(link.watch.isUp).toBe(true)
  })

  test('a half-open connection is noticed within 5 s, idle or not, and lines with it', async () => {
    await using own = await startRedis({ appendonly: 'no' })
    await using proxy = await startProxy(own.port)
    await using link = await connectRedis(proxy.url('redis'))
    const line = await link.line()
    await line.subscribe('a', () => undefined)
    const lineLost = new Promise<string>((resolve) => line.onLost(resolve))
    // One that waits in the server is noticed, too, when what it waited for should have been answered.
    const blocked = await link.line()
    const call = faultOf(blocked.command(['XREAD', 'BLOCK', '1000', 'STREAMS', 'nothing', '$']))
    const blockedLost = new Promise<string>((resolve) => blocked.onLost(resolve))
    const events = eventsOf(link)
    const sinceMs = performance.now()
    proxy.stall()
    await events.until('lost')
    expect(await lineLost).toContain('no sign of life')
    expect(await blockedLost).toContain('no sign of life')
    expect((await call).error.code).toBe('BROKER_TIMEOUT')
    expect(performance.now() - sinceMs).toBeLessThan(5_000)
    proxy.reset()
    proxy.resume()
    await events.until('restored')
    expect(await link.command('a', ['SET', 'a', '1'])).toEqual(bytes('OK'))
  })

  test('a link that is closed while it is away does not come back', async () => {
    await using own = await startRedis({ appendonly: 'no' })
    const link = await connectRedis(own.url)
    const events = eventsOf(link)
    await own.kill()
    await events.until('retry')
    await link[Symbol.asyncDispose]()
    const told = events.all.length
    await own.start()
    await using other = await connectRedis(own.url)
    expect(await clients(other)).toBe(1)
    expect(events.all).toHaveLength(told)
  })
})
