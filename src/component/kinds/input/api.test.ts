import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { declare, type KindSwarm, ref, startKinds, until } from '../../../../test/support/kinds.ts'
import type { Setting } from '../../spec.ts'

interface Heard {
  readonly event: string
  readonly payload: unknown
  readonly sender: string
  readonly session_id: string
  readonly timestamp: number
}

/** A client that keeps what it hears. */
class Client {
  readonly socket: WebSocket
  readonly heard: Heard[] = []
  closed: number | undefined
  status: number | undefined

  constructor(url: string, options: object = {}) {
    this.socket = new WebSocket(url.replace('http', 'ws'), options)
    this.socket.on('message', (data) => this.heard.push(JSON.parse(String(data)) as Heard))
    this.socket.on('close', (code) => {
      this.closed = code
    })
    this.socket.on('unexpected-response', (_request, response) => {
      this.status = response.statusCode
    })
    this.socket.on('error', () => undefined)
  }

  /** The first event of a name, as soon as it is there. */
  async event(name: string): Promise<Heard> {
    await until(() => expect(this.events(name), name).not.toEqual([]))
    return this.events(name)[0] as Heard
  }

  events(name: string): readonly Heard[] {
    return this.heard.filter(({ event }) => event === name)
  }

  send(value: unknown): void {
    this.socket.send(typeof value === 'string' ? value : JSON.stringify(value))
  }
}

function started(settings: Readonly<Record<string, Setting>> = {}): Promise<KindSwarm> {
  return startKinds([
    declare('door', 'input api', { port: 0, ...settings }),
    declare('mind', 'llm echo', { prefix: 'you: ' }),
    declare('out', 'output console'),
  ])
}

const post = (url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

test('[W80] a socket is greeted with its session, and hears what follows from what it says', async () => {
  await using run = await started()
  const client = new Client(`${run.url('door')}/input`)
  const { payload, session_id } = await client.event('session.connected')
  expect(payload).toEqual({ session_id, subscribed_components: ['*'] })
  client.send({ type: 'user_input', input: 'hello' })
  expect(await client.event('response_generated')).toEqual({
    event: 'response_generated',
    payload: 'you: hello',
    sender: 'mind',
    session_id,
    timestamp: expect.any(Number),
  })
  expect((await client.event('input.received')).payload).toMatchObject({ input: 'hello', session_id })
  client.socket.close()
})

test('[W80] data and plain text are inputs too, in the order in which they came', async () => {
  await using run = await started()
  const client = new Client(run.url('door'))
  await client.event('session.connected')
  client.send({ type: 'input', data: { input: 'first', inputs: { lang: 'en' } } })
  client.send({ type: 'input', data: 'second' })
  client.send('third, in plain words')
  client.send({ input: 'fourth' })
  client.send('   ')
  await until(() => expect(client.events('response_generated')).toHaveLength(4))
  expect(client.events('response_generated').map(({ payload }) => payload)).toEqual([
    'you: first',
    'you: second',
    'you: third, in plain words',
    'you: fourth',
  ])
  expect(client.events('input.received')[0]?.payload).toMatchObject({ input: 'first', inputs: { lang: 'en' } })
  client.socket.close()
})

test('[W80] a client hears only the components that it subscribes to', async () => {
  await using run = await started()
  const client = new Client(run.url('door'))
  await client.event('session.connected')
  client.send({ type: 'subscribe', components: ['mind'] })
  expect((await client.event('subscribed')).payload).toEqual({ components: ['mind'] })
  client.send('hello')
  await client.event('response_generated')
  expect(client.events('input.received')).toEqual([])
  client.send({ type: 'subscribe', components: ['*'] })
  client.send('again')
  await client.event('input.received')
  client.socket.close()
})

test('[W80] what cannot be understood is told, and the socket stays', async () => {
  await using run = await started({ max_body: 1_000 })
  const client = new Client(run.url('door'))
  await client.event('session.connected')
  for (const wrong of [
    { type: 'dance' },
    { type: 'user_input' },
    { type: 'input' },
    { type: 'subscribe' },
    { type: 'user_input', input: 5 },
  ]) {
    client.send(wrong)
  }
  await until(() => expect(client.events('error')).toHaveLength(5))
  expect(client.events('error')[0]?.payload).toEqual({
    error: 'the type is unknown; there are: user_input, input, subscribe',
  })
  client.send('still here')
  await client.event('response_generated')
  client.send('x'.repeat(2_000))
  await until(() => expect(client.closed).toBe(1_009))
})

test('[WN8] [W14] [W80] what one client says is heard by it alone, and no two share a session', async () => {
  await using run = await started()
  const clients = Array.from({ length: 20 }, () => new Client(run.url('door')))
  const sessions = await Promise.all(clients.map(async (one) => (await one.event('session.connected')).session_id))
  expect(new Set(sessions).size).toBe(20)
  expect(sessions.every((one) => /^[0-9a-f]{32}$/.test(one))).toBe(true)
  clients.forEach((one, index) => {
    one.send(`secret of ${index}`)
  })
  await Promise.all(clients.map((one) => one.event('response_generated')))
  await run.swarm.idle()
  clients.forEach((one, index) => {
    const foreign = one.heard.filter((event) => event.session_id !== sessions[index])
    expect(foreign).toEqual([])
    expect(one.events('response_generated').map(({ payload }) => payload)).toEqual([`you: secret of ${index}`])
    one.socket.close()
  })
})

test('[WN8] what happens in no session, or in that of a program, is heard by no socket', async () => {
  await using run = await started()
  const client = new Client(run.url('door'))
  await client.event('session.connected')
  await run.swarm.component('mind').emit('response_generated', 'for nobody')
  expect((await post(`${run.url('door')}/input?wait=true`, { input: 'other' })).status).toBe(200)
  client.send('mine')
  await client.event('response_generated')
  expect(client.events('response_generated').map(({ payload }) => payload)).toEqual(['you: mine'])
  client.socket.close()
})

test('[W80] POST /input takes text and JSON, and waits for the answer where it is asked to', async () => {
  await using run = await started()
  const url = `${run.url('door')}/input`
  const accepted = await post(url, { input: 'hello', session_id: 's-1' })
  expect([accepted.status, await accepted.json()]).toEqual([202, { accepted: true, session_id: 's-1' }])
  const plain = await post(`${url}?wait=true`, 'plain words')
  expect([plain.status, await plain.json()]).toEqual([
    200,
    { session_id: expect.stringMatching(/^[0-9a-f]{32}$/), response: 'you: plain words' },
  ])
  const json = await post(url, { type: 'input', data: { input: 'deep' }, session_id: 's-2', wait: true })
  expect(await json.json()).toEqual({ session_id: 's-2', response: 'you: deep' })
})

test('[W80] waiting requests of many sessions get their own answers', async () => {
  await using run = await started()
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const answer = await post(`${run.url('door')}/input?wait=true`, {
        input: `n${index}`,
        session_id: `s${index % 5}`,
      })
      return ((await answer.json()) as { response: string }).response
    }),
  )
  expect(answers).toEqual(Array.from({ length: 50 }, (_, index) => `you: n${index}`))
})

