import fc from 'fast-check'
import { expect, test } from 'vitest'
import { subjectOf, textOf, tokenOf, topicOf } from './subject.ts'

test('any text comes back from its token, which NATS takes, and no two have the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ minLength: 1 }), (one, two) => {
      expect(tokenOf(one)).toMatch(/^[!-)+-\-/-=?-~]+$/)
      expect(textOf(tokenOf(one))).toBe(one)
      expect(tokenOf(one) === tokenOf(two)).toBe(one === two)
    }),
  )
  expect(textOf(tokenOf('\ud800'))).toBe('\ud800')
})

test('wildcards stay, stars and arrows inside a token do not', () => {
  expect(subjectOf(['a', '*', 'b*', '>'])).toBe('a.*.b%002a.>')
  expect(topicOf(subjectOf(['a', 'b*', 'é', '100%']))).toBe('a.b*.é.100%')
})
