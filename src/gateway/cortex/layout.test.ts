import fc from 'fast-check'
import { expect, test } from 'vitest'
import { messageMaker } from '../../message/make.ts'
import { PRIORITIES } from '../../message/priority.ts'
import { fakeEnv } from '../../testing/fake-env.ts'
import { cortexLayout } from './layout.ts'
import { cortexNames, streamOf } from './names.ts'

const env = fakeEnv()
const layout = cortexLayout('ours', env)
const maker = messageMaker(env)
const place = { stream: 'cortex:tasks:high', entryId: '1-0' }
/** As the gateway of Cortex writes a task. */
const theirs = {
  id: 'msg_1767225600000000000_1',
  from: 'harold',
  to: '',
  priority: 'high',
  type: 'coding',
  payload: '{"n":1,"text":"1","nested":{"list":[1.5,null,true]}}',
  created: '1767225600',
}

test('[C2] what Cortex wrote is read with its types: numbers in the payload, the time, the level', () => {
  const { message, by } = layout.decode(theirs, place)
  expect(by).toBeUndefined()
  expect(message).toMatchObject({
    topic: 'tasks.coding',
    from: 'harold',
    to: undefined,
    priority: 'high',
    time: 1_767_225_600_000,
    data: { payload: { n: 1, text: '1', nested: { list: [1.5, null, true] } } },
  })
})

test('[C2] an entry of the other form is read, too: created_at as ISO text, ttl in seconds, a level by its number', () => {
  const { created: _created, ...rest } = theirs
  const fields = { ...rest, created_at: '2026-02-06T11:45:00.250Z', ttl: '60', priority: '0', type: 'code_task' }
  expect(layout.decode(fields, place).message).toMatchObject({
    topic: 'tasks.coding',
    priority: 'critical',
    time: Date.UTC(2026, 1, 6, 11, 45, 0, 250),
    expiresAt: Date.UTC(2026, 1, 6, 11, 46, 0, 250),
  })
})

test('[C2] [CN15] an entry of Cortex that is written again is laid out as it was', () => {
  const { swarmbus: _ours, ...fields } = layout.encode(layout.decode(theirs, place).message)
  expect(fields).toEqual(theirs)
})

test('[C1] [C12] a task made here is laid out so that the reader of Cortex takes it', () => {
  const made = maker.make('tasks.deploy', { payload: { v: 2 } }, { from: 'red', priority: 'background', ttlMs: 5_000 })
  const { swarmbus: _ours, ...fields } = layout.encode(made)
  expect(fields).toEqual({
    id: made.id,
    from: 'red',
    to: '',
    priority: 'heartbeat',
    type: 'deploy',
    payload: '{"v":2}',
    created: String(Math.floor(made.time / 1_000)),
    ttl: '5',
  })
  for (const data of ['text', 7, null, ['a'], true]) {
    const payload = JSON.parse(
      layout.encode(maker.make('agent.pink', data, { to: 'pink' })).payload ?? 'null',
    ) as unknown
    expect(payload).toEqual({ content: data })
  }
})

test('[CN15] the payload of an event is its own, also when the whole event was wrapped into one field', () => {
  const event = { event_type: 'task.done', payload: { n: 1 }, timestamp: 1_767_225_600.5, source: 'pink' }
  const expected = { topic: 'task.done', from: 'pink', data: { n: 1 }, time: 1_767_225_600_500 }
  expect(layout.decode({ event: JSON.stringify(event) }, place).message).toMatchObject(expected)
  const flat = { event_type: 'task.done', payload: '{"n":1}', timestamp: '1767225600.5', source: 'pink' }
  expect(layout.decode(flat, place).message).toMatchObject(expected)
  expect(layout.decode(flat, place).message.id).toBe(layout.decode(flat, place).message.id)
  expect(layout.decode(flat, { ...place, entryId: '2-0' }).message.id).not.toBe(layout.decode(flat, place).message.id)
})

test('[C43] [C46] an event of the brain and a heartbeat are read', () => {
  const brain = { id: 'e1', timestamp: '1767225600', type: 'lobe_start', lobe: 'memory', confidence: '0.5' }
  expect(layout.decode(brain, place).message).toMatchObject({
    topic: 'lobe_start',
    data: { lobe: 'memory', confidence: 0.5 },
    time: 1_767_225_600_000,
  })
  const beat = { agent: 'pink', status: 'healthy', timestamp: '1767225600', metadata: '{"cpu":0.5}' }
  expect(layout.decode(beat, place).message).toMatchObject({
    topic: 'heartbeats',
    from: 'pink',
    data: { status: 'healthy', metadata: { cpu: 0.5 } },
  })
})

