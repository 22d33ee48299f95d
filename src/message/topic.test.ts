import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isBusError } from '../kit/errors.ts'
import {
  isWildcard,
  MAX_TOPIC_LENGTH,
  MAX_TOPIC_TOKENS,
  matchesTokens,
  matchesTopic,
  parsePattern,
  parseTopic,
} from './topic.ts'

const token = fc.constantFrom('a', 'b', 'c', 'a*', '*b', '>>', 'x>y', '**', 'é', 'toString', '__proto__')
const topics = fc.array(token, { minLength: 1, maxLength: 5 })
const patterns = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 0, maxLength: 5 }), fc.boolean())
  .map(([tokens, all]) => (all || tokens.length === 0 ? [...tokens, '>'] : tokens))

/** The plainest reading of the grammar: the pattern as a regular expression over tokens that have no dot. */
function naive(pattern: readonly string[], topic: readonly string[]): boolean {
  const parts = pattern.map((part, index) => {
    if (part === '*') return '[^.]+'
    if (part === '>' && index === pattern.length - 1) return '.+'
    return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('\\.')}$`, 'u').test(topic.join('.'))
}

test('matching is what the plainest reading of the grammar says, wildcards inside longer tokens being literal', () => {
  fc.assert(
    fc.property(patterns, topics, (pattern, topic) => {
      expect(matchesTokens(pattern, topic)).toBe(naive(pattern, topic))
    }),
    { numRuns: 3_000 },
  )
})

test.each([
  ['a.*', 'a.b', true],
  ['a.*', 'a', false],
  ['a.*', 'a.b.c', false],
  ['a.>', 'a', false],
  ['a.>', 'a.b.c.d', true],
  ['>', 'a', true],
  ['*', 'a.b', false],
  ['*.*', 'a.b', true],
  ['a.b*', 'a.bc', false],
  ['a.b*', 'a.b*', true],
  ['a.x>y', 'a.x>y', true],
])('the pattern %s and the topic %s: %s', (pattern, topic, fits) => {
  expect(matchesTopic(pattern, topic)).toBe(fits)
})

/** The error of a call that must throw one. */
function fault(run: () => unknown): { message: string; details: Readonly<Record<string, unknown>> } {
  try {
    run()
  } catch (error) {
    if (isBusError(error, 'INVALID_TOPIC')) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

test.each([
  ['a..b', 1, '', 'token 2 is empty'],
  ['.a', 0, '', 'token 1 is empty'],
  ['a.', 1, '', 'token 2 is empty'],
  ['a.b c', 1, 'b c', 'token 2 "b c" has white space'],
  ['a.\u0000', 1, '\u0000', 'token 2 "\\u0000" has white space'],
  ['a.b\n', 1, 'b\n', 'token 2 "b\\n"'],
  ['a.\u00a0', 1, '\u00a0', 'white space'],
  ['a.*', 1, '*', 'token 2 "*" is a wildcard'],
  ['>.a', 0, '>', 'token 1 ">" is a wildcard'],
])('the refusal of the topic %j names token %i', (topic, index, token, text) => {
  const { message, details } = fault(() => parseTopic(topic))
  expect(message).toContain(text)
  expect(details).toMatchObject({ token, index })
})

test('in a pattern only a last > is a wildcard', () => {
  expect(parsePattern('*.a.>')).toEqual(['*', 'a', '>'])
  expect(fault(() => parsePattern('a.>.b'))).toMatchObject({ details: { token: '>', index: 1 } })
  expect([isWildcard(['a', '*']), isWildcard(['>']), isWildcard(['a', 'b*']), isWildcard(['a'])]).toEqual([
    true,
    true,
    false,
    false,
  ])
})

test('the limits hold to the character and the token', () => {
  expect(parseTopic('x'.repeat(MAX_TOPIC_LENGTH))).toHaveLength(1)
  expect(fault(() => parseTopic('x'.repeat(MAX_TOPIC_LENGTH + 1))).details).toMatchObject({
    length: MAX_TOPIC_LENGTH + 1,
  })
  const tokens = Array.from({ length: MAX_TOPIC_TOKENS }, () => 'a')
  expect(parseTopic(tokens.join('.'))).toEqual(tokens)
  expect(fault(() => parseTopic([...tokens, 'a'].join('.'))).details).toMatchObject({ tokens: MAX_TOPIC_TOKENS + 1 })
})

test('an error text never carries a whole long topic', () => {
  expect(fault(() => parseTopic('y'.repeat(100_000))).message.length).toBeLessThan(300)
})

test('what is no text is refused as such', () => {
  for (const wrong of [undefined, null, 5, {}, ['a']]) {
    expect(fault(() => parseTopic(wrong as string)).message).toContain('must be a text')
  }
  expect(fault(() => parsePattern('')).message).toContain('is empty')
})

test('whatever parses consists of tokens that join to it again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
      let tokens: readonly string[]
      try {
        tokens = parsePattern(text)
      } catch (error) {
        expect(isBusError(error, 'INVALID_TOPIC')).toBe(true)
        return
      }
      expect(tokens.join('.')).toBe(text)
      expect(tokens.every((one) => one !== '' && !/\s/.test(one))).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})
