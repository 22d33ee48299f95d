import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeEnv } from '../../testing/fake-env.ts'
import { fromJson, jsonCodec, toJson } from '../codec.ts'
import { createReply, messageMaker } from '../make.ts'
import { Envelope } from '../message.ts'
import { isSameAgent, recipientsOf, VERITAS_STATUSES, VERITAS_TYPES, veritasDialect } from './veritas.ts'
import { veritasBuilder } from './veritas-build.ts'

const env = fakeEnv()
const dialect = veritasDialect({ env })
const maker = messageMaker(env)
const build = veritasBuilder(maker)
const sample = {
  message_id: 'msg-1',
  sender: { agent_id: 'a', agent_type: 'env', agent_name: 'A', capabilities: ['x'] },
  recipients: [{ agent_id: 'b' }],
  message_type: 'request',
  payload: { q: 1 },
  metadata: {
    timestamp: '2026-01-01T00:00:00+00:00',
    priority: 2,
    correlation_id: 'c',
    reply_to: null,
    ttl_seconds: 60,
    retry_count: 2,
    headers: { h: 'x', n: 5 },
  },
}

test('[V12] every type is taken and given back; an unknown one is refused with the allowed ones', () => {
  for (const message_type of VERITAS_TYPES) {
    const message = dialect.read({ ...sample, message_type })
    expect(message.headers.type).toBe(message_type)
    expect(dialect.write(message)).toEqual({ ...sample, message_type })
  }
  expect(() => dialect.read({ ...sample, message_type: 'gossip' })).toThrow(
    /"message_type" is "gossip"; allowed: request, .*error/,
  )
  expect([...VERITAS_STATUSES].sort()).toEqual(['busy', 'error', 'idle', 'initializing', 'offline'])
})

test.each([
  [0, 'low'],
  [1, 'normal'],
  [2, 'high'],
  [3, 'critical'],
  ['LOW', 'low'],
  ['NORMAL', 'normal'],
  ['HIGH', 'high'],
  ['URGENT', 'critical'],
  ['urgent', 'critical'],
  [7, 'normal'],
  [undefined, 'normal'],
])('[V12] the level %j is %s', (priority, level) => {
  const message = dialect.read({ ...sample, metadata: { ...sample.metadata, priority } })
  expect(message.priority).toBe(level)
  expect((dialect.write(message).metadata as { priority: unknown }).priority).toBe(priority)
})

test('[V13] agents are the same by id alone; what else was said of the sender is given back', () => {
  expect(
    isSameAgent({ agent_id: 'a', agent_name: 'A' }, { agent_id: 'a', agent_type: 'other', capabilities: ['x'] }),
  ).toBe(true)
  expect(isSameAgent({ agent_id: 'a', agent_name: 'A' }, { agent_id: 'b', agent_name: 'A' })).toBe(false)
  const message = dialect.read(sample)
  expect([message.from, message.to, message.topic]).toEqual(['a', 'b', 'agent.b'])
  expect(dialect.write(message).sender).toEqual(sample.sender)
})

test('[V14] without metadata a message is normal, lives 300 s from now and has a correlation', () => {
  const { metadata: _metadata, ...bare } = sample
  const message = dialect.read(bare)
  expect(message).toMatchObject({
    priority: 'normal',
    time: env.wallMs(),
    expiresAt: env.wallMs() + 300_000,
    correlationId: 'msg-1',
    causationId: undefined,
  })
  expect(dialect.write(message)).toEqual(bare)
  const made = dialect.write(maker.make('agent.b', {}, { from: 'a', to: 'b' }))
  expect(made.metadata).toMatchObject({ priority: 1, reply_to: null, ttl_seconds: 300, retry_count: 0, headers: {} })
  expect((made.metadata as { correlation_id: string }).correlation_id).toBe(made.message_id)
})

test('[V14] a message older than its ttl has expired', () => {
  const message = dialect.read({ ...sample, metadata: { timestamp: env.wallMs() / 1_000 - 61, ttl_seconds: 60 } })
  expect(message.expiresAt).toBe(env.wallMs() - 1_000)
  expect(Envelope.deadlineMs(message as Envelope)).toBeLessThan(env.monotonicMs())
  const young = dialect.read({ ...sample, metadata: { timestamp: env.wallMs() / 1_000 - 59, ttl_seconds: 60 } })
  expect(Envelope.deadlineMs(young as Envelope)).toBe(env.monotonicMs() + 1_000)
})

test('[V15] a broadcast is said by type or constant; an empty list of recipients is refused', () => {
  for (const message_type of ['request', 'response', 'status_update', 'context_share', 'error']) {
    for (const recipients of [[], undefined, null]) {
      expect(() => dialect.read({ ...sample, message_type, recipients })).toThrow(
        expect.objectContaining({ code: 'DECODE_FAILED', details: { field: 'recipients' } }),
      )
    }
  }
  expect(dialect.read({ ...sample, recipients: ['*'] })).toMatchObject({ topic: 'agents.all', to: undefined })
  expect(dialect.read({ ...sample, message_type: 'broadcast', recipients: [] })).toMatchObject({
    topic: 'agents.all',
    to: undefined,
  })
  expect(
    dialect.read({ ...sample, message_type: 'event', recipients: [], payload: { topic: 'news.today', data: 1 } }).topic,
  ).toBe('news.today')
  expect(() => dialect.read({ ...sample, message_type: 'event', recipients: [] })).toThrow(
    expect.objectContaining({ details: { field: 'payload.topic' } }),
  )
})

