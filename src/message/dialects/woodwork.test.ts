import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeEnv } from '../../testing/fake-env.ts'
import { fromJson, toJson } from '../codec.ts'
import { DELIVERY_MODE_HEADER, MAX_RETRIES_HEADER } from '../delivery-mode.ts'
import { isMessageId } from '../ids.ts'
import { messageMaker } from '../make.ts'
import { expired, retryAllowed, WOODWORK_MODES, WOODWORK_PATTERNS, woodworkDialect } from './woodwork.ts'
import { woodworkBuilder } from './woodwork-build.ts'

const env = fakeEnv()
const dialect = woodworkDialect({ env })
const NOW_MS = env.wallMs()
const sample = {
  message_id: 'msg-abc123',
  session_id: 's1',
  event_type: 'input.received',
  payload: { input: 'hello', list: [1, '2', null] },
  sender_component: 'cli',
  target_component: 'analytics',
  delivery_mode: 'exactly_once',
  pattern: 'point_to_point',
  created_at: '2026-01-01T00:00:00.000Z',
  retry_count: 1,
  max_retries: 5,
  ttl_seconds: 60,
  metadata: { trace: 'x', depth: 2 },
}

test('[W1] every field of an envelope has its place in a message', () => {
  const message = dialect.read(sample)
  expect(message).toMatchObject({
    topic: 'agent.analytics',
    from: 'cli',
    to: 'analytics',
    session: 's1',
    data: sample.payload,
    time: NOW_MS,
    expiresAt: NOW_MS + 60_000,
    headers: { type: 'input.received', trace: 'x', [DELIVERY_MODE_HEADER]: 'exactly-once', [MAX_RETRIES_HEADER]: '5' },
  })
  expect(isMessageId(message.id)).toBe(true)
  expect(dialect.read(sample).id).toBe(message.id)
  expect(dialect.read({ ...sample, message_id: 'msg-other' }).id).not.toBe(message.id)
})

test('[W1] an envelope with only session and event gets every default', () => {
  const message = dialect.read({ session_id: 's1', event_type: 'agent.thought' })
  expect(dialect.write(dialect.read({ ...dialect.write(message) }))).toMatchObject({ message_id: `msg-${message.id}` })
  expect(message).toMatchObject({ topic: 'agent.thought', to: undefined, from: undefined, data: {}, time: NOW_MS })
  expect(message.expiresAt).toBe(NOW_MS + 300_000)
  const made = messageMaker(env).make('agent.thought', {}, { session: 's1', ttlMs: 300_000 })
  expect(dialect.write(made)).toEqual({
    message_id: `msg-${made.id}`,
    session_id: 's1',
    event_type: 'agent.thought',
    payload: {},
    sender_component: null,
    target_component: null,
    delivery_mode: 'at_least_once',
    pattern: 'publish_subscribe',
    created_at: '2026-01-01T00:00:00.000Z',
    retry_count: 0,
    max_retries: 3,
    ttl_seconds: 300,
    metadata: {},
  })
})

test('[W1] an empty id is made, with the prefix msg-, and stays with the message', () => {
  for (const message_id of ['', null, undefined]) {
    const message = dialect.read({ ...sample, message_id })
    expect(dialect.write(message).message_id).toBe(`msg-${message.id}`)
    expect(dialect.read(dialect.write(message)).id).toBe(message.id)
  }
  expect(dialect.read({ ...sample, message_id: '' }).id).not.toBe(dialect.read({ ...sample, message_id: '' }).id)
})

test.each([
  ['session_id', { session_id: '' }],
  ['session_id', { session_id: undefined }],
  ['event_type', { event_type: null }],
  ['event_type', { event_type: 7 }],
  ['message_id', { message_id: 7 }],
  ['payload', { payload: [] }],
  ['delivery_mode', { delivery_mode: 'twice' }],
  ['pattern', { pattern: 'broadcast' }],
  ['created_at', { created_at: 'yesterday' }],
  ['retry_count', { retry_count: -1 }],
  ['max_retries', { max_retries: '3' }],
  ['ttl_seconds', { ttl_seconds: 0 }],
  ['ttl_seconds', { ttl_seconds: 'x' }],
  ['metadata', { metadata: 'x' }],
  ['topic', { target_component: 'a b' }],
  ['topic', { target_component: null, event_type: 'a b' }],
])('[W1] an envelope with a wrong %s is refused by name: %j', (field, change) => {
  expect(() => dialect.read({ ...sample, ...change })).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED', details: { field } }),
  )
})

