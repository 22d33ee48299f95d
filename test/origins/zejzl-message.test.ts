import { expect, test } from 'vitest'
import { createBus, type Message, timeOfId } from '../../src/index.ts'
import { jsonCodec } from '../../src/message/codec.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { collector, numbered } from './support/zejzl.ts'

const START_MS = Date.UTC(2030, 5, 1)

test('[Z3] a message has its fields, with the defaults normal, now, no metadata and an id of its own', async () => {
  const bus = createBus({ env: fakeEnv({ wallMs: START_MS }) })
  const [a, b] = [bus.register('a'), bus.register('b')]
  await a.send('b', { task: 'sum', parts: [1, 2] })
  await a.send('b', {})
  const [first, second] = [await b.receive(), await b.receive()]
  expect(first).toMatchObject({ from: 'a', to: 'b', topic: 'agent.b', priority: 'normal', time: START_MS })
  expect(first.data).toEqual({ task: 'sum', parts: [1, 2] })
  expect(first.headers).toEqual({})
  expect([first.correlationId, first.replyTo, first.session, first.expiresAt]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  expect(first.id).not.toBe(second.id)
  expect(timeOfId(first.id)).toBe(START_MS)
})

const FIELDS = {
  priority: 'high',
  correlationId: 'c-1',
  headers: { kind: 'task_request', trace: 'ünï' },
  session: 's-1',
  ttlMs: 60_000,
  replyTo: 'answers.here',
} as const

test('[Z3] metadata, correlation id, level, session, life time and reply address arrive as they were sent', async () => {
  const bus = createBus({ env: fakeEnv({ wallMs: START_MS }) })
  const [a, b] = [bus.register('a'), bus.register('b')]
  await a.send('b', { n: 1 }, FIELDS)
  const { ttlMs, ...rest } = FIELDS
  expect(await b.receive()).toMatchObject({ ...rest, expiresAt: START_MS + ttlMs })
})

test('[Z3] from, to, type, content, priority by name, correlation id, time and metadata survive a round trip in JSON', async () => {
  const bus = createBus({ env: fakeEnv({ wallMs: START_MS }) })
  const [a, b] = [bus.register('a'), bus.register('b')]
  await a.send('b', { text: 'grüße', deep: [{ n: null }] }, FIELDS)
  const sent = await b.receive()
  const json = JSON.parse(JSON.stringify(sent)) as Record<string, unknown>
  const expected = {
    from: 'a',
    to: 'b',
    topic: 'agent.b',
    data: { text: 'grüße', deep: [{ n: null }] },
    priority: 'high',
    correlationId: 'c-1',
    time: START_MS,
    headers: { kind: 'task_request', trace: 'ünï' },
  }
  expect(json).toMatchObject(expected)
  const codec = jsonCodec()
  const bytes = codec.encode(sent)
  expect(JSON.parse(new TextDecoder().decode(bytes))).toMatchObject(expected)
  expect(codec.decode(bytes)).toMatchObject({ ...expected, id: sent.id, session: 's-1', replyTo: 'answers.here' })
})

/** Tries to change everything a recipient could change; each try must be refused or touch only its own copy. */
function vandalize({ data, headers }: Message): void {
  const { list, nested, map, date, bytes } = data as Content
  const tries: (() => unknown)[] = [
    () => Object.assign(data as object, { list: 'gone' }),
    () => list.push(99),
    () => Object.assign(nested, { deep: 'gone' }),
    () => Object.assign(nested.deep, { n: 99 }),
    () => map.set('key', 99),
    () => date.setTime(0),
    () => bytes.fill(9),
    () => Object.assign(headers, { tag: 'gone', more: 'x' }),
    () => delete (headers as Record<string, string>).tag,
  ]
  for (const attempt of tries) {
    try {
      attempt()
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError)
    }
  }
}

