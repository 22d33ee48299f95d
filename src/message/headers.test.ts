import { expect, test } from 'vitest'
import { freezeHeaders, type Headers, MAX_HEADER_BYTES, NO_HEADERS } from './headers.ts'

test('headers are a frozen copy without a prototype', () => {
  const given: Record<string, string> = { tenant: 'a' }
  const headers = freezeHeaders(given)
  given.tenant = 'b'
  expect(headers.tenant).toBe('a')
  expect(Object.isFrozen(headers)).toBe(true)
  expect(Object.getPrototypeOf(headers)).toBe(null)
  expect(headers.toString).toBeUndefined()
})

test('no headers are always the same empty ones', () => {
  expect(freezeHeaders(NO_HEADERS)).toBe(NO_HEADERS)
  expect(Object.keys(freezeHeaders({}))).toEqual([])
})

test.each([['__proto__'], ['constructor'], ['prototype']])('the name %s is refused', (name) => {
  const given = JSON.parse(`{"${name}": "x"}`) as Headers
  expect(() => freezeHeaders(given)).toThrow(
    expect.objectContaining({ code: 'INVALID_MESSAGE', details: { field: `headers.${name}`, allowed: 'a text' } }),
  )
})

test.each([[5], [null], [{}], [undefined]])('the value %j is refused, naming the header', (value) => {
  expect(() => freezeHeaders({ good: 'x', bad: value as unknown as string })).toThrow(
    expect.objectContaining({ code: 'INVALID_MESSAGE', details: { field: 'headers.bad', allowed: 'a text' } }),
  )
})

test.each([[null], ['text'], [['list']], [5]])('%j is no headers', (given) => {
  expect(() => freezeHeaders(given as unknown as Headers)).toThrow(expect.objectContaining({ code: 'INVALID_MESSAGE' }))
})

test('16 KiB of names and values are taken, one byte more is not', () => {
  expect(Object.keys(freezeHeaders({ ab: 'x'.repeat(MAX_HEADER_BYTES - 2) }))).toEqual(['ab'])
  expect(() => freezeHeaders({ ab: 'x'.repeat(MAX_HEADER_BYTES - 1) })).toThrow(
    expect.objectContaining({
      code: 'INVALID_MESSAGE',
      details: { field: 'headers', bytes: MAX_HEADER_BYTES + 1, allowed: MAX_HEADER_BYTES },
    }),
  )
})

test('the limit counts bytes, not characters', () => {
  expect(() => freezeHeaders({ a: '€'.repeat(MAX_HEADER_BYTES / 2) })).toThrow(
    expect.objectContaining({ code: 'INVALID_MESSAGE' }),
  )
})
