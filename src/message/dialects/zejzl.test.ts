import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeEnv } from '../../testing/fake-env.ts'
import { fromJson, toJson } from '../codec.ts'
import { messageMaker } from '../make.ts'
import { zejzlDialect } from './zejzl.ts'

const env = fakeEnv()
const dialect = zejzlDialect({ env })
const sample = {
  from: 'a',
  to: 'b',
  type: 'task',
  content: { n: 1, list: ['1'] },
  priority: 'high',
  correlation_id: 'c-1',
  timestamp: '2026-01-01T00:00:00.000Z',
  metadata: { trace: 'x' },
}

test('[Z3] a message of zejzl becomes one of ours, field by field', () => {
  const message = dialect.read(sample)
  expect(message).toMatchObject({
    topic: 'agent.b',
    from: 'a',
    to: 'b',
    data: { n: 1, list: ['1'] },
    priority: 'high',
    correlationId: 'c-1',
    time: Date.UTC(2026, 0, 1),
  })
  expect({ ...message.headers }).toEqual({ trace: 'x', type: 'task' })
})

test('[Z3] priority is normal, metadata empty, the time now, when nothing is said', () => {
  expect(dialect.read({ from: 'a', to: 'b', type: 't', content: {} })).toMatchObject({
    priority: 'normal',
    time: env.wallMs(),
    correlationId: undefined,
  })
})

const keys = fc.constantFrom(
  'from',
  'to',
  'type',
  'content',
  'priority',
  'correlation_id',
  'timestamp',
  'metadata',
  'extra',
  'reply_to',
  'ttl',
)
const clean = fc.jsonValue().filter((value) => !/__proto__|constructor|prototype/.test(JSON.stringify(value)))
const foreign = fc
  .tuple(
    fc.dictionary(keys, clean, { noNullPrototype: true }),
    fc.record({
      from: fc.constantFrom('a', 'agent x'),
      to: fc.constantFrom('b', '*'),
      type: fc.constantFrom('t', 'any type'),
      content: fc.dictionary(fc.constantFrom('a', 'type'), clean, { noNullPrototype: true }),
    }),
    fc.record(
      {
        priority: fc.constantFrom('high', 'HIGH', 'normal', 'low', 'urgent', null, 3),
        correlation_id: fc.constantFrom('x', null, ''),
        timestamp: fc.constantFrom('2026-01-01T00:00:00', '2026-01-01T00:00:00.123456', 1_767_225_600.25, null),
        metadata: fc.oneof(
          fc.constant(null),
          fc.dictionary(fc.constantFrom('a', 'type', 'origin', 'n'), clean, { noNullPrototype: true }),
        ),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([any, needed, known]) => ({
    ...Object.fromEntries(
      Object.entries(any).filter(
        ([name]) =>
          !['from', 'to', 'type', 'content', 'priority', 'correlation_id', 'timestamp', 'metadata'].includes(name),
      ),
    ),
    ...needed,
    ...known,
  }))

test('[Z3] whatever was read is given back exactly, unknown fields and odd values too, also after a codec', () => {
  fc.assert(
    fc.property(foreign, (object) => {
      const before = structuredClone(object)
      const message = dialect.read(object)
      expect(object).toEqual(before)
      expect(dialect.write(message)).toEqual(object)
      expect(dialect.write(fromJson(toJson(message), env))).toEqual(object)
    }),
    { numRuns: 1_000 },
  )
})

test('a message made here is written with what zejzl has; reading it again keeps everything but the id', () => {
  const made = messageMaker(env).make(
    'agent.b',
    { n: 1 },
    { from: 'a', to: 'b', priority: 'background', correlationId: 'c', headers: { type: 'task', l: 'x' } },
  )
  const written = dialect.write(made)
  expect(written).toMatchObject({
    from: 'a',
    to: 'b',
    type: 'task',
    priority: 'low',
    correlation_id: 'c',
    metadata: { l: 'x' },
  })
  expect(dialect.read(written)).toMatchObject({
    topic: 'agent.b',
    data: { n: 1 },
    time: made.time,
    headers: { type: 'task', l: 'x' },
  })
})

test.each([
  ['to', { to: undefined }],
  ['from', { from: 5 }],
  ['type', { type: '' }],
  ['content', { content: 'x' }],
  ['timestamp', { timestamp: 'soon' }],
  ['metadata', { metadata: [] }],
])('a wrong %s is refused by name', (field, change) => {
  expect(() => dialect.read({ ...sample, ...change })).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED', details: { field } }),
  )
})

test('a header of the name origin that somebody else wrote changes nothing and reaches nothing', () => {
  const maker = messageMaker(env)
  const evil = (text: string): unknown =>
    dialect.write(maker.make('agent.b', {}, { from: 'a', to: 'b', headers: { type: 't', origin: text } }))
  for (const text of [
    '',
    '{',
    'null',
    '5',
    '{"id":"x","system":"zejzl","changes":[[["from"],"evil"]]}',
    '{"changes":[[["__proto__","polluted"],1]]}',
  ]) {
    expect(evil(text)).toMatchObject({ from: 'a', to: 'b' })
  }
  const message = dialect.read(sample)
  const forged = {
    ...message,
    headers: {
      ...message.headers,
      origin: JSON.stringify({ id: message.id, system: 'zejzl', changes: [[['__proto__', 'polluted'], 1]] }),
    },
  }
  expect(dialect.write(forged as typeof message)).toMatchObject({ from: 'a' })
  expect(Object.getPrototypeOf(dialect.write(forged as typeof message))).toBe(Object.prototype)
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
})
