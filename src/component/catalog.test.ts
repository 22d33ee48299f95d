import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isBusError } from '../kit/errors.ts'
import { createCatalog } from './catalog.ts'
import type { KindDefinition } from './kind.ts'
import { nearest } from './nearest.ts'
import { inOrder, referencesIn, startOrder } from './order.ts'
import { Reference } from './spec.ts'

const kind = (name: string, also?: readonly string[]): KindDefinition => ({
  kind: name,
  role: 'other',
  summary: name,
  keys: {},
  ...(also === undefined ? {} : { also }),
})

function codeOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return isBusError(error) ? error.code : error
  }
  return undefined
}

test('[W68] kinds are found by their names and other spellings; users add theirs; a wrong one gets the nearest name', () => {
  const catalog = createCatalog([kind('llm openai', ['openai']), kind('agent llm', ['decomposer llm'])])
  catalog.add(kind('custom tool'))
  expect(catalog.list().map((one) => one.kind)).toEqual(['llm openai', 'agent llm', 'custom tool'])
  expect([catalog.find('openai')?.kind, catalog.find('nothing')]).toEqual(['llm openai', undefined])
  expect([catalog.nearest('opnai'), catalog.nearest('costum tool'), catalog.nearest('zzzzzz')]).toEqual([
    'openai',
    'custom tool',
    undefined,
  ])
  expect(codeOf(() => catalog.get('opnai'))).toBe('CONFIG_INVALID')
  expect(codeOf(() => catalog.add(kind('decomposer llm')))).toBe('INVALID_OPTION')
  for (const wrong of ['', 'three words here', 'bad!', '1x'])
    expect(codeOf(() => catalog.add(kind(wrong)))).toBe('INVALID_OPTION')
})

test('the nearest name is the one itself, whatever the case, and a single slip is found', () => {
  const names = ['command_line', 'functions', 'short_term', 'scripted']
  for (const name of names) {
    expect(nearest(name.toUpperCase(), names)).toBe(name)
    fc.assert(
      fc.property(fc.nat(name.length - 1), (at) => {
        expect(nearest(name.slice(0, at) + name.slice(at + 1), names)).toBe(name)
        expect(nearest(`${name.slice(0, at)}x${name.slice(at)}`, names)).toBe(name)
      }),
    )
  }
  expect(nearest('', names)).toBeUndefined()
})

test('references are found at any depth, and texts where the kind says that they are names', () => {
  const settings = {
    model: new Reference('m'),
    tools: [new Reference('a'), 'b', { deep: [new Reference('c')] }],
    text: 'not a name',
    other: null,
  }
  expect(referencesIn(settings)).toEqual(['m', 'a', 'c'])
  const keys = { tools: { type: 'references', summary: '' } } as const
  expect(referencesIn(settings, keys)).toEqual(['m', 'a', 'b', 'c'])
})

test('everything comes behind what it names, whatever the routes; targets come first where there is no cycle', () => {
  const size = 7
  const pair = fc.tuple(fc.nat(size - 1), fc.nat(size - 1))
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 10 }), fc.array(pair, { maxLength: 10 }), (needs, routes) => {
      const all = Array.from({ length: size }, (_, index) => ({
        name: `n${index}`,
        // Only earlier ones are named: no circle.
        references: needs.filter(([from, to]) => from === index && to < from).map(([, to]) => `n${to}`),
      }))
      const targetsOf = (name: string): readonly string[] =>
        routes.filter(([from, to]) => `n${from}` === name && to > from).map(([, to]) => `n${to}`)
      for (const order of [inOrder(all), startOrder(all, targetsOf)]) {
        expect(order.map((one) => one.name).toSorted()).toEqual(all.map((one) => one.name))
        for (const [index, one] of order.entries()) {
          const before = new Set(order.slice(0, index).map((other) => other.name))
          expect(one.references.every((name) => before.has(name))).toBe(true)
        }
      }
      const free = all.map(({ name }) => ({ name, references: [] }))
      const order = startOrder(free, targetsOf)
      for (const [index, one] of order.entries()) {
        const before = new Set(order.slice(0, index).map((other) => other.name))
        expect(targetsOf(one.name).every((name) => before.has(name))).toBe(true)
      }
    }),
  )
})

test('a circle of names is refused with its way, and a chain of ten thousand is no matter', () => {
  const circle = [
    { name: 'a', references: ['b'] },
    { name: 'b', references: ['c'] },
    { name: 'c', references: ['b'] },
  ]
  expect(() => inOrder(circle)).toThrow('b → c → b')
  const chain = Array.from({ length: 10_000 }, (_, index) => ({ name: `n${index}`, references: [] }))
  const next = (name: string): readonly string[] => [`n${Number(name.slice(1)) + 1}`]
  expect(startOrder(chain, next)[0]?.name).toBe('n9999')
})
