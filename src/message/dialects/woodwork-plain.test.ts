import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBus } from '../../bus/bus.ts'
import { fakeEnv } from '../../testing/fake-env.ts'
import { agentTopic } from '../address.ts'
import { fromJson, toJson } from '../codec.ts'
import { messageMaker } from '../make.ts'
import type { Message } from '../message.ts'
import { woodworkDialect } from './woodwork.ts'

const env = fakeEnv()
const plain = woodworkDialect({ env, form: 'plain' })
const envelope = woodworkDialect({ env })
/** As SimpleMessageBus of Woodwork makes them. */
const toTopic = {
  id: 'msg-1a2b3c4d',
  topic: 'stream.chunk',
  data: { stream_id: 's-1', chunk_index: 0, data: 'hello' },
  sender_id: 'llm',
  timestamp: 1_767_225_600.25,
}
const toTarget = {
  id: 'msg-1a2b3c4e',
  target: 'analytics',
  data: [1, 'two'],
  sender_id: null,
  timestamp: 1_767_225_600,
}

test.each([
  ['plain', plain],
  ['envelope', envelope],
] as const)(
  '[W26] a plain message is accepted, with a topic or a target, whatever form is written: %s',
  (_form, dialect) => {
    expect(dialect.read(toTopic)).toMatchObject({
      topic: 'stream.chunk',
      to: undefined,
      from: 'llm',
      data: toTopic.data,
      time: 1_767_225_600_250,
      expiresAt: undefined,
    })
    expect(dialect.read(toTarget)).toMatchObject({ topic: 'agent.analytics', to: 'analytics', data: [1, 'two'] })
    expect(dialect.read(toTopic).id).toBe(plain.read(toTopic).id)
    expect(dialect.read(toTopic).id).not.toBe(dialect.read(toTarget).id)
  },
)

test('[W26] old code gets what old code sent, unchanged, over a bus of today', async () => {
  await using bus = createBus()
  const got: object[] = []
  const asBefore = (message: Message): void => void got.push(plain.write(message))
  bus.subscribe('stream.chunk', asBefore)
  bus.subscribe(agentTopic('analytics'), asBefore)
  for (const sent of [toTopic, toTarget]) {
    const { topic, data, id, from, to, headers, time: _time, ...rest } = plain.read(sent)
    expect(rest).toBeDefined()
    const options = { id, headers, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
    await bus.publish(topic, data, { ...options, until: 'handled' })
  }
  expect(got).toEqual([
    { ...toTopic, timestamp: expect.any(Number) },
    { ...toTarget, timestamp: expect.any(Number) },
  ])
})

test('[W26] a message made here is written as the simple bus wrote it, and read again as the same one', () => {
  const made = messageMaker(env).make('stream.created', { stream_id: 's' }, { from: 'llm' })
  expect(plain.write(made)).toEqual({
    id: `msg-${made.id}`,
    topic: 'stream.created',
    data: { stream_id: 's' },
    sender_id: 'llm',
    timestamp: made.time / 1_000,
  })
  for (const dialect of [plain, envelope]) expect(dialect.read(plain.write(made)).id).toBe(made.id)
  expect(envelope.write(plain.read(toTopic))).toMatchObject({ event_type: 'stream.chunk', payload: toTopic.data })
  expect(plain.write(envelope.read({ session_id: 's', event_type: 'e', target_component: 'x' }))).toMatchObject({
    target: 'x',
  })
})

test('[W26] a missing id is made and stays; time defaults to now', () => {
  const message = plain.read({ topic: 't', data: 1 })
  expect(message.time).toBe(env.wallMs())
  expect(plain.write(message)).toEqual({ id: `msg-${message.id}`, topic: 't', data: 1 })
})

test.each([
  ['topic', { topic: 'a b' }],
  ['topic', { topic: 7 }],
  ['topic', { topic: undefined, target: '' }],
  ['target', { topic: undefined, target: {} }],
  ['id', { id: 7 }],
  ['sender_id', { sender_id: [] }],
  ['timestamp', { timestamp: 'yesterday' }],
])('[W26] a plain message with a wrong %s is refused by name: %j', (field, change) => {
  expect(() => plain.read({ ...toTopic, ...change })).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED', details: { field } }),
  )
})

test('[W26] a form that there is not is refused', () => {
  expect(() => woodworkDialect({ form: 'dict' as 'plain' })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
})

const clean = fc.jsonValue().filter((value) => !/__proto__|constructor|prototype/.test(JSON.stringify(value)))
const anyPlain = fc.record(
  {
    id: fc.oneof(
      fc.string({ minLength: 1 }),
      fc.uuid(),
      fc.uuid().map((id) => `msg-${id}`),
    ),
    topic: fc.constantFrom('stream.chunk', 'a'),
    target: fc.constantFrom('analytics', null, ''),
    data: clean,
    sender_id: fc.constantFrom('cli', '', null),
    timestamp: fc.constantFrom(1_700_000_000.123456, 1_700_000_000, '2026-01-01T00:00:00'),
    extra: clean,
  },
  { requiredKeys: ['id', 'topic'], noNullPrototype: true },
)

test('[W26] any plain message comes through JSON with all its fields', () => {
  fc.assert(
    fc.property(anyPlain, (given) => {
      const travelled = fromJson(JSON.parse(JSON.stringify(toJson(plain.read(given)))), env)
      expect(plain.write(travelled)).toStrictEqual(given)
    }),
    { numRuns: 400 },
  )
})