interface Content {
  readonly list: number[]
  readonly nested: { readonly deep: { readonly n: number } }
  readonly map: Map<string, number>
  readonly date: Date
  readonly bytes: Uint8Array
}

const content = (): Content => ({
  list: [1, 2],
  nested: { deep: { n: 1 } },
  map: new Map([['key', 1]]),
  date: new Date(START_MS),
  bytes: new Uint8Array([1, 2, 3]),
})

test('[Z18] [ZN13] one broadcast recipient changes content and metadata, and no other sees it', async () => {
  const bus = createBus()
  const agents = numbered('agent', 4).map((name) => bus.register(name))
  await bus.broadcast(content(), { headers: { tag: 'kept' } })
  for (const agent of agents) {
    const message = await agent.receive()
    expect(message.data).toEqual(content())
    expect(message.headers).toEqual({ tag: 'kept' })
    vandalize(message)
  }
})

test('[Z18] [ZN13] subscribers that are called back get content of their own, also when one changes it before the next runs', async () => {
  const bus = createBus()
  const seen: unknown[] = []
  for (let n = 0; n < 3; n++) {
    bus.subscribe('news.*', (message) => {
      seen.push(structuredClone(message.data), { ...message.headers })
      vandalize(message)
    })
  }
  await bus.publish('news.today', content(), { headers: { tag: 'kept' } })
  await bus.idle()
  expect(seen).toEqual([content(), { tag: 'kept' }, content(), { tag: 'kept' }, content(), { tag: 'kept' }])
})

test('[Z18] what the sender does to its content and metadata afterwards changes nothing', async () => {
  const bus = createBus()
  const [a, b] = [bus.register('a'), bus.register('b')]
  for (const payload of ['freeze', 'copy'] as const) {
    const data = content()
    const headers = { tag: 'kept' }
    await a.send('b', data, { headers, payload })
    vandalize({ data, headers } as unknown as Message)
    const message = await b.receive()
    expect(message.data).toEqual(content())
    expect(message.headers).toEqual({ tag: 'kept' })
  }
})

test('[Z18] an answer is the requester’s own as well', async () => {
  const bus = createBus()
  const kept = content()
  bus.register('b', { handler: () => kept })
  const [first, second] = [await bus.request('agent.b', 1), await bus.request('agent.b', 2)]
  vandalize(first)
  expect(second.data).toEqual(content())
})

test('[Z19] five sends are five entries in the history without content, oldest first, the last is the fifth', async () => {
  const env = fakeEnv({ wallMs: START_MS })
  const bus = createBus({ env })
  const a = bus.register('a')
  bus.register('b')
  for (let n = 1; n <= 5; n++) {
    await a.send('b', { secret: n }, { correlationId: `c${n}`, priority: n === 5 ? 'high' : 'low' })
    await env.advance(1_000)
  }
  const entries = bus.history()
  expect(entries).toHaveLength(5)
  expect(entries.map((entry) => entry.correlationId)).toEqual(['c1', 'c2', 'c3', 'c4', 'c5'])
  expect(entries.at(-1)).toMatchObject({
    time: START_MS + 4_000,
    from: 'a',
    to: 'b',
    topic: 'agent.b',
    priority: 'high',
    correlationId: 'c5',
  })
  expect(JSON.stringify(entries)).not.toContain('secret')
})

test('[Z19] the history keeps the newest 100, and a limit gives the last n', async () => {
  const bus = createBus()
  const { handler } = collector()
  bus.subscribe('note.*', handler)
  for (let n = 1; n <= 250; n++) await bus.publish('note.x', n, { correlationId: `c${n}` })
  const ids = (count?: number): unknown[] => bus.history(count).map((entry) => entry.correlationId)
  expect(ids()).toEqual(numbered('c', 250).slice(-100))
  expect(ids(3)).toEqual(['c248', 'c249', 'c250'])
  expect(ids(1_000)).toHaveLength(100)
  expect(ids(0)).toEqual([])
})
