import * as v from 'valibot'
import { expect, test } from 'vitest'
import { createPayloads } from '../../src/component/index.ts'
import { sink, swarmOf } from './support/components.ts'
import { faultIn, faultOf } from './support/woodwork.ts'

const BY = { component: 'brain', kind: 'agent llm', session: 's1', time: 1_000 }
const SHARED = { timestamp: 1_000, component_id: 'brain', component_type: 'agent llm' }

test('[W51] the typed payloads have their fields, their defaults, and who made them when', () => {
  const payloads = createPayloads()
  const made = (event: string, data: object): unknown => payloads.create(event, data, BY)
  expect(made('input.received', { input: 'hi', inputs: { a: 1 } })).toEqual({
    ...SHARED,
    input: 'hi',
    inputs: { a: 1 },
    session_id: 's1',
  })
  expect(made('agent.thought', { thought: 't' })).toEqual({ ...SHARED, thought: 't' })
  expect(made('agent.action', { action: 'a' })).toEqual({ ...SHARED, action: 'a' })
  expect(made('tool.call', { tool: 't', args: { n: 1 } })).toEqual({ ...SHARED, tool: 't', args: { n: 1 } })
  expect(made('tool.observation', { tool: 't', observation: [1] })).toEqual({ ...SHARED, tool: 't', observation: [1] })
  expect(made('agent.step_complete', { step: 0 })).toEqual({ ...SHARED, step: 0, session_id: 's1' })
  expect(made('agent.error', { error: 'e' })).toEqual({ ...SHARED, error: 'e', error_type: 'Unknown' })
  expect(made('agent.thought', { thought: 't', timestamp: 5, component_id: 'mine' })).toMatchObject({
    timestamp: 5,
    component_id: 'mine',
  })
})

test.each([
  ['agent.step_complete', { step: -1 }, 'step'],
  ['agent.step_complete', { step: 1.5 }, 'step'],
  ['agent.step_complete', {}, 'step'],
  ['agent.thought', { thought: 7 }, 'thought'],
  ['tool.call', { args: {} }, 'tool'],
  ['agent.error', { error: 'x', error_type: 5 }, 'error_type'],
  ['input.received', { input: 'x', inputs: [] }, 'inputs'],
  ['input.received', 'a text', '(root)'],
  ['tool.observation', null, '(root)'],
])('[W52] [WN25] %s refuses %j', async (event, data, path) => {
  const payloads = createPayloads()
  expect(faultIn(() => payloads.create(event, data, BY))).toMatchObject({ code: 'SCHEMA_MISMATCH', details: { path } })
  expect(payloads.validate(event, data).length).toBeGreaterThan(0)
  const heard: unknown[] = []
  await using r = await swarmOf([{ name: 'a', to: 'out', routes: [event] }, sink('out', heard)])
  const a = r.swarm.component('a')
  a.hook(event, () => void heard.push('hook'))
  expect((await faultOf(a.emit(event, data))).code).toBe('SCHEMA_MISMATCH')
  await r.swarm.idle()
  expect(heard).toEqual([])
})

test('[W52] types are registered, looked up, made, validated and shown; an unknown event keeps every key', () => {
  const payloads = createPayloads()
  const odd = { a: 1, nested: { b: [2] } }
  expect(payloads.create('something.else', odd, BY)).toBe(odd)
  expect(payloads.validate('something.else', odd)).toEqual([])
  expect(payloads.has('order.placed')).toBe(false)
  payloads.register('order.placed', {
    id: { type: 'text' },
    amount: { type: 'number', min: 0, max: 100 },
    state: { type: 'text', allowed: ['new', 'old'], default: 'new' },
    note: { type: 'text', required: false },
  })
  expect(payloads.create('order.placed', { id: 'o1', amount: 3, extra: true }, BY)).toEqual({
    ...SHARED,
    id: 'o1',
    amount: 3,
    state: 'new',
    extra: true,
  })
  expect(payloads.validate('order.placed', { amount: 101, state: 'gone' })).toEqual([
    { path: ['id'], message: 'expected a text, found nothing' },
    { path: ['amount'], message: 'expected at most 100, found 101' },
    { path: ['state'], message: 'expected one of new, old' },
  ])
  expect(payloads.schema('order.placed')).toMatchObject({
    type: 'object',
    required: ['id', 'amount'],
    properties: { amount: { type: 'number', minimum: 0, maximum: 100 }, state: { enum: ['new', 'old'] } },
  })
  expect(payloads.events()).toContain('order.placed')
  expect([payloads.unregister('order.placed'), payloads.unregister('order.placed')]).toEqual([true, false])
  expect(faultIn(() => payloads.register('x', 5 as never)).code).toBe('INVALID_OPTION')
})

test('[W52] any Standard Schema is a type, and its result is what goes on', async () => {
  const heard: unknown[] = []
  await using r = await swarmOf([{ name: 'a', to: 'out', routes: ['order'] }, sink('out', heard)])
  r.swarm.payloads.register('order', v.object({ n: v.pipe(v.string(), v.transform(Number)) }))
  const a = r.swarm.component('a')
  expect((await a.emit('order', { n: '5' })).payload).toEqual({ n: 5 })
  expect(await faultOf(a.emit('order', { n: 5 }))).toMatchObject({ code: 'SCHEMA_MISMATCH', details: { path: 'n' } })
  await r.swarm.idle()
  expect(heard).toEqual([{ n: 5 }])
  expect(r.swarm.payloads.schema('order')).toBeUndefined()
  r.swarm.payloads.register('later', v.objectAsync({ n: v.string() }))
  expect((await faultOf(a.emit('later', { n: 'x' }))).code).toBe('INVALID_OPTION')
})

test('[W53] the further events are known', () => {
  const known = createPayloads().events()
  const further = ['agent.response', 'component.response', 'component.heartbeat', 'tool.execute', 'tool.result']
  const more = ['tool.error', 'session.connected', 'stream.created', 'stream.chunk', 'stream.completed']
  for (const event of [...further, ...more, 'stream.failed', 'stream.chunk_missing']) expect(known).toContain(event)
  const payloads = createPayloads()
  expect(payloads.validate('stream.chunk', { stream_id: 's', chunk_index: -1, data: 1 })).toHaveLength(1)
  expect(payloads.validate('session.connected', {})).toHaveLength(1)
})