test('[C17] a dead letter of Cortex is read with its task and its error', () => {
  const fields = {
    ...Object.fromEntries(Object.entries(theirs).map(([field, text]) => [`original_${field}`, text])),
    error: 'no answer',
    retry_count: '3',
    dead_at: '1767225700',
  }
  expect(layout.decode(fields, place).message).toMatchObject({
    topic: 'tasks.dlq',
    from: 'harold',
    time: 1_767_225_700_000,
    data: { original: { id: theirs.id, payload: { n: 1 } }, error: 'no answer', retries: 3 },
  })
})

const dataOf = fc.oneof(
  fc.jsonValue().filter((value) => !/__proto__|constructor|prototype/.test(JSON.stringify(value))),
  fc.constantFrom(undefined, new Date(0), new Map([[1, 'a']]), 1n, Number.NaN),
)
test('[C2] [C45] any message is read back as it was written, whatever its form', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('tasks.coding', 'agent.pink', 'task.done', 'heartbeats', 'a.b.c'),
      dataOf,
      fc.constantFrom(...PRIORITIES),
      fc.option(fc.constantFrom('harold', 'a.b')),
      fc.option(fc.integer({ min: 1, max: 100_000 })),
      fc.option(fc.constantFrom('s1')),
      (topic, data, priority, from, ttlMs, session) => {
        const message = maker.make(topic, data, {
          priority,
          headers: { type: 'x', label: '1' },
          ...(topic === 'agent.pink' ? { to: 'pink' } : {}),
          ...(from === null ? {} : { from }),
          ...(ttlMs === null ? {} : { ttlMs }),
          ...(session === null ? {} : { session, correlationId: 'c', replyTo: '_inbox.x' }),
        })
        const back = layout.decode(layout.encode(message), place)
        expect(back.by).toBe('ours')
        expect({ ...back.message }).toStrictEqual({ ...message })
      },
    ),
    { numRuns: 400 },
  )
})

test.each([
  ['payload', { ...theirs, payload: '{half' }],
  ['payload', { ...theirs, payload: '[1]' }],
  ['created', { ...theirs, created: 'now' }],
  ['type', { id: 'x', payload: '{}' }],
  ['id', { ...theirs, swarmbus: '{"by":"x","id":"no id"}' }],
  ['swarmbus.headers.__proto__', { ...theirs, swarmbus: '{"headers":{"__proto__":"1"}}' }],
])('an entry that is no message is refused by the field %s: %j', (field, fields) => {
  expect(() => layout.decode(fields, place)).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED', details: { field } }),
  )
})

test('[C12] streams and groups have the names of Cortex, and each can be another', () => {
  const names = cortexNames()
  expect(names.levels).toEqual({
    critical: 'cortex:tasks:critical',
    high: 'cortex:tasks:high',
    normal: 'cortex:tasks:normal',
    low: 'cortex:tasks:low',
    background: 'cortex:priority:heartbeat',
  })
  expect([names.pool('coding'), names.heartbeats, names.dead, names.messages('pink')]).toEqual([
    'cortex:tasks:coding',
    'cortex:heartbeats',
    'cortex:tasks:dlq',
    'cortex:messages:pink',
  ])
  expect([names.events(), names.events('2026-02-06'), names.events('pink')]).toEqual([
    'cortex:events:global',
    'cortex:events:2026-02-06',
    'cortex:events:pink',
  ])
  expect(names.groups).toEqual({ agents: 'agents', workers: 'workers', coding: 'coding-agents' })
  const other = cortexNames({
    prefix: 'x',
    levels: { low: 'later' },
    dead: 'grave',
    messages: 'm',
    groups: { agents: 'g' },
  })
  expect([other.levels.low, other.levels.high, other.dead, other.messages('a'), other.groups.agents]).toEqual([
    'x:later',
    'x:tasks:high',
    'x:grave',
    'x:m:a',
    'g',
  ])
  expect(() => cortexNames({ levels: { lowest: 'x' } as object })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
})

test.each([
  ['tasks.coding', undefined, 'cortex:tasks:high'],
  ['agent.pink', 'pink', 'cortex:messages:pink'],
  ['task.done', undefined, 'cortex:events:global'],
  ['heartbeats', undefined, 'cortex:heartbeats'],
])('[C12] a message on %s to %s lies in %s', (topic, to, stream) => {
  const message = maker.make(topic, {}, { priority: 'high', ...(to === undefined ? {} : { to }) })
  expect(streamOf(message, cortexNames())).toBe(stream)
})
