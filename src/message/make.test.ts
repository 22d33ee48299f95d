import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import { createReply, messageMaker } from './make.ts'
import { Envelope, pathOf } from './message.ts'

const env = fakeEnv()
const maker = messageMaker(env)

test('a made message is frozen, dated and its own; its maker keeps no tie to the data', () => {
  const data = { list: [1] }
  const message = maker.make('t', data, { ttlMs: 500, from: 'pink' })
  data.list.push(2)
  expect(message.data).toEqual({ list: [1] })
  expect(Object.isFrozen(message.data.list)).toBe(true)
  expect([message.time, message.expiresAt, message.rootId]).toEqual([env.wallMs(), env.wallMs() + 500, message.id])
  expect(maker.make('t', 1).id > message.id).toBe(true)
})

test.each([
  ['topic', 'a.*', {}],
  ['from', 't', { from: '' }],
  ['headers.a', 't', { headers: { a: 1 } }],
  ['priority', 't', { priority: 'urgent' }],
  ['expiresAt', 't', { ttlMs: Number.NaN }],
])('a wrong %s is refused with its name', (field, topic, options) => {
  expect(() => maker.make(topic, 1, options as object)).toThrow(
    expect.objectContaining({ code: 'INVALID_MESSAGE', details: expect.objectContaining({ field }) }),
  )
  expect(() => maker.make('t', { run: () => 0 })).toThrow(expect.objectContaining({ code: 'INVALID_PAYLOAD' }))
})

test('[V16] an answer has level, correlation and headers of its request, goes to its sender and is caused by it', () => {
  const headers = { tenant: 'a' }
  const request = maker.make('agent.red', 'q', {
    from: 'pink',
    to: 'red',
    priority: 'critical',
    session: 's',
    correlationId: 'c',
    headers,
  })
  const reply = createReply(request, { ok: true }, 'red', maker)
  expect(reply).toMatchObject({
    topic: 'agent.pink',
    to: 'pink',
    from: 'red',
    priority: 'critical',
    session: 's',
    correlationId: 'c',
    causationId: request.id,
    rootId: request.rootId,
    hops: 1,
    data: { ok: true },
  })
  expect({ ...reply.headers }).toEqual(headers)
  expect(reply.headers).not.toBe(request.headers)
  expect(reply.id).not.toBe(request.id)
  expect(pathOf(reply)).toEqual(['agent.red', 'agent.pink'])
})

test('an answer goes to the reply topic where there is one; correlation begins with the request', () => {
  const request = maker.make('t', 'q', { replyTo: '_inbox.1', from: 'pink' })
  expect(createReply(request, 1)).toMatchObject({
    topic: '_inbox.1',
    to: 'pink',
    from: undefined,
    correlationId: request.id,
  })
})

test('[V17] along a chain of answers the correlation stays the same, and headers are copies', () => {
  const first = maker.make('agent.b', 1, { from: 'a', correlationId: 'chain', headers: { h: '1' } })
  const second = createReply(first, 2, 'b', maker)
  const third = createReply(second, 3, 'a', maker, { more: 'x' })
  expect([second.correlationId, third.correlationId, third.hops, third.to]).toEqual(['chain', 'chain', 2, 'b'])
  expect({ ...third.headers }).toEqual({ h: '1', more: 'x' })
  expect({ ...first.headers }).toEqual({ h: '1' })
})

test('a request that nobody could get an answer of is refused', () => {
  expect(() => createReply(maker.make('t', 1), 2)).toThrow(
    expect.objectContaining({ code: 'INVALID_MESSAGE', details: expect.objectContaining({ field: 'replyTo' }) }),
  )
})

test('a time to live counts on the monotonic clock', () => {
  const message = maker.make('t', 1, { ttlMs: 250 })
  expect(Envelope.deadlineMs(message as Envelope)).toBeCloseTo(env.monotonicMs() + 250, 0)
})
