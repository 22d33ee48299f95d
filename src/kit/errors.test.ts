import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BusError, describeThrown, ERRORS, type ErrorCode, isBusError } from './errors.ts'

test('an error carries code, family, details, what to do next, and its cause', () => {
  const cause = new TypeError('inner')
  const error = new BusError('REQUEST_TIMEOUT', 'no answer', { cause, details: { topic: 't' } })
  expect(error).toBeInstanceOf(Error)
  expect([error.name, error.message, error.code, error.family, error.next]).toEqual([
    'BusError',
    'no answer',
    'REQUEST_TIMEOUT',
    'timeout',
    ERRORS.REQUEST_TIMEOUT.next,
  ])
  expect(error.cause).toBe(cause)
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    code: 'REQUEST_TIMEOUT',
    family: 'timeout',
    message: 'no answer',
    next: ERRORS.REQUEST_TIMEOUT.next,
    details: { topic: 't' },
  })
})

test('an error without a cause has no such property, one with the cause undefined has it', () => {
  expect('cause' in new BusError('CANCELLED', 'x')).toBe(false)
  expect('cause' in new BusError('CANCELLED', 'x', { cause: undefined })).toBe(true)
})

test('isBusError tells codes apart and other errors off', () => {
  const error: unknown = new BusError('CANCELLED', 'x')
  expect([
    isBusError(error),
    isBusError(error, 'CANCELLED'),
    isBusError(error, 'BUS_CLOSED'),
    isBusError(new Error('x')),
  ]).toEqual([true, true, false, false])
  expect(isBusError({ code: 'CANCELLED', name: 'BusError' })).toBe(false)
})

test('every code says what happened and what to do, in words that are not the code', () => {
  for (const [code, { text, next }] of Object.entries(ERRORS)) {
    expect(text.length, code).toBeGreaterThan(10)
    expect(next.length, code).toBeGreaterThan(10)
    expect(text).not.toBe(next)
    expect(new BusError(code as ErrorCode, 'x').family).toBe(ERRORS[code as ErrorCode].family)
  }
})

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const looped: Record<string, unknown> = {}
looped.self = looped

test.each([
  ['an error', new RangeError('far'), 'RangeError: far'],
  ['a text', 'plain', 'plain'],
  ['undefined', undefined, 'undefined'],
  ['null', null, 'null'],
  ['a number', 42, '42'],
  ['a symbol', Symbol('s'), 'Symbol(s)'],
  ['an object', { a: 1 }, '{"a":1}'],
  ['an object whose toJSON gives nothing', { toJSON: () => undefined }, 'an object'],
  ['a revoked Proxy', revoked(), 'something that cannot be shown'],
  ['a cycle', looped, 'something that cannot be shown'],
  [
    'a throwing getter',
    {
      get a() {
        throw new Error('no')
      },
    },
    'something that cannot be shown',
  ],
  [
    'an error with a throwing message',
    Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error('no')
      },
    }),
    'something that cannot be shown',
  ],
])('describeThrown shows %s', (_name, value, text) => {
  expect(describeThrown(value)).toBe(text)
})

test('describeThrown gives a text for anything', () => {
  fc.assert(
    fc.property(
      fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true }),
      (value) => {
        expect(typeof describeThrown(value)).toBe('string')
      },
    ),
  )
  expect(describeThrown(Object.create(null))).toBe('{}')
})

test('describeThrown gives a text for errors whose message or name is no text', () => {
  const error = Object.assign(new Error('x'), { message: Symbol('s') })
  expect(describeThrown(error)).toBe('something that cannot be shown')
  expect(describeThrown(() => 0)).toContain('=>')
})
