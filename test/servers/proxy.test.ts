import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProxy } from './proxy.ts'

/** Says back what it hears, and remembers it. */
const heard: string[] = []
const echo = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('data', (bytes) => {
    heard.push(bytes.toString())
    socket.write(bytes)
  })
  socket.on('end', () => socket.end())
  socket.on('error', () => undefined)
})
let port: number
beforeAll(async () => {
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  port = (echo.address() as { port: number }).port
})
afterAll(() => {
  echo.close()
})

/** A client, with all it got and how it ended. */
async function client(at: number): Promise<{ socket: Socket; got: () => string; end: () => string }> {
  const socket = connect(at, '127.0.0.1')
  let text = ''
  let ended = ''
  socket.on('data', (bytes) => {
    text += bytes.toString()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    ended = error.code ?? ''
  })
  socket.on('end', () => {
    ended ||= 'end'
  })
  await once(socket, 'connect').catch(() => undefined)
  return { socket, got: () => text, end: () => ended }
}

test('bytes pass both ways, and so does the end of a connection', async () => {
  await using proxy = await startProxy(port)
  expect(proxy.url('nats')).toBe(`nats://127.0.0.1:${proxy.port}`)
  expect(proxy.url('redis', ':x')).toBe(`redis://:x@127.0.0.1:${proxy.port}`)
  const { socket, got, end } = await client(proxy.port)
  socket.write('hello')
  await expect.poll(got).toBe('hello')
  expect(proxy.connections).toBe(1)
  socket.end()
  await expect.poll(end).toBe('end')
  await expect.poll(() => proxy.connections).toBe(0)
})

test('a reset reaches all connections', async () => {
  await using proxy = await startProxy(port)
  const clients = [await client(proxy.port), await client(proxy.port)]
  for (const { socket } of clients) socket.write('x')
  await expect.poll(() => clients.map(({ got }) => got())).toEqual(['x', 'x'])
  proxy.reset()
  await expect.poll(() => clients.map(({ end }) => end())).toEqual(['ECONNRESET', 'ECONNRESET'])
  expect(proxy.connections).toBe(0)
})

test('reset after apply: the server got the request, the client no answer; once', async () => {
  await using proxy = await startProxy(port)
  const one = await client(proxy.port)
  const reset = proxy.resetAfter((bytes) => bytes.includes('store'))
  one.socket.write('look')
  await expect.poll(one.got).toBe('look')
  one.socket.write('store')
  await reset
  await expect.poll(one.end).toBe('ECONNRESET')
  expect([one.got(), heard.includes('store')]).toEqual(['look', true])
  const two = await client(proxy.port)
  two.socket.write('store')
  await expect.poll(two.got).toBe('store')
})

test('a stalled link stays open and lets nothing pass; then what waited goes on', async () => {
  await using proxy = await startProxy(port)
  const { socket, got, end } = await client(proxy.port)
  socket.write('a')
  await expect.poll(got).toBe('a')
  proxy.stall()
  socket.write('stalled')
  const late = await client(proxy.port)
  late.socket.write('late')
  // Time is what is tested: nothing may pass in it.
  await sleep(100)
  expect([got(), late.got(), end(), heard.includes('stalled')]).toEqual(['a', '', '', false])
  expect(proxy.connections).toBe(2)
  proxy.resume()
  await expect.poll(() => [got(), late.got()]).toEqual(['astalled', 'late'])
})

test('a delay counts each way, and keeps the order when it changes', async () => {
  await using proxy = await startProxy(port)
  const { socket, got } = await client(proxy.port)
  proxy.delay(100)
  const beganMs = performance.now()
  socket.write('1')
  await expect.poll(() => heard.at(-1)).toBe('1')
  socket.write('2')
  await sleep(20)
  proxy.delay(0)
  socket.write('3')
  await expect.poll(got, { interval: 5 }).toBe('123')
  expect(performance.now() - beganMs).toBeGreaterThanOrEqual(195)
})

test('what was sent before the end of a slow connection arrives, and the end after it', async () => {
  await using proxy = await startProxy(port)
  const { socket } = await client(proxy.port)
  proxy.delay(100)
  socket.end('last words')
  socket.destroySoon()
  await expect.poll(() => heard.at(-1)).toBe('last words')
  await expect.poll(() => proxy.connections).toBe(0)
})

test('new connections are refused until they are accepted again; old ones go on', async () => {
  await using proxy = await startProxy(port)
  const old = await client(proxy.port)
  proxy.refuse()
  const refused = await client(proxy.port)
  await expect.poll(refused.end).toBe('ECONNRESET')
  old.socket.write('still')
  await expect.poll(old.got).toBe('still')
  proxy.accept()
  const again = await client(proxy.port)
  again.socket.write('again')
  await expect.poll(again.got).toBe('again')
})
