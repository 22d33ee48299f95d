import { expect, test } from 'vitest'
import type { MessageId } from './ids.ts'
import { Envelope, pathOf } from './message.ts'

const id = (digit: number): MessageId => `0190a000-0000-7000-8000-00000000000${digit}` as MessageId
const make = (digit: number, topic = `t.${digit}`): Envelope =>
  new Envelope(id(digit), topic, { digit }, 'normal', 1_000, 50.5)
const causeOf = (message: Envelope): Parameters<typeof Envelope.setCause>[1] => ({
  id: message.id,
  topic: message.topic,
  rootId: message.rootId,
  hops: message.hops,
  correlationId: message.correlationId,
  previous: Envelope.causeOf(message),
})

test('a new message is its own root, with no hops and no deadline', () => {
  const message = make(1)
  expect([message.rootId, message.hops, message.causationId]).toEqual([message.id, 0, undefined])
  expect(Envelope.deadlineMs(message)).toBe(Number.POSITIVE_INFINITY)
  expect(Envelope.publishedMs(message)).toBe(50.5)
})

test('what the bus notes beside a message neither shows nor travels', () => {
  const message = make(1)
  Envelope.setNote(message, { secret: true })
  Envelope.setAccount(message, { secret: true })
  Envelope.setCause(message, causeOf(make(2)))
  expect(JSON.stringify(message)).not.toContain('secret')
  expect(Object.keys(message).sort()).toEqual(
    [
      'causationId',
      'correlationId',
      'data',
      'expiresAt',
      'from',
      'headers',
      'hops',
      'id',
      'priority',
      'replyTo',
      'rootId',
      'session',
      'time',
      'to',
      'topic',
    ].sort(),
  )
})

test('the deadline on the monotonic clock and the expiry on the wall clock say the same', () => {
  const message = make(1)
  Envelope.setDeadline(message, 50.5 + 300)
  expect([Envelope.deadlineMs(message), message.expiresAt]).toEqual([350.5, 1_300])
})

test('a chain of causes keeps its root, counts its hops and knows its path', () => {
  const [first, second, third] = [make(1), make(2), make(3)]
  first.correlationId = 'c'
  Envelope.setCause(second, causeOf(first))
  Envelope.setCause(third, causeOf(second))
  expect([third.rootId, third.causationId, third.hops, third.correlationId]).toEqual([first.id, second.id, 2, 'c'])
  expect(pathOf(third)).toEqual(['t.1', 't.2', 't.3'])
  expect(pathOf(first)).toEqual(['t.1'])
})

test('a copy has data of its own and everything else of the original', () => {
  const message = make(1)
  message.session = 's'
  Envelope.setDeadline(message, 99)
  Envelope.setNote(message, { note: 1 })
  const copy = Envelope.ownCopy(message)
  expect(copy).toEqual(message)
  expect(copy.data).not.toBe(message.data)
  expect([Envelope.deadlineMs(copy), Envelope.noteOf(copy)]).toEqual([99, Envelope.noteOf(message)])
})