test('[W80] the answer is the last word of a chain, and of an agent the text', async () => {
  await using run = await startKinds([
    declare('door', 'input api', { port: 0 }, ['first']),
    declare('first', 'llm echo', { prefix: 'a' }, ['second']),
    declare('second', 'agent echo', { prefix: 'b' }, ['out']),
    declare('out', 'output console'),
  ])
  const answers = await Promise.all(
    ['1', '2', '3'].map(async (input) => {
      const answer = await post(`${run.url('door')}/input?wait=true`, { input, session_id: 's' })
      return ((await answer.json()) as { response: unknown }).response
    }),
  )
  expect(answers).toEqual(['ba1', 'ba2', 'ba3'])
})

test('[W80] the failure of an agent that is a tool is no answer to whoever waits', async () => {
  await using run = await startKinds([
    declare('door', 'input api', { port: 0 }, ['bob']),
    declare('bob', 'agent llm', { model: ref('mind'), tools: [ref('helper')] }, ['out']),
    declare('mind', 'llm scripted', { answers: [{ tool: 'ask', inputs: { question: 'help' } }, 'without help'] }),
    declare('helper', 'agent scripted', { answers: [{ error: 'too busy' }] }),
    declare('out', 'output console'),
  ])
  const answer = await post(`${run.url('door')}/input?wait=true`, { input: 'go' })
  expect(await answer.json()).toMatchObject({ response: 'without help' })
})

test('[W80] what `curl -d` sends is taken: JSON, fields, or plain text', async () => {
  await using run = await started()
  const url = `${run.url('door')}/input`
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  for (const body of ['hello', 'input=hello', '{"input":"hello"}']) {
    const response = await post(`${url}?wait=true`, body, type)
    expect([response.status, await response.json()]).toMatchObject([200, { response: 'you: hello' }])
  }
})

