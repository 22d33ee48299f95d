import { expect, test } from 'vitest'
import {
  aFlag,
  aFunction,
  anObject,
  aText,
  checkOption,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  share,
  shown,
  texts,
  whole,
  wholeOrInfinity,
} from './check.ts'
import { isBusError } from './errors.ts'

const odd = [undefined, null, '', Number.NaN, {}, [], () => 0, '1', Number.POSITIVE_INFINITY]

const table: readonly [name: string, rule: Rule, good: readonly unknown[], bad: readonly unknown[]][] = [
  ['whole(1, 10)', whole(1, 10), [1, 10, 5], [0, 11, 1.5, -1, 5n, ...odd]],
  ['whole(0)', whole(0), [0, Number.MAX_SAFE_INTEGER], [-1, 2 ** 53, ...odd]],
  [
    'wholeOrInfinity(1)',
    wholeOrInfinity(1),
    [1, Number.POSITIVE_INFINITY],
    [0, Number.NEGATIVE_INFINITY, 1.5, Number.NaN, '1'],
  ],
  ['milliseconds(1)', milliseconds(1), [1, 1.5, 1e12], [0.99, -1, ...odd]],
  ['share()', share(), [0.1, 1, Number.MIN_VALUE], [0, 1.01, -1, ...odd]],
  ['share(0.5)', share(0.5), [0.51, 1], [0.5, 0]],
  ['oneOf', oneOf(['a', 'b']), ['a', 'b'], ['c', 'toString', 0, ...odd]],
  ['aFlag', aFlag, [true, false], [0, 1, 'true', null]],
  ['aFunction', aFunction, [() => 0, class {}], [{}, null, 'f']],
  ['aText', aText, ['a', ' '], ['', 0, null, [], new String('a')]],
  ['anObject', anObject, [{}, [], new Map()], [null, undefined, 'a', () => 0]],
  ['texts', texts, [[], ['a']], [[''], ['a', 1], 'a', null]],
]

test.each(table)('the rule %s accepts what it says and nothing else', (_name, rule, good, bad) => {
  expect(good.filter((value) => !rule.ok(value))).toEqual([])
  expect(bad.filter((value) => rule.ok(value))).toEqual([])
})

/** What the call threw. */
function thrown(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

test('[V8] a refused option names owner, field, value and allowed range', () => {
  const error = thrown(() => checkOption('createBus', 'maxHops', 0, whole(1, 1_000)))
  if (!isBusError(error, 'INVALID_OPTION')) throw error
  expect(error.message).toBe('createBus: "maxHops" is 0; allowed: a whole number from 1 to 1000')
  expect(error.details).toEqual({
    owner: 'createBus',
    field: 'maxHops',
    value: '0',
    allowed: 'a whole number from 1 to 1000',
  })
  expect(error.family).toBe('configuration')
})

test('an unknown option is refused with the names that exist, inherited names included', () => {
  const rules = { limit: whole(1), name: aText }
  const error = thrown(() => checkOptions('queue', { limitt: 1 }, rules))
  expect(error).toMatchObject({
    code: 'INVALID_OPTION',
    details: { owner: 'queue', field: 'limitt', allowed: 'limit, name' },
  })
  expect(thrown(() => checkOptions('queue', { toString: 1 }, rules))).toMatchObject({ details: { field: 'toString' } })
  expect(thrown(() => checkOptions('queue', Object.create({ limitt: 1 }) as object, rules))).toMatchObject({
    code: 'INVALID_OPTION',
  })
})

test('undefined counts as not given; what is no object is refused', () => {
  const rules = { limit: whole(1) }
  expect(thrown(() => checkOptions('queue', { limit: undefined }, rules))).toBeUndefined()
  for (const wrong of [null, 5, 'x', undefined]) {
    expect(thrown(() => checkOptions('queue', wrong as unknown as object, rules))).toMatchObject({
      details: { field: 'options' },
    })
  }
})

test('values are shown short and safely', () => {
  expect(shown('x'.repeat(200))).toBe(`"${'x'.repeat(57)}…"`)
  expect([
    shown([]),
    shown({}),
    shown(() => 0),
    shown(1n),
    shown(Symbol('s')),
    shown(null),
    shown(undefined),
    shown(Number.NaN),
  ]).toEqual(['a list', 'an object', 'a function', 'a bigint', 'a symbol', 'null', 'undefined', 'NaN'])
  const { proxy, revoke } = Proxy.revocable({}, {})
  expect(
    shown(
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('looked at')
          },
        },
      ),
    ),
  ).toBe('an object')
  revoke()
  expect(shown(proxy)).toBe('an object')
})
