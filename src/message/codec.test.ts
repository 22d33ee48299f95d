import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBus } from '../bus/bus.ts'
import { isBusError } from '../kit/errors.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { type Codec, type CodecOptions, fromJson, jsonCodec, toJson } from './codec.ts'
import { Envelope, type Message } from './message.ts'
import { msgpackCodec } from './msgpack.ts'
import { PRIORITIES } from './priority.ts'
import { type MessageFields, restoreMessage } from './restore.ts'

const env = fakeEnv()
const ID = '0190a000-0000-7000-8000-000000000001'
const OTHER = '0190a000-0000-7000-8000-000000000002'
const fields: MessageFields = { id: ID, topic: 'tasks.coding', data: { title: 'a' }, time: 1_767_225_600_000 }
const make = (more: Partial<MessageFields> = {}): Message => restoreMessage({ ...fields, ...more }, env)
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
  headers: { traceparent: '00-ab', label: 'ü€😀' },
})

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary-ascii' }),
  fc.constantFrom('$bytes', '$$a', '$', 'toString', '\ud800', ''),
)
const name = fc
  .oneof(fc.string(), fc.constantFrom('$bytes', '$date', '$$', '$', 'toString', 'v', 'data'))
  .filter((one) => !['__proto__', 'constructor', 'prototype'].includes(one))
const leaf: fc.Arbitrary<unknown> = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.constant(null),
  text,
  fc.bigInt(),
  fc.uint8Array({ maxLength: 20 }),
  fc.date({ noInvalidDate: false }),
  fc.float32Array({ maxLength: 4 }),
  fc.bigInt64Array({ maxLength: 3 }),
  fc.constantFrom(-0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e308),
)
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(fc.oneof(tie('tree'), fc.constant(undefined)), { maxLength: 4 }),
    fc.dictionary(name, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
    fc.array(fc.tuple(leaf, tie('tree')), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    fc.array(leaf, { maxLength: 3 }).map((members) => new Set(members)),
  ),
}))
const optional = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined })
const word = fc.string({ unit: 'grapheme', minLength: 1 }).filter((one) => one.isWellFormed())
const messages = fc
  .record({
    data: fc.oneof(tree, fc.constant(undefined)),
    priority: fc.constantFrom(...PRIORITIES),
    time: fc.integer({ min: 0, max: 4e12 }),
    from: optional(word),
    to: optional(word),
    session: optional(word),
    expiresAt: optional(fc.integer({ min: 0, max: 4e12 })),
    correlationId: optional(word),
    causationId: optional(fc.constant(OTHER)),
    rootId: optional(fc.constant(OTHER)),
    hops: fc.nat(32),
    replyTo: optional(fc.constantFrom('_inbox.a', 'x')),
    headers: fc.dictionary(
      name.filter((one) => one.isWellFormed()),
      word,
      { maxKeys: 3, noNullPrototype: true },
    ),
  })
  .map((more) => make(more))

const codecs: readonly [string, (options?: CodecOptions) => Codec][] = [
  ['json', jsonCodec],
  ['msgpack', msgpackCodec],
]