test('[W80] wrong requests get a status and a sentence', async () => {
  await using run = await started({ max_body: 1_000 })
  const url = run.url('door')
  const faults = [
    [await post(`${url}/input`, {}), 400, '"input" must be a text that is not empty'],
    [
      await post(`${url}/input`, { input: 'x', session_id: 5 }),
      400,
      '"session_id" must be a text of at most 200 characters',
    ],
    [
      await post(`${url}/input`, '{', { 'content-type': 'application/json' }),
      400,
      'the body is no JSON; plain text is sent as text/plain',
    ],
    [await post(`${url}/input`, { input: 'x'.repeat(2_000) }), 413, 'the body is larger than 1000 bytes'],
    [await post(`${url}/input`, { type: 'subscribe', components: [] }), 400, 'subscribe by a WebSocket'],
    [await fetch(`${url}/input`), 405, 'POST what is said, or open a WebSocket here'],
    [await fetch(`${url}/nothing`), 404, 'there is nothing at GET /nothing'],
  ] as const
  for (const [response, status, error] of faults)
    expect([response.status, await response.json()]).toEqual([status, { error }])
})

test('[W80] a failure of the swarm reaches whoever waits', async () => {
  await using run = await startKinds([
    declare('door', 'input api', { port: 0, timeout: 0.2 }),
    declare('bob', 'agent llm', { model: ref('mind') }),
    declare('mind', 'llm scripted', { answers: [{ error: 'no power' }] }),
    declare('out', 'output console'),
  ])
  const failed = await post(`${run.url('door')}/input?wait`, { input: 'x' })
  expect([failed.status, await failed.json()]).toEqual([
    502,
    { error: expect.stringContaining('no power'), code: 'HANDLER_FAILED' },
  ])
})

test('[W80] an llm that fails alone is told to whoever waits, and to the sockets of its session', async () => {
  await using run = await startKinds([
    declare('door', 'input api', { port: 0 }),
    declare('mind', 'llm scripted', { answers: [{ error: 'no power' }] }),
    declare('notes', 'memory short_term'),
    declare('out', 'output console'),
  ])
  const failed = await post(`${run.url('door')}/input?wait`, { input: 'x' })
  expect([failed.status, await failed.json()]).toEqual([
    502,
    { error: expect.stringContaining('no power'), code: 'HANDLER_FAILED' },
  ])
  const client = new Client(run.url('door'))
  await client.event('session.connected')
  client.send('y')
  expect((await client.event('component.error')).payload).toEqual({
    component: 'mind',
    error: expect.stringContaining('no power'),
  })
})

test('[W80] whoever waits for an answer that does not come is told in time', async () => {
  await using run = await startKinds([
    declare('door', 'input api', { port: 0, timeout: 0.1 }, ['notes']),
    declare('notes', 'memory short_term'),
  ])
  const late = await post(`${run.url('door')}/input?wait=1`, { input: 'x' })
  expect([late.status, await late.json()]).toEqual([
    504,
    { error: '"door" heard no answer within 0.1 s', code: 'REQUEST_TIMEOUT' },
  ])
})

test('[W80] an agent asks the person of its socket, who answers with the id of the question', async () => {
  await using run = await startKinds([
    declare('door', 'input api', { port: 0 }),
    declare('bob', 'agent llm', { model: ref('mind') }),
    declare('mind', 'llm scripted', {
      answers: [{ tool: 'ask_user', inputs: { question: 'Which?' } }, 'so {observation}'],
    }),
    declare('out', 'output console'),
  ])
  const client = new Client(run.url('door'))
  const stranger = new Client(run.url('door'))
  await client.event('session.connected')
  await stranger.event('session.connected')
  client.send('pick')
  const { request_id } = (await client.event('user.input.request')).payload as { readonly request_id: string }
  stranger.send({ type: 'user_input', input: 'the blue one', request_id })
  client.send({ type: 'user_input', input: 'the red one', request_id })
  expect((await client.event('response_generated')).payload).toBe('so the red one')
  for (const name of ['agent.action', 'tool.call', 'tool.observation', 'agent.step_complete', 'agent.response']) {
    expect(client.events(name).length, name).toBeGreaterThan(0)
    expect(stranger.events(name), name).toEqual([])
  }
  client.socket.close()
  stranger.socket.close()
})

test('[W80] GET /health needs no key, everything else does', async () => {
  await using run = await started({ api_key: 'open sesame' })
  const url = run.url('door')
  const health = await fetch(`${url}/health`)
  expect([health.status, await health.json()]).toEqual([200, { status: 'ok', component: 'door', clients: 0 }])
  expect((await post(`${url}/input`, { input: 'x' })).status).toBe(401)
  expect((await post(`${url}/input`, { input: 'x' }, { authorization: 'Bearer wrong' })).status).toBe(401)
  expect((await post(`${url}/input`, { input: 'x' }, { authorization: 'Bearer open sesame' })).status).toBe(202)
  expect((await post(`${url}/input`, { input: 'x' }, { 'x-api-key': 'open sesame' })).status).toBe(202)
  const refused = new Client(url)
  await until(() => expect(refused.status).toBe(401))
  const welcome = new Client(`${url}/?api_key=open%20sesame`)
  await welcome.event('session.connected')
  const byHeader = new Client(url, { headers: { authorization: 'Bearer open sesame' } })
  await byHeader.event('session.connected')
  welcome.socket.close()
  byHeader.socket.close()
})

