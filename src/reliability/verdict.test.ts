import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { FailureReason } from '../bus/ack.ts'
import { BusError, ERRORS, type ErrorCode, isBusError } from '../kit/errors.ts'
import {
  countsAsAttempt,
  ERROR_VERDICTS,
  isFailedResult,
  leftMsOf,
  notRetryable,
  REASON_VERDICTS,
  retryable,
  type Verdict,
  verdict,
} from './verdict.ts'

const CODES = Object.keys(ERRORS) as ErrorCode[]

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const both = (error: unknown, reason?: FailureReason): [kept: Verdict, call: Verdict] => [
  verdict(error, reason),
  verdict(error, reason, { mode: 'call' }),
]

test('every error code has a verdict with its reason, and no other has', () => {
  expect(Object.keys(ERROR_VERDICTS).sort()).toEqual([...CODES].sort())
  for (const code of CODES) {
    expect(['retry', 'dead-letter', 'drop']).toContain(ERROR_VERDICTS[code].kept)
    expect(['retry', 'drop']).toContain(ERROR_VERDICTS[code].call)
    expect(ERROR_VERDICTS[code].why.length).toBeGreaterThan(5)
  }
})

test('every reason for which a delivery fails has a verdict', () => {
  const source = readFileSync(new URL('../bus/ack.ts', import.meta.url), 'utf8')
  const declared = /type FailureReason =([\s\S]*?)\n\n/.exec(source)?.[1] ?? ''
  const reasons = [...declared.matchAll(/'([a-z-]+)'/g)].map((match) => match[1])
  expect(reasons.length).toBeGreaterThan(5)
  expect(Object.keys(REASON_VERDICTS).sort()).toEqual(reasons.sort())
})

test('no error drops a kept message', () => {
  expect(CODES.filter((code) => verdict(new BusError(code, 'x'), 'handler-error') === 'drop')).toEqual([])
})

test('a caller that waits is never told by a dead letter', () => {
  const asCall = (code: ErrorCode): Verdict => verdict(new BusError(code, 'x'), 'handler-error', { mode: 'call' })
  expect(CODES.filter((code) => asCall(code) === 'dead-letter')).toEqual([])
})

test('[L36] a thrown error is retried, whatever was thrown', () => {
  for (const thrown of [new Error('x'), new TypeError('x'), 'text', undefined, null, 7, {}, revoked()]) {
    expect(both(thrown, 'handler-error')).toEqual(['retry', 'retry'])
    expect(both(thrown)).toEqual(['retry', 'retry'])
  }
})

test('[L36] a result with success = false is a failure, and nothing else is', () => {
  expect(isFailedResult({ success: false })).toBe(true)
  for (const result of [undefined, null, false, { success: true }, { success: 0 }, {}, 'no', revoked()]) {
    expect(isFailedResult(result)).toBe(false)
  }
  expect(verdict({ success: false }, 'handler-error')).toBe('retry')
})

test.each([
  'INVALID_OPTION',
  'INVALID_TOPIC',
  'INVALID_MESSAGE',
  'INVALID_PAYLOAD',
  'SCHEMA_MISMATCH',
  'PAYLOAD_TOO_LARGE',
  'HOP_LIMIT',
  'DECODE_FAILED',
  'CANCELLED',
  'MESSAGE_EXPIRED',
] as const)('[L36] %s is not retried', (code) => {
  expect(both(new BusError(code, 'x'), 'handler-error')).toEqual(['dead-letter', 'drop'])
})

test.each(['NO_RESPONDERS', 'UNKNOWN_AGENT'] as const)(
  '[LN10] a call without a handler (%s) is neither retried nor dead-lettered',
  (code) => {
    expect(verdict(new BusError(code, 'x'), undefined, { mode: 'call' })).toBe('drop')
  },
)

test('a kept message whose handler asked an absent agent is tried again, because agents restart', () => {
  expect(verdict(new BusError('NO_RESPONDERS', 'x'), 'handler-error')).toBe('retry')
})

test('[L36] [I19] an open circuit is told to a caller at once, and makes a kept message wait instead of dropping it', () => {
  expect(both(new BusError('CIRCUIT_OPEN', 'x'), 'handler-error')).toEqual(['retry', 'drop'])
})

test.each(['RATE_LIMITED', 'BULKHEAD_FULL', 'HANDLER_TIMEOUT', 'REQUEST_TIMEOUT', 'QUEUE_FULL', 'STORE_FULL'] as const)(
  '%s is a passing state: retried',
  (code) => {
    expect(both(new BusError(code, 'x'), 'handler-error')).toEqual(['retry', 'retry'])
  },
)

