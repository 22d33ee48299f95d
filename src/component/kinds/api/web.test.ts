import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { declare, folderWith, startKinds } from '../../../../test/support/kinds.ts'
import type { Setting } from '../../spec.ts'
import { addressUnder } from './web.ts'

interface Seen {
  readonly line: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

const seen: Seen[] = []
let base = ''
let elsewhere = ''

const server = createServer((request, response) => {
  void answer(request, response)
})
const stranger = createServer((request, response) => {
  seen.push({ line: `stranger ${request.url}`, headers: request.headers, body: '' })
  response.end('stolen')
})

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  seen.push({ line: `${request.method} ${request.url}`, headers: request.headers, body })
  const path = (request.url ?? '').split('?')[0]
  if (path === '/v1/away') return void response.writeHead(302, { location: elsewhere }).end()
  if (path === '/v1/moved') return void response.writeHead(303, { location: '/v1/users' }).end()
  if (path === '/v1/loop') return void response.writeHead(302, { location: '/v1/loop' }).end()
  if (path === '/v1/big') return void response.end('x'.repeat(5_000))
  if (path === '/v1/slow') return
  if (path === '/v1/none')
    return void response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"none"}')
  response.setHeader('content-type', 'application/json')
  response.end('{"ok":true}')
}

const listening = (one: typeof server): Promise<string> =>
  new Promise((resolve) =>
    one.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(one.address() as AddressInfo).port}`)),
  )

beforeAll(async () => {
  base = await listening(server)
  elsewhere = await listening(stranger)
})
beforeEach(() => {
  seen.length = 0
})
afterAll(() => {
  for (const one of [server, stranger]) {
    one.closeAllConnections()
    one.close()
  }
})

async function started(settings: Readonly<Record<string, Setting>> = {}, folder?: string) {
  const run = await startKinds(
    [declare('api', 'api web', { url: `${base}/v1`, ...settings }), declare('x', 'memory short_term')],
    {
      ...(folder === undefined ? {} : { folder }),
    },
  )
  const x = run.swarm.component('x')
  return { ...run, call: (inputs: unknown) => x.request('api', { action: 'request', inputs }), x }
}

test('[W72] a call goes under the base address, with query, body, headers and key', async () => {
  await using run = await started({ api_key: 'k-1', headers: { 'x-team': 'blue' } })
  expect(await run.call({ path: '/users', method: 'post', query: { page: 2 }, body: { name: 'Ann' } })).toEqual({
    status: 200,
    body: { ok: true },
  })
  expect(seen[0]?.line).toBe('POST /v1/users?page=2')
  expect(seen[0]?.headers).toMatchObject({
    authorization: 'Bearer k-1',
    'x-team': 'blue',
    'content-type': 'application/json',
  })
  expect(seen[0]?.body).toBe('{"name":"Ann"}')
})

test('[W72] a path alone, or an action as the path, is a GET', async () => {
  await using run = await started()
  await run.x.request('api', 'users')
  await run.x.request('api', { action: 'users/7', inputs: { full: true } })
  expect(seen.map((one) => one.line)).toEqual(['GET /v1/users', 'GET /v1/users/7?full=true'])
})

test('[W72] an answer that says no is an answer', async () => {
  await using run = await started()
  expect(await run.call({ path: 'none' })).toEqual({ status: 404, body: { error: 'none' } })
})

test('[W72] nothing outside of the base address is called, and no key goes to strangers', async () => {
  await using run = await started({ api_key: 'k-1' })
  for (const path of [
    elsewhere,
    `//${new URL(elsewhere).host}/`,
    '../admin',
    '/../admin',
    '%2e%2e/admin',
    '\\\\evil',
    'file:///etc/passwd',
  ]) {
    await expect(run.call({ path }), path).rejects.toThrow(/leads out of/)
  }
  await expect(run.call({ path: 'away' })).rejects.toThrow(/sends elsewhere/)
  expect(seen.some((one) => one.line.startsWith('stranger'))).toBe(false)
})

test('[W72] redirects on the same server are followed, but not for ever', async () => {
  await using run = await started()
  expect(await run.call({ path: 'moved', method: 'POST', body: 'x' })).toEqual({ status: 200, body: { ok: true } })
  expect(seen.map((one) => one.line)).toEqual(['POST /v1/moved', 'GET /v1/users'])
  await expect(run.call({ path: 'loop' })).rejects.toThrow(/more than 5 times/)
})

test('[W72] a call ends in time and within its size', async () => {
  await using run = await started({ timeout: 0.1, max_bytes: 1_000 })
  await expect(run.call({ path: 'slow' })).rejects.toThrow('no answer within 0.1 s')
  await expect(run.call({ path: 'big' })).rejects.toThrow('larger than 1000 bytes')
})

test('[W72] methods may be limited', async () => {
  await using run = await started({ methods: ['get'] })
  await expect(run.call({ path: 'users', method: 'DELETE' })).rejects.toThrow('may not DELETE; allowed: GET')
  expect(seen).toEqual([])
})

test('[W72] the documentation, a file or a text, stands in the description', async () => {
  await using folder = await folderWith({ 'endpoint.txt': 'GET /users lists them' })
  const { WEB } = await import('./web.ts')
  const tools = async (documentation: string) => {
    const context = { env: undefined, folder: folder.path } as never
    const behaviour = await WEB.make?.(declare('api', 'api web', { url: base, documentation }), context)
    return behaviour?.tools?.()[0]?.summary
  }
  expect(await tools('endpoint.txt')).toContain('GET /users lists them')
  expect(await tools('ask /x for y')).toContain('ask /x for y')
})

test('[W69] an address that is none is refused', async () => {
  await expect(started({ url: 'ftp://x' })).rejects.toThrow('begins with http:// or https://')
  expect(addressUnder(new URL('http://h/'), 'a/b').href).toBe('http://h/a/b')
})
