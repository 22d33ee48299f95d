import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeEnv } from '../../testing/fake-env.ts'
import { memoryHub, memoryWire } from '../../wire/memory.ts'
import { type Codec, jsonCodec } from '../codec.ts'
import { isMessageId } from '../ids.ts'
import { messageMaker } from '../make.ts'
import { msgpackCodec } from '../msgpack.ts'
import { cortexEventDialect, cortexTaskDialect, eventPriority, taskTopic } from './cortex.ts'

const env = fakeEnv()
const tasks = cortexTaskDialect({ env })
const events = cortexEventDialect({ env })
const NOW_S = env.wallMs() / 1_000
const task = {
  id: 'task-7',
  from: 'harold',
  to: 'pink',
  priority: 0,
  type: 'coding',
  payload: { n: 1 },
  task: 'fix it',
  created: NOW_S,
  ttl: 60,
}

test('[C1] a task becomes a message, its text and payload the data, ttl and deadline the expiry', () => {
  const message = tasks.read(task)
  expect(message).toMatchObject({
    topic: 'agent.pink',
    from: 'harold',
    to: 'pink',
    priority: 'critical',
    data: { task: 'fix it', payload: { n: 1 } },
    time: env.wallMs(),
    expiresAt: env.wallMs() + 60_000,
  })
  expect(isMessageId(message.id)).toBe(true)
  expect(tasks.read(task).id).toBe(message.id)
  expect(tasks.read({ ...task, id: 'task-8' }).id).not.toBe(message.id)
  expect(tasks.read({ ...task, deadline: '2026-01-01T00:00:10Z' }).expiresAt).toBe(env.wallMs() + 10_000)
  expect(tasks.read({ type: 'review' })).toMatchObject({
    topic: 'tasks.review',
    to: undefined,
    expiresAt: env.wallMs() + 3_600_000,
    priority: 'normal',
  })
})

test.each(['coding', 'code_task', 'review', 'deploy', 'monitor', 'heartbeat', 'message', 'query', 'anything'])(
  '[C3] the type %s is taken, kept, and has its pool',
  (type) => {
    const message = tasks.read({ ...task, to: '', type })
    expect(message.headers.type).toBe(type)
    expect(message.topic).toBe(type === 'code_task' ? 'tasks.coding' : `tasks.${type}`)
    expect(tasks.write(message)).toEqual({ ...task, to: '', type })
    expect(taskTopic(type)).toBe(message.topic)
  },
)

test.each([
  [0, 'critical'],
  [1, 'high'],
  [2, 'normal'],
  [3, 'low'],
  [4, 'background'],
  ['critical', 'critical'],
  ['heartbeat', 'background'],
  ['whatever', 'normal'],
  [9, 'normal'],
])('[C4] the level %j of a task is %s, and is given back as it was', (given, level) => {
  const message = tasks.read({ ...task, priority: given })
  expect(message.priority).toBe(level)
  expect(tasks.write(message).priority).toBe(given)
})

test.each([
  ['critical', 'critical'],
  ['system.error', 'critical'],
  ['disk.alert', 'critical'],
  ['high', 'high'],
  ['cpu.warning', 'high'],
  ['low', 'low'],
  ['trace.debug', 'low'],
  ['task.completed', 'normal'],
  ['error.cleared', 'normal'],
])('[C4] the event %s has the level %s', (name, level) => {
  expect(eventPriority(name)).toBe(level)
  expect(events.read({ event_type: name, payload: {}, timestamp: NOW_S, source: 's' }).priority).toBe(level)
})

test('[C2] created in unix seconds and created_at as ISO text are both read, to the millisecond, and stay what they were', () => {
  const { created: _created, ...rest } = task
  for (const when of [
    { created: NOW_S },
    { created: NOW_S + 0.25 },
    { created_at: '2026-01-01T01:00:00.250+01:00' },
    { created_at: '2026-01-01T00:00:00.250' },
  ]) {
    const message = tasks.read({ ...rest, ...when })
    expect(message.time - env.wallMs()).toBe(when.created === NOW_S ? 0 : 250)
    expect(tasks.write(message)).toEqual({ ...rest, ...when })
  }
})