describe.each(codecs)('%s', (_name, makeCodec) => {
  const codec = makeCodec({ env })
  const again = (message: Message): Message => codec.decode(codec.encode(message))

  test('[V21] [V18] any message comes back as it was, every field and every kind of data', () => {
    fc.assert(
      fc.property(messages, (message) => {
        expect(again(message)).toStrictEqual(message)
      }),
      { numRuns: 400 },
    )
  })

  test('[V21] both codecs read the same content', () => {
    fc.assert(
      fc.property(messages, (message) => {
        expect(toJson(again(message))).toStrictEqual(toJson(message))
      }),
      { numRuns: 100 },
    )
  })

  test('[C2] values keep their types: numbers stay numbers, bytes bytes, dates dates', () => {
    const data = {
      n: 1,
      big: 2 ** 53 - 1,
      text: '1',
      bytes: Uint8Array.of(0, 255),
      when: new Date(5),
      yes: true,
      none: null,
      list: [1.5, '1.5'],
    }
    expect(again(make({ data })).data).toStrictEqual(data)
  })

  test('data that looks like a tag stays what it is', () => {
    for (const data of [
      { $bytes: 'AAAA' },
      { $date: 0 },
      { $$x: { $undefined: true } },
      { $: 1, b: 2 },
      { $map: [] },
      [{ $set: [] }],
    ]) {
      expect(again(make({ data: structuredClone(data) })).data).toStrictEqual(data)
    }
  })

  test('undefined data stays undefined and null stays null', () => {
    expect([again(make({ data: undefined })).data, again(make({ data: null })).data]).toEqual([undefined, null])
  })

  test('a decoded message is deeply frozen, and data that cannot be frozen is noted', () => {
    const { data, headers } = again(make({ data: { list: [{ a: 1 }] }, headers: { a: 'b' } })) as Message<{
      list: { a: number }[]
    }>
    expect([data, data.list, data.list[0], headers].every((one) => Object.isFrozen(one))).toBe(true)
    expect(Envelope.isLoose(again(make({ data: { at: new Date(0) } })) as Envelope)).toBe(true)
    expect(Envelope.isLoose(again(make()) as Envelope)).toBe(false)
  })

  test('the deadline of a decoded message counts on the monotonic clock from now', () => {
    const clocks = { wallMs: () => 1_767_225_600_500, monotonicMs: () => 77 }
    const message = makeCodec({ env: clocks }).decode(codec.encode(full)) as Envelope
    expect(Envelope.deadlineMs(message)).toBe(77 + 59_500)
    expect(message.expiresAt).toBe(full.expiresAt)
    expect(Envelope.deadlineMs(again(make()) as Envelope)).toBe(Number.POSITIVE_INFINITY)
  })

  test('a message that a bus delivered goes through, and the result is a message for its respond', async () => {
    await using bus = createBus()
    const seen: Message[] = []
    bus.subscribe('tasks.*', (message) => void seen.push(message))
    await bus.publish(
      'tasks.coding',
      { title: 'fix' },
      { session: 's', priority: 'low', ttlMs: 1_000, headers: { a: 'b' }, until: 'handled' },
    )
    expect(again(seen[0]!)).toStrictEqual(seen[0])
    expect(bus.respond(again(seen[0]!), 1)).toBe(false)
  })

  test('64 levels of data are taken, and one more is refused when writing', () => {
    const nested = (levels: number): unknown => {
      let data: unknown = 1
      for (let level = 0; level < levels; level++) data = level % 2 === 0 ? new Map([['k', data]]) : { data }
      return data
    }
    expect(again(make({ data: nested(64) })).data).toStrictEqual(nested(64))
    const deep = { ...make(), data: nested(65) } as Message
    expect(() => codec.encode(deep)).toThrow(expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }))
  })

  test('what has no form outside of this process is refused with its place, never changed', () => {
    class Task {
      title = 'a'
    }
    const refused: [unknown, string][] = [
      [{ a: [new Task()] }, 'data.a.0'],
      [{ run: () => 0 }, 'data.run'],
      [Symbol('s'), 'data'],
      [{ e: new Error('x') }, 'data.e'],
      [new URL('http://a.b'), 'data'],
      [{ a: JSON.parse('{"__proto__":1}') }, 'data.a'],
      [{ constructor: 1 }, 'data'],
      [{ '\ud800': 1 }, 'data'],
    ]
    for (const [data, field] of refused) {
      expect(() => codec.encode({ ...make(), data } as Message)).toThrow(
        expect.objectContaining({ code: 'INVALID_PAYLOAD', details: { field } }),
      )
    }
    expect(() => codec.encode({ ...make(), session: '\ud800' } as Message)).toThrow(
      expect.objectContaining({ code: 'INVALID_MESSAGE' }),
    )
  })

  test('more bytes than allowed are refused, in both directions, and exactly as many are taken', () => {
    const bytes = codec.encode(full)
    const exact = makeCodec({ env, maxBytes: bytes.length })
    expect(exact.decode(exact.encode(full))).toStrictEqual(full)
    const short = makeCodec({ env, maxBytes: bytes.length - 1 })
    expect(() => short.encode(full)).toThrow(expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }))
    expect(() => short.decode(bytes)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
  })

  test('wrong options are refused', () => {
    for (const options of [{ maxBytes: 0 }, { maxBytes: 1.5 }, { env: 5 }, { depth: 3 }]) {
      expect(() => makeCodec(options as unknown as CodecOptions)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      )
    }
  })

  test('any damage gives DECODE_FAILED or a whole message, never another error', () => {
    const bytes = codec.encode(full)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.boolean(), (at, value, cut) => {
        const damaged = cut ? bytes.slice(0, at) : Uint8Array.from(bytes)
        if (!cut) damaged[at] = value
        try {
          expect(codec.decode(damaged).id).toHaveLength(36)
        } catch (error) {
          if (!isBusError(error, 'DECODE_FAILED')) throw error
        }
      }),
      { numRuns: 2_000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(() => codec.decode(bytes)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
      }),
    )
  })

  test('[V18] writing and reading a small message takes less than a millisecond', () => {
    for (let warm = 0; warm < 500; warm++) again(full)
    const startedMs = performance.now()
    for (let times = 0; times < 1_000; times++) again(full)
    expect(performance.now() - startedMs).toBeLessThan(1_000)
  })
})