const clean = fc.jsonValue().filter((value) => !/__proto__|constructor|prototype/.test(JSON.stringify(value)))
const anyEnvelope = fc.record(
  {
    message_id: fc.oneof(
      fc.string({ minLength: 1 }),
      fc.uuid(),
      fc.uuid().map((id) => `msg-${id}`),
      fc.uuid().map((id) => `hook-${id}`),
    ),
    session_id: fc.constantFrom('s1', 'ä'),
    event_type: fc.constantFrom('a', 'input.received'),
    payload: fc.oneof(fc.constant(null), fc.dictionary(fc.constantFrom('a', 'b'), clean, { noNullPrototype: true })),
    sender_component: fc.constantFrom('cli', '', null),
    target_component: fc.constantFrom('agent', '', null),
    delivery_mode: fc.constantFrom(...WOODWORK_MODES),
    pattern: fc.constantFrom(...WOODWORK_PATTERNS),
    created_at: fc.constantFrom(1_700_000_000.25, '2026-01-01T00:00:00.123456', '2026-01-01T01:00:00+01:00'),
    retry_count: fc.integer({ min: 0, max: 9 }),
    max_retries: fc.integer({ min: 0, max: 999 }),
    ttl_seconds: fc.constantFrom(null, 1, 0.5, 300),
    metadata: fc.dictionary(fc.constantFrom('type', 'trace', DELIVERY_MODE_HEADER), clean, { noNullPrototype: true }),
    extra: clean,
  },
  { requiredKeys: ['message_id', 'session_id', 'event_type'], noNullPrototype: true },
)

test('[W1] any envelope comes through JSON with all its fields', () => {
  fc.assert(
    fc.property(anyEnvelope, (envelope) => {
      const travelled = fromJson(JSON.parse(JSON.stringify(toJson(dialect.read(envelope)))), env)
      expect(dialect.write(travelled)).toStrictEqual(envelope)
    }),
    { numRuns: 600 },
  )
})

test('[W2] every mode and pattern is taken; a pattern or a target decides where it goes', () => {
  for (const delivery_mode of WOODWORK_MODES) {
    const message = dialect.read({ ...sample, delivery_mode })
    expect(message.headers[DELIVERY_MODE_HEADER]).toBe(delivery_mode.replaceAll('_', '-'))
    expect(dialect.write(message).delivery_mode).toBe(delivery_mode)
  }
  const topics = WOODWORK_PATTERNS.map((pattern) => dialect.read({ ...sample, pattern }).topic)
  expect(topics).toEqual(['agent.analytics', 'input.received', 'agent.analytics'])
  expect(dialect.read({ ...sample, target_component: null }).topic).toBe('input.received')
})

test('[W2] a component message is at least once with msg-, a hook message at most once with hook-', () => {
  const builder = woodworkBuilder(messageMaker(env))
  const component = builder.componentMessage(
    's1',
    'metrics',
    'analytics',
    { latency: 42 },
    { from: 'cli', maxRetries: 7 },
  )
  expect(component).toMatchObject({ topic: 'agent.analytics', to: 'analytics', from: 'cli', session: 's1' })
  expect(dialect.write(component)).toMatchObject({
    message_id: `msg-${component.id}`,
    event_type: 'metrics',
    payload: { latency: 42 },
    delivery_mode: 'at_least_once',
    pattern: 'point_to_point',
    max_retries: 7,
    ttl_seconds: 300,
  })
  const hook = builder.hookMessage('s1', 'agent.thought', { thought: 'x' }, { ttlSeconds: null })
  expect(dialect.write(hook)).toMatchObject({
    message_id: `hook-${hook.id}`,
    delivery_mode: 'at_most_once',
    pattern: 'publish_subscribe',
    ttl_seconds: null,
  })
  for (const made of [component, hook]) expect(dialect.read(dialect.write(made)).id).toBe(made.id)
  expect(() => builder.componentMessage('', 'metrics', 'analytics', {})).toThrow(
    expect.objectContaining({ code: 'INVALID_MESSAGE' }),
  )
})

test('[W3] a message has expired once more than its ttl has passed, with null never', () => {
  const age = (ms: number): boolean => expired(sample, NOW_MS + ms)
  expect([age(0), age(60_000), age(60_001)]).toEqual([false, false, true])
  const plain = { created_at: sample.created_at }
  expect([expired(plain, NOW_MS + 300_000), expired(plain, NOW_MS + 300_001)]).toEqual([false, true])
  expect(expired({ ...plain, ttl_seconds: null }, Number.MAX_SAFE_INTEGER)).toBe(false)
})

test('[W3] a retry is allowed while retries are left and the message has not expired', () => {
  const allowed = (change: object, ms: number = 0): boolean => retryAllowed({ ...sample, ...change }, NOW_MS + ms)
  expect([allowed({ retry_count: 4 }), allowed({ retry_count: 5 })]).toEqual([true, false])
  expect([allowed({}, 60_000), allowed({}, 60_001)]).toEqual([true, false])
  const { max_retries: _own, ...rest } = sample
  expect(retryAllowed({ ...rest, retry_count: 2 }, NOW_MS)).toBe(true)
  expect(retryAllowed({ ...rest, retry_count: 3 }, NOW_MS)).toBe(false)
})