test('[WN8] a server that would let in everybody is refused before it listens', async () => {
  await expect(started({ allowed_origins: ['*'] })).rejects.toThrow(
    /lets every page of every browser in: give it an `api_key`/,
  )
  await expect(started({ host: '0.0.0.0' })).rejects.toThrow(/would listen on "0.0.0.0" for everybody/)
  await expect(started({ api_key: '' })).rejects.toThrow(/`api_key` is empty/)
})

test('[WN8] pages of strangers are refused, and never told that they may send credentials', async () => {
  await using run = await started({ allowed_origins: ['http://good.example'] })
  const url = run.url('door')
  const good = await post(`${url}/input`, { input: 'x' }, { origin: 'http://good.example' })
  expect(good.status).toBe(202)
  expect(good.headers.get('access-control-allow-origin')).toBe('http://good.example')
  expect(good.headers.get('access-control-allow-credentials')).toBeNull()
  const bad = await post(`${url}/input`, { input: 'x' }, { origin: 'http://evil.example' })
  expect(bad.status).toBe(403)
  expect(bad.headers.get('access-control-allow-origin')).toBeNull()
  const page = new Client(url, { origin: 'http://evil.example' })
  await until(() => expect(page.status).toBe(403))
  const own = new Client(url, { origin: url })
  await own.event('session.connected')
  own.socket.close()
  const preflight = await fetch(`${url}/input`, { method: 'OPTIONS', headers: { origin: 'http://good.example' } })
  expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([204, 'GET, POST, OPTIONS'])
})

/** Sends bytes as they are, and gives the first line of the answer. */
function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.on('data', (data) => {
      resolve(String(data).split('\r\n')[0] ?? '')
      socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve('closed'))
  })
}

test('[WN8] a stranger whose name points at this machine is refused, and nonsense does no harm', async () => {
  await using run = await started()
  const url = run.url('door')
  const rebinding =
    'POST /input HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\ncontent-length: 0\r\n\r\n'
  expect(await raw(url, rebinding)).toBe('HTTP/1.1 403 Forbidden')
  const upgrade =
    'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  expect(await raw(url, `GET //[ HTTP/1.1\r\nhost: localhost\r\n${upgrade}\r\n`)).toMatch(/HTTP\/1\.1 (101|404)/)
  expect(await raw(url, `GET /elsewhere HTTP/1.1\r\nhost: localhost\r\n${upgrade}\r\n`)).toBe('HTTP/1.1 404 Refused')
  expect(await raw(url, 'what is this\r\n\r\n')).toMatch(/400|closed/)
  expect((await fetch(`${url}/health`)).status).toBe(200)
})

test('[W80] no more sockets than are allowed, and silent ones are closed', async () => {
  await using run = await started({ max_clients: 1, ping: 0.1 })
  const first = new Client(run.url('door'), { autoPong: false })
  await first.event('session.connected')
  const second = new Client(run.url('door'))
  await until(() => expect(second.status).toBe(503))
  await until(() => expect(first.closed).toBe(1_006))
  const third = new Client(run.url('door'))
  await third.event('session.connected')
  third.socket.close()
})

test('[W80] [W78] it says goodbye to its sockets and answers what it has before it ends', async () => {
  const run = await startKinds([
    declare('door', 'input api', { port: 0 }),
    declare('mind', 'llm echo', { delay: '30ms' }),
    declare('out', 'output console'),
  ])
  const url = run.url('door')
  const client = new Client(url)
  await client.event('session.connected')
  const answer = post(`${url}/input?wait=true`, { input: 'one two three' })
  await until(() => expect(run.swarm.stats()).toBeDefined())
  await new Promise<void>((resolve) => {
    run.swarm.on('input.received', () => resolve())
  })
  await run.swarm.stop({ limitMs: 3_000 })
  expect(((await (await answer).json()) as { response: string }).response).toBe('one two three')
  await until(() => expect(client.closed).toBe(1_001))
  await expect(fetch(`${url}/health`)).rejects.toThrow()
  await run[Symbol.asyncDispose]()
})

test('[W80] a place that is taken is told in one sentence', async () => {
  await using run = await started()
  const port = Number(new URL(run.url('door')).port)
  await expect(started({ port })).rejects.toThrow(
    new RegExp(`cannot listen on 127.0.0.1:${port}: something listens there already`),
  )
})
