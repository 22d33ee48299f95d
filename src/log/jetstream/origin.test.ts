import { expect, test } from 'vitest'
import { originOf } from './origin.ts'

test('the origin of a record is read from what servers of all versions write', () => {
  const origin = { seq: 4_711, count: 42, pending: 7, at: 1_700_000_000_123 }
  expect(originOf('$JS.ACK.swarmbus_log_c.x1.1.4711.42.1700000000123456789.7')).toEqual(origin)
  expect(originOf('$JS.ACK._.hash.swarmbus_log_c.x1.1.4711.42.1700000000123456789.7')).toEqual(origin)
  expect(originOf('$JS.ACK._.hash.swarmbus_log_c.x1.1.4711.42.1700000000123456789.7.end')).toEqual(origin)
})

test('a word of the server about its work has no origin', () => {
  expect(originOf(undefined)).toBeUndefined()
  expect(originOf('')).toBeUndefined()
  expect(originOf('$JS.FC.swarmbus_log_c.x1.abc')).toBeUndefined()
})