const good = toJson(full) as unknown as Record<string, unknown>

test.each([
  ['v', { v: 2 }],
  ['v', { v: undefined }],
  ['id', { id: 'msg-1' }],
  ['topic', { topic: 'a.*' }],
  ['topic', { topic: undefined }],
  ['time', { time: -1 }],
  ['time', { time: '1' }],
  ['time', { time: 1e300 }],
  ['priority', { priority: 'urgent' }],
  ['from', { from: 5 }],
  ['from', { from: '' }],
  ['session', { session: null }],
  ['expiresAt', { expiresAt: 1.5 }],
  ['causationId', { causationId: 'x' }],
  ['hops', { hops: -1 }],
  ['replyTo', { replyTo: '>' }],
  ['headers', { headers: 'x' }],
  ['headers.a', { headers: { a: 1 } }],
  ['extra', { extra: 1 }],
  ['data', { data: { $date: 1, b: 2 } }],
  ['data.a', { data: { a: { $nope: 1 } } }],
  ['data.a.0', { data: { a: [{ $bytes: 'not base64' }] } }],
  ['data', { data: { $number: '5' } }],
  ['data', { data: { $typed: ['Float32Array', { $bytes: 'AAA=' }] } }],
  ['data', { data: { $map: [[1]] } }],
  ['data', { data: { $undefined: false } }],
  ['data', { data: { $bigint: '1e5' } }],
  ['data.a.$b', { data: { a: { x: 1, $b: 1 } } }],
])('reading refuses a wrong %s: %j', (field, change) => {
  expect(() => fromJson({ ...good, ...change }, env)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
  try {
    fromJson({ ...good, ...change }, env)
  } catch (error) {
    expect((error as { details: object }).details).toMatchObject({ field })
  }
})

test.each(['__proto__', 'constructor', 'prototype'])('the name %s is refused anywhere, with its place', (forbidden) => {
  const inner = JSON.parse(`{"a":{"b":[{"${forbidden}":1}]}}`) as object
  expect(() => fromJson({ ...good, data: inner }, env)).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED', details: { field: `data.a.b.0.${forbidden}` } }),
  )
  const outer = JSON.parse(JSON.stringify(good).replace('{"v"', `{"${forbidden}":{},"v"`)) as object
  expect(() => fromJson(outer, env)).toThrow(expect.objectContaining({ details: { field: forbidden } }))
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
})

test.each([[null], [undefined], [5], ['text'], [[]]])('%j is no message', (value) => {
  expect(() => fromJson(value, env)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
})

test('malformed JSON is refused with its position', () => {
  const bytes = new TextEncoder().encode(`{"v":1,"id":"${ID}",}`)
  expect(() => jsonCodec().decode(bytes)).toThrow(/malformed JSON: .*position \d+/)
  expect(() => jsonCodec().decode(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED' }),
  )
})

test('a million open brackets cost only themselves', () => {
  const opened = new TextEncoder().encode(
    `{"v":1,"id":"${ID}","topic":"t","time":1,"data":${'['.repeat(900_000)}${']'.repeat(900_000)}}`,
  )
  expect(() => jsonCodec({ env }).decode(opened)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
})

test('the object form holds nothing that JSON text changes, and is not kept by the message', () => {
  const object = toJson(full)
  expect(JSON.parse(JSON.stringify(object))).toEqual(object)
  const read = fromJson(object, env) as Message<{ title: string }>
  ;(object.data as { title: string }).title = 'changed'
  expect(read.data.title).toBe('a')
  expect(Object.keys(toJson(make({ data: undefined })))).toEqual(['v', 'id', 'topic', 'time', 'priority'])
})