const clean = fc.jsonValue().filter((value) => !/__proto__|constructor|prototype/.test(JSON.stringify(value)))
const anyTask = fc.record(
  {
    type: fc.constantFrom('coding', 'code_task', 'x'),
    id: fc.oneof(fc.string(), fc.uuid(), fc.constant(null)),
    from: fc.constantFrom('a', '', null),
    to: fc.constantFrom('b', '', null),
    priority: clean,
    payload: fc.oneof(fc.constant(null), fc.dictionary(fc.constantFrom('a', 'b'), clean, { noNullPrototype: true })),
    task: fc.constantFrom('do it', '', null),
    created: fc.constantFrom(1_700_000_000, 1_700_000_000.5),
    created_at: fc.constantFrom('2026-01-01', '2026-01-01T00:00:00Z'),
    ttl: fc.constantFrom(3_600, 1, 0.5, 86_400),
    deadline: fc.constantFrom('2027-01-01T00:00:00Z', null),
    extra: clean,
    ttl_left: clean,
  },
  { requiredKeys: ['type'], noNullPrototype: true },
)

test('[C2] any task is given back exactly as it was read, over both codecs', () => {
  fc.assert(
    fc.property(anyTask, fc.constantFrom<Codec>(jsonCodec({ env }), msgpackCodec({ env })), (object, codec) => {
      const message = codec.decode(codec.encode(tasks.read(object)))
      expect(tasks.write(message)).toStrictEqual(object)
    }),
    { numRuns: 600 },
  )
})

test('a task made here is written in their words, and read again as it was', () => {
  const made = messageMaker(env).make(
    'tasks.deploy',
    { task: 'ship', payload: { v: 2 } },
    { from: 'red', priority: 'background', ttlMs: 5_000, headers: { type: 'deploy' } },
  )
  const written = tasks.write(made)
  expect(written).toEqual({
    id: made.id,
    from: 'red',
    to: '',
    priority: 4,
    type: 'deploy',
    task: 'ship',
    payload: { v: 2 },
    created: NOW_S,
    ttl: 5,
  })
  expect(tasks.read(written)).toStrictEqual(made)
})

test.each([
  ['type', { type: '' }],
  ['ttl', { ttl: 0 }],
  ['ttl', { ttl: 'x' }],
  ['payload', { payload: [] }],
  ['created', { created: 'now' }],
  ['topic', { to: undefined, type: 'a b' }],
  ['topic', { to: 'a b' }],
])('a task with a wrong %s is refused by name: %j', (field, change) => {
  expect(() => tasks.read({ ...task, ...change })).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED', details: { field } }),
  )
})

test.each([
  ['json', jsonCodec({ env })],
  ['msgpack', msgpackCodec({ env })],
])('[C45] an event arrives unchanged over a wire with %s', async (_name, codec) => {
  const hub = memoryHub()
  await using here = memoryWire(hub)
  await using there = memoryWire(hub)
  const seen: Record<string, unknown>[] = []
  const arrived = new Promise<void>((resolve) => {
    there.subscribe('task.>', (_topic, frame) => {
      seen.push(events.write(codec.decode(frame)))
      if (seen.length === 4) resolve()
    })
  })
  const sent = [
    {
      event_type: 'task.completed',
      payload: { n: 1, text: '1', nested: { list: [1.5, null] } },
      timestamp: '2026-01-01T00:00:00Z',
      source: 'pink',
    },
    { event_type: 'task.failed.error', payload: null, timestamp: 1_767_225_600.123456, source: '' },
    {
      event_type: 'task.started',
      payload: [],
      timestamp: '2026-01-01T00:00:00.123456+00:00',
      source: 'red',
      more: { unknown: true },
    },
    { event_type: 'task.empty', timestamp: 1_767_225_600, source: null },
  ]
  for (const event of sent) {
    const message = events.read(event)
    here.publish(message.topic, codec.encode(message))
  }
  await arrived
  expect(seen).toEqual(sent)
})

test('[C45] the publisher gets its own events only on request', async () => {
  const hub = memoryHub()
  const message = events.read({ event_type: 'task.done', payload: 1, timestamp: NOW_S, source: 'pink' })
  const frame = jsonCodec({ env }).encode(message)
  const own: string[] = []
  await using silent = memoryWire(hub)
  await using curious = memoryWire(hub, { echo: true })
  silent.subscribe('task.*', () => own.push('silent'))
  const heard = new Promise<void>(
    (resolve) => void curious.subscribe('task.*', () => resolve(void own.push('curious'))),
  )
  curious.publish(message.topic, frame)
  await heard
  silent.publish('other', frame)
  expect(own.toSorted()).toEqual(['curious', 'silent'])
  own.length = 0
  silent.publish(message.topic, frame)
  await new Promise<void>((resolve) => setImmediate(resolve))
  expect(own).toEqual(['curious'])
})
