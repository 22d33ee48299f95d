import { HTTP, CloudEvent as SdkEvent, type Message as SdkMessage } from 'cloudevents'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeEnv } from '../../testing/fake-env.ts'
import type { Message } from '../message.ts'
import { PRIORITIES } from '../priority.ts'
import { type MessageFields, restoreMessage } from '../restore.ts'
import { CLOUD_EVENT_EXTENSIONS, type CloudEvent, fromCloudEvent, toCloudEvent } from './event.ts'
import { fromHttp, type HttpEvent, toBinaryHttp, toStructuredHttp } from './http.ts'

const env = fakeEnv()
const ID = '0190a000-0000-7000-8000-000000000001'
const OTHER = '0190a000-0000-7000-8000-000000000002'
const make = (more: Partial<MessageFields> = {}): Message =>
  restoreMessage({ id: ID, topic: 'tasks.coding', data: { title: 'a' }, time: 1_767_225_600_123, ...more }, env)
const full = make({
  priority: 'critical',
  from: 'pink',
  to: 'red',
  session: 's1',
  expiresAt: 1_767_225_660_000,
  correlationId: 'c',
  causationId: OTHER,
  rootId: OTHER,
  hops: 3,
  replyTo: '_inbox.x',
  headers: { traceparent: '00-ab', type: 'com.example.task' },
})

const word = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.constantFrom('pink', 'http://a.b/c', 'a b', '"q"', '100%', 'ü€😀', '\u0000', '\ufdd0', '\ud800', 'a:b'),
)
const optional = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined })
const names = fc.constantFrom(
  'type',
  'subject',
  'datacontenttype',
  'dataschema',
  'ceid',
  'traceparent',
  'priority',
  'data',
  'id',
  'swarmbus',
  'X-Y',
  'specversion',
  'session',
  'a',
)
const values = fc.oneof(
  fc.string(),
  word,
  fc.constantFrom(
    'text/plain',
    'application/json',
    'application/octet-stream',
    'image/png',
    'application/x+json; charset=utf-8',
    'http://schema/x',
    'tasks.coding',
    '',
  ),
)
const messages = fc
  .record({
    data: fc.oneof(
      fc.jsonValue(),
      fc.uint8Array({ maxLength: 9 }),
      fc.constant(undefined),
      fc.string(),
      fc.constantFrom(
        { $ref: '#/a' },
        { a: new Date(5) },
        [undefined],
        { $bytes: 'x' },
        new Map([[1, 2]]),
        Number.NaN,
        '\ud800',
        '',
      ),
    ),
    priority: fc.constantFrom(...PRIORITIES),
    time: fc.integer({ min: 0, max: 253_402_300_799_999 }),
    from: optional(word),
    to: optional(word),
    session: optional(word),
    correlationId: optional(word),
    expiresAt: optional(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
    causationId: optional(fc.constant(OTHER)),
    rootId: optional(fc.constant(OTHER)),
    hops: fc.nat(9),
    replyTo: optional(fc.constant('_inbox.a')),
    headers: fc.dictionary(names, values, { noNullPrototype: true }),
  })
  .filter(({ data }) => !/__proto__|constructor|prototype/.test(JSON.stringify(data) ?? ''))
  .map((more) => make(more))

test('[V18] any message comes back from an event as it was', () => {
  fc.assert(
    fc.property(messages, (message) => {
      const event = JSON.parse(JSON.stringify(toCloudEvent(message))) as CloudEvent
      expect(fromCloudEvent(event, { env })).toStrictEqual(message)
    }),
    { numRuns: 1_000 },
  )
})

test.each([
  ['structured', toStructuredHttp],
  ['binary', toBinaryHttp],
] as const)('any message comes back from HTTP in the %s form', (_name, write) => {
  fc.assert(
    fc.property(messages, (message) => {
      const { headers, body } = write(message)
      // What HTTP may do: other case, no characters but visible ASCII and inner spaces.
      for (const value of Object.values(headers)) expect(value).toMatch(/^[!-~]+( [!-~]+)*$/)
      const shouted = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]))
      expect(fromHttp({ headers: shouted, body }, { env })).toStrictEqual(message)
    }),
    { numRuns: 1_000 },
  )
})