test('[V15] the payload must be an object', () => {
  for (const payload of [undefined, null, 'text', 5, []]) {
    expect(() => dialect.read({ ...sample, payload })).toThrow(
      expect.objectContaining({ code: 'DECODE_FAILED', details: { field: 'payload' } }),
    )
  }
})

test('several recipients are all kept', () => {
  const message = dialect.read({ ...sample, recipients: ['b', { agent_id: 'c' }, 'd'] })
  expect(recipientsOf(message)).toEqual(['b', 'c', 'd'])
  expect(recipientsOf(dialect.read(sample))).toEqual(['b'])
  expect(recipientsOf(build.broadcast('a', {}))).toEqual([])
  expect(dialect.write(message).recipients).toEqual(['b', { agent_id: 'c' }, 'd'])
})

test('[V16] an answer in their form has level, correlation and headers of the request, and replies to its id', () => {
  const request = dialect.read(sample)
  const response = dialect.write(build.response(request, 'b', { answer: 1 }))
  expect(response).toMatchObject({
    sender: { agent_id: 'b' },
    recipients: [{ agent_id: 'a' }],
    message_type: 'response',
    payload: { answer: 1 },
    metadata: { priority: 2, correlation_id: 'c', reply_to: 'msg-1', headers: { h: 'x' } },
  })
  expect(response.message_id).not.toBe('msg-1')
  expect(dialect.read(response).causationId).toBe(request.id)
  expect(dialect.write(createReply(request, {}, 'b')).sender).toEqual({ agent_id: 'b' })
})

test('[V18] the builders make request, event, broadcast and shared context as they should be', () => {
  const common = { expiresAt: env.wallMs() + 300_000, from: 'a' }
  expect(build.request('a', 'b', { q: 1 })).toMatchObject({
    ...common,
    topic: 'agent.b',
    to: 'b',
    priority: 'normal',
    data: { q: 1 },
    headers: { type: 'request' },
  })
  expect(build.event('a', 'news.x', { n: 1 })).toMatchObject({
    ...common,
    topic: 'news.x',
    data: { topic: 'news.x', data: { n: 1 } },
    headers: { type: 'event' },
  })
  expect(build.broadcast('a', { n: 1 })).toMatchObject({
    ...common,
    topic: 'agents.all',
    priority: 'high',
    to: undefined,
    headers: { type: 'broadcast' },
  })
  expect(build.contextShare('a', 'b', { s: 1 })).toMatchObject({
    ...common,
    topic: 'agent.b',
    data: { context_type: 'rag_context', context_data: { s: 1 } },
    headers: { type: 'context_share' },
  })
  expect(build.request('a', 'b', {}, { ttlMs: 5, priority: 'low', headers: { type: 'event', l: 'x' } })).toMatchObject({
    priority: 'low',
    headers: { type: 'request', l: 'x' },
  })
})

test('[V18] what the builders make survives the object and the JSON round trip, in our form and in theirs', () => {
  const made = [
    build.request('a', 'b', { q: 1 }),
    build.event('a', 'news.x', [1]),
    build.broadcast('a', { n: 1 }),
    build.contextShare('a', 'b', 's'),
  ]
  const codec = jsonCodec({ env })
  for (const message of made) {
    expect(fromJson(toJson(message), env)).toStrictEqual(message)
    expect(codec.decode(codec.encode(message))).toStrictEqual(message)
    const theirs = dialect.write(message)
    const { correlationId: _correlation, ...known } = message
    expect(dialect.read(JSON.parse(JSON.stringify(theirs)))).toMatchObject(known)
    expect(dialect.write(dialect.read(theirs))).toEqual(theirs)
  }
})

const clean = fc.jsonValue().filter((value) => !/__proto__|constructor|prototype/.test(JSON.stringify(value)))
const agent = fc.oneof(
  fc.constantFrom('b', 'c'),
  fc.record(
    { agent_id: fc.constantFrom('b', 'c'), agent_type: clean, capabilities: clean },
    { requiredKeys: ['agent_id'], noNullPrototype: true },
  ),
)
const anyMessage = fc.record(
  {
    message_type: fc.constantFrom('request', 'broadcast', 'error', 'REQUEST'),
    sender: agent,
    recipients: fc.array(agent, { minLength: 1, maxLength: 3 }),
    payload: fc.dictionary(fc.constantFrom('a', 'b'), clean, { noNullPrototype: true }),
    message_id: fc.oneof(fc.uuid(), fc.string(), fc.constant(null)),
    extra: clean,
    metadata: fc.record(
      {
        timestamp: fc.constantFrom('2026-01-01T00:00:00', 1_700_000_000.5, null),
        priority: clean,
        correlation_id: fc.constantFrom('c', null, ''),
        reply_to: fc.oneof(fc.uuid(), fc.constantFrom('msg-0', null, '')),
        ttl_seconds: fc.constantFrom(300, 0.5, 1e6),
        retry_count: clean,
        headers: fc.dictionary(fc.constantFrom('a', 'type', 'origin', 'recipients'), clean, { noNullPrototype: true }),
        more: clean,
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  },
  { requiredKeys: ['message_type', 'sender', 'recipients', 'payload'], noNullPrototype: true },
)

test('[V18] any message of Veritas is given back exactly as it was read', () => {
  fc.assert(
    fc.property(anyMessage, (object) => {
      expect(dialect.write(fromJson(toJson(dialect.read(object)), env))).toStrictEqual(object)
    }),
    { numRuns: 800 },
  )
})