const reasons: readonly [reason: FailureReason, kept: Verdict, call: Verdict, counts: boolean][] = [
  ['handler-error', 'retry', 'retry', true],
  ['handler-timeout', 'retry', 'retry', true],
  ['nacked', 'retry', 'retry', true],
  ['expired', 'dead-letter', 'drop', true],
  ['queue-full', 'dead-letter', 'drop', true],
  ['unregistered', 'retry', 'drop', false],
  ['cancelled', 'drop', 'drop', true],
  ['shutdown', 'retry', 'drop', false],
]

test.each(reasons)('a delivery that ended with "%s": kept %s, call %s, counts %s', (reason, kept, call, counts) => {
  expect(both(new Error('x'), reason)).toEqual([kept, call])
  expect(countsAsAttempt(new Error('x'), reason)).toBe(counts)
})

test('[W3] an expired message is dead-lettered whatever the error says', () => {
  expect(verdict(retryable('x'), 'expired', { when: () => true })).toBe('dead-letter')
})

test('a message that the handler gave back is tried again, whatever the predicate says', () => {
  expect(verdict(new Error('x'), 'nacked', { when: () => false })).toBe('retry')
})

test('an error that marks itself wins over the table', () => {
  expect(verdict(notRetryable('card refused'), 'handler-error')).toBe('dead-letter')
  expect(verdict(notRetryable('card refused'), 'handler-error', { mode: 'call' })).toBe('drop')
  expect(verdict(notRetryable('slow'), 'handler-timeout')).toBe('dead-letter')
  expect(both(retryable(new BusError('SCHEMA_MISMATCH', 'x')), 'handler-error')).toEqual(['retry', 'retry'])
  expect(verdict({ retryable: false }, 'handler-error')).toBe('dead-letter')
  expect(verdict({ retryable: 'no' }, 'handler-error')).toBe('retry')
})

test('a marked error stays itself; anything else becomes a cause', () => {
  const error = new BusError('QUEUE_FULL', 'x')
  expect(notRetryable(error)).toBe(error)
  expect(isBusError(error, 'QUEUE_FULL')).toBe(true)
  const frozen = Object.freeze(new Error('frozen'))
  const poison = revoked()
  for (const thrown of ['text', undefined, frozen, poison]) {
    const marked = notRetryable(thrown)
    expect(marked).toBeInstanceOf(Error)
    expect(marked.retryable).toBe(false)
    expect(Object.is(marked.cause, thrown)).toBe(true)
  }
  expect(retryable(notRetryable(error)).retryable).toBe(true)
})

test('[L36] a predicate wins over marks and tables, where it has an opinion', () => {
  const schema = new BusError('SCHEMA_MISMATCH', 'x')
  expect(verdict(schema, 'handler-error', { when: () => true })).toBe('retry')
  expect(verdict(new Error('x'), 'handler-error', { when: () => false })).toBe('dead-letter')
  expect(verdict(notRetryable('x'), 'handler-error', { when: () => true })).toBe('retry')
  expect(verdict(schema, 'handler-error', { when: () => undefined })).toBe('dead-letter')
  const broken = (): boolean => {
    throw new Error('predicate')
  }
  expect(verdict(schema, 'handler-error', { when: broken })).toBe('dead-letter')
})

test('a predicate cannot dead-letter what a shutdown gave back', () => {
  expect(verdict(new Error('x'), 'shutdown', { when: () => false })).toBe('retry')
})

test('a call that a middleware refused before the handler began takes no attempt', () => {
  const refused = new BusError('CIRCUIT_OPEN', 'x', { details: { started: false, leftMs: 30 } })
  expect(countsAsAttempt(refused, 'handler-error')).toBe(false)
  expect(countsAsAttempt(new BusError('CIRCUIT_OPEN', 'x'), 'handler-error')).toBe(true)
  expect(countsAsAttempt(new BusError('NOT_RUNNING', 'x'), 'handler-error')).toBe(false)
  expect(countsAsAttempt(revoked(), 'handler-error')).toBe(true)
  expect(leftMsOf(refused)).toBe(30)
  for (const other of [undefined, new Error('x'), new BusError('CIRCUIT_OPEN', 'x', { details: { leftMs: 'soon' } })]) {
    expect(leftMsOf(other)).toBe(0)
  }
})