test('attributes are those of the specification, names at most 20 lower-case letters and digits', () => {
  expect(toCloudEvent(full)).toEqual({
    specversion: '1.0',
    id: ID,
    source: 'pink',
    type: 'com.example.task',
    subject: 'tasks.coding',
    time: '2026-01-01T00:00:00.123Z',
    datacontenttype: 'application/json',
    data: { title: 'a' },
    recipient: 'red',
    session: 's1',
    priority: 'critical',
    expirytime: '2026-01-01T00:01:00.000Z',
    correlationid: 'c',
    causationid: OTHER,
    rootid: OTHER,
    hops: 3,
    replyto: '_inbox.x',
    traceparent: '00-ab',
    swarmbus: '1',
  })
  for (const name of Object.values(CLOUD_EVENT_EXTENSIONS)) expect(name).toMatch(/^[a-z0-9]{1,20}$/)
  fc.assert(
    fc.property(messages, (message) => {
      for (const [name, value] of Object.entries(toCloudEvent(message))) {
        expect(name).toMatch(/^([a-z0-9]{1,20}|data_base64)$/)
        if (name === 'data' || name === 'data_base64') continue
        expect(['string', 'number']).toContain(typeof value)
        expect(value).not.toBe('')
        expect(String(value)).not.toMatch(/[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u)
      }
    }),
  )
})

test('without headers and sender, the type is the topic and the source is the given one', () => {
  expect(toCloudEvent(make(), { source: '/cluster/a' })).toMatchObject({
    type: 'tasks.coding',
    subject: 'tasks.coding',
    source: '/cluster/a',
  })
  expect(toCloudEvent(make()).source).toBe('swarmbus')
  expect(fromCloudEvent(toCloudEvent(make(), { source: '/cluster/a' }), { env }).from).toBeUndefined()
  expect(() => toCloudEvent(make(), { source: 'a b' })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})

/** The samples that the SDK must understand: attribute values as they may stand in HTTP without escaping. */
const samples: readonly [string, Message][] = [
  ['everything', full],
  ['the least', make({ data: { a: [1, 'x', null, true] } })],
  ['a text', make({ data: 'plain' })],
  ['tagged data', make({ data: { when: new Date(5), bytes: Uint8Array.of(1, 2) } })],
]

test.each(samples)('the SDK accepts our event and gives it back: %s', (_name, message) => {
  const event = toCloudEvent(message)
  const theirs = new SdkEvent(event as ConstructorParameters<typeof SdkEvent>[0])
  expect(theirs.validate()).toBe(true)
  expect(fromCloudEvent(JSON.parse(theirs.toString()), { env })).toStrictEqual(message)
})

const utf8 = new TextDecoder()
const ours = ({ headers, body }: SdkMessage): HttpEvent => ({
  headers: headers as Record<string, string>,
  body: new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)),
})

test.each(samples)('the SDK reads both our HTTP forms, and we read both of its own: %s', (_name, message) => {
  for (const { headers, body } of [toBinaryHttp(message), toStructuredHttp(message)]) {
    const read = HTTP.toEvent({ headers: { ...headers }, body: utf8.decode(body) }) as SdkEvent<unknown>
    expect([read.id, read.type, read.source, read.subject, read.time]).toEqual([
      message.id,
      message.headers.type ?? message.topic,
      message.from ?? 'swarmbus',
      message.topic,
      new Date(message.time).toISOString(),
    ])
    expect(read.data).toEqual(toCloudEvent(message).data)
    if (message.priority !== 'normal') expect(read.priority).toBe(message.priority)
    expect(fromHttp(ours(HTTP.structured(read)), { env }).headers).toEqual(message.headers)
    expect(fromHttp(ours(HTTP.structured(read)), { env }).data).toEqual(message.data)
  }
  const theirs = new SdkEvent(toCloudEvent(message) as ConstructorParameters<typeof SdkEvent>[0])
  expect(fromHttp(ours(HTTP.structured(theirs)), { env })).toStrictEqual(message)
  if (typeof message.data !== 'string') expect(fromHttp(ours(HTTP.binary(theirs)), { env })).toStrictEqual(message)
})

test('the SDK reads bytes as bytes', () => {
  const { headers, body } = toStructuredHttp(make({ data: Uint8Array.of(1, 2, 250) }))
  const read = HTTP.toEvent({ headers: { ...headers }, body: utf8.decode(body) }) as SdkEvent<Uint32Array>
  expect([...(read.data ?? [])]).toEqual([1, 2, 250])
})

test('an event of others is taken in: source as sender, unknown attributes as headers, its id kept', () => {
  const event = {
    specversion: '1.0',
    id: 'A-1',
    source: 'https://example.com/shop',
    type: 'com.example.order',
    subject: 'orders/7',
    time: '2026-01-01T02:00:00+02:00',
    data: { $ref: '#/x' },
    priority: 'low',
    tenant: 'acme',
    count: 5,
    hops: 'many',
  }
  const message = fromCloudEvent(event, { env })
  expect(message).toMatchObject({
    topic: 'com.example.order',
    from: 'https://example.com/shop',
    time: Date.UTC(2026, 0, 1),
    priority: 'low',
    data: { $ref: '#/x' },
    hops: 0,
  })
  expect({ ...message.headers }).toEqual({ subject: 'orders/7', tenant: 'acme', count: '5', hops: 'many', ceid: 'A-1' })
  expect(fromCloudEvent(event, { env }).id).toBe(message.id)
  expect(fromCloudEvent({ ...event, source: '/other' }, { env }).id).not.toBe(message.id)
  expect(toCloudEvent(message)).toMatchObject({
    id: 'A-1',
    source: 'https://example.com/shop',
    type: 'com.example.order',
    subject: 'orders/7',
  })
  expect(fromCloudEvent(toCloudEvent(message), { env })).toStrictEqual(message)
  expect(fromCloudEvent(event, { env, topic: 'shop.orders' })).toMatchObject({
    topic: 'shop.orders',
    headers: { type: 'com.example.order' },
  })
})

const least = { specversion: '1.0', id: 'a', source: 's', type: 't' }

test.each([
  ['specversion', { specversion: '0.3' }],
  ['id', { id: '' }],
  ['source', { source: 5 }],
  ['type', { type: undefined }],
  ['time', { time: 'yesterday' }],
  ['time', { time: '2026-13-01T00:00:00Z' }],
  ['data_base64', { data_base64: 'AA==', data: 1 }],
  ['data', { data_base64: '?' }],
  ['Upper', { Upper: 'x' }],
  ['nested', { nested: {} }],
  ['swarmbus', { swarmbus: '2' }],
  ['swarmbus', { swarmbus: '1.bm8' }],
  ['swarmbus', { swarmbus: 1 }],
  ['swarmbus', { swarmbus: 'x' }],
  ['topic', { type: 'a b' }],
  ['subject', { subject: '' }],
])('an event with a wrong %s is refused: %j', (field, change) => {
  expect(() => fromCloudEvent({ ...least, ...change }, { env })).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED' }),
  )
  try {
    fromCloudEvent({ ...least, ...change }, { env })
  } catch (error) {
    expect((error as { details: object }).details).toMatchObject({ field })
  }
})

test('names that reach into prototypes are refused, in attributes, data and headers', () => {
  const hidden = Buffer.from('{"headers":{"__proto__":"x"}}').toString('base64url')
  for (const text of ['{"__proto__":{"a":1}}', '{"data":{"constructor":1}}', `{"swarmbus":"1.${hidden}"}`]) {
    const joined = JSON.parse(text.replace('{', `{"specversion":"1.0","id":"a","source":"s","type":"t",`)) as object
    expect(() => fromCloudEvent(joined, { env })).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
  }
  const body = new Uint8Array()
  expect(() =>
    fromHttp(
      {
        headers: { 'ce-id': 'a', 'ce-source': 's', 'ce-type': 't', 'ce-specversion': '1.0', 'ce-__proto__': 'x' },
        body,
      },
      { env },
    ),
  ).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
})

test('HTTP that is no event, is malformed or is a batch is refused', () => {
  const body = new TextEncoder().encode('{')
  const cases: Record<string, string>[] = [
    { 'content-type': 'application/json' },
    { 'content-type': 'application/cloudevents+json' },
    { 'content-type': 'application/cloudevents-batch+json' },
    { 'content-type': 'application/cloudevents+avro' },
    { 'ce-specversion': '1.0', 'ce-id': 'a', 'ce-source': 's', 'ce-type': 't', 'content-type': 'application/json' },
    { 'ce-specversion': '1.0', 'ce-id': '%ff', 'ce-source': 's', 'ce-type': 't' },
  ]
  for (const headers of cases)
    expect(() => fromHttp({ headers, body }, { env })).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
})

test('headers of senders that escape carelessly, or in quotes, are read as meant', () => {
  const headers = {
    'CE-Id': 'a',
    'Ce-Source': 's',
    'ce-type': 't',
    'ce-specversion': '1.0',
    'ce-share': '100%',
    'ce-text': '"Euro \\"%E2%82%AC\\""',
    'ce-list': ['x', 'y'],
    'ce-none': undefined,
    host: 'h',
  }
  const message = fromHttp({ headers, body: new Uint8Array() }, { env })
  expect({ ...message.headers }).toEqual({ ceid: 'a', share: '100%', text: 'Euro "€"', list: 'x,y' })
  expect(message.data).toBeUndefined()
})
