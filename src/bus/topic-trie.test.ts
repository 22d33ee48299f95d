import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TopicTrie } from './topic-trie.ts'

const token = fc.constantFrom('a', 'b', 'c', 'a*', '>>', 'x>y', '**', 'toString', '__proto__', 'constructor')
const topic = fc.array(token, { minLength: 1, maxLength: 5 })
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 5 }), fc.boolean())
  .map(([tokens, all]) => (all || tokens.length === 0 ? [...tokens, '>'] : tokens))

/** The plainest matcher: a regular expression over the text. */
function naive(tokens: readonly string[], text: string): boolean {
  const parts = tokens.map((part, index) => {
    if (part === '*') return '[^.]+'
    if (part === '>' && index === tokens.length - 1) return '.+'
    return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('\\.')}$`).test(text)
}

test('matching finds what a naive matcher finds, wildcards inside longer tokens being literal', () => {
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 30 }),
      fc.array(topic, { minLength: 1, maxLength: 10 }),
      (patterns, topics) => {
        const trie = new TopicTrie<number>()
        for (const [value, tokens] of patterns.entries()) trie.add(tokens, value)
        for (const tokens of topics) {
          const wanted = [...patterns.keys()].filter((value) => naive(patterns[value]!, tokens.join('.')))
          expect(trie.match(tokens).toSorted((a, b) => a - b)).toEqual(wanted)
        }
      },
    ),
    { numRuns: 1_000 },
  )
})

test('adding and removing in any order leaves what is left, and no branch when nothing is', () => {
  const step = fc.record({ type: fc.constantFrom('add', 'add', 'remove'), pattern, value: fc.nat(3) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), topic, (steps, tokens) => {
      const trie = new TopicTrie<number>()
      const model = new Map<string, { readonly pattern: readonly string[]; readonly value: number }>()
      for (const { type, pattern: one, value } of steps) {
        const key = `${one.join('.')} ${value}`
        if (type === 'add') {
          trie.add(one, value)
          model.set(key, { pattern: one, value })
        } else expect(trie.remove(one, value)).toBe(model.delete(key))
        expect(trie.size).toBe(model.size)
      }
      const wanted = [...model.values()]
        .filter((entry) => naive(entry.pattern, tokens.join('.')))
        .map(({ value }) => value)
      expect(trie.match(tokens).toSorted()).toEqual(wanted.toSorted())
      for (const { pattern: one, value } of model.values()) expect(trie.remove(one, value)).toBe(true)
      expect([trie.size, trie.branches]).toEqual([0, 0])
    }),
    { numRuns: 500 },
  )
})

test('a value comes once for each of its patterns that fits, and is added once to each', () => {
  const trie = new TopicTrie<string>()
  for (const one of [
    ['a', '*'],
    ['a', '>'],
    ['a', 'b'],
    ['a', 'b'],
  ])
    trie.add(one, 'x')
  expect(trie.match(['a', 'b'])).toEqual(['x', 'x', 'x'])
  expect(trie.size).toBe(3)
})

test('removing what is not there changes nothing', () => {
  const trie = new TopicTrie<string>()
  trie.add(['a', 'b'], 'x')
  for (const one of [['a'], ['a', 'b', 'c'], ['a', '>'], ['*', 'b'], ['z']]) expect(trie.remove(one, 'x')).toBe(false)
  expect(trie.remove(['a', 'b'], 'y')).toBe(false)
  expect([trie.size, trie.branches]).toEqual([1, 2])
})

test('matching takes the time of the tokens, not of the patterns that do not fit', () => {
  const trie = new TopicTrie<number>()
  for (let value = 0; value < 50_000; value++) trie.add(['agent', `n${value}`], value)
  const startedMs = performance.now()
  for (let times = 0; times < 20_000; times++) expect(trie.match(['agent', `n${times}`])).toHaveLength(1)
  expect(performance.now() - startedMs).toBeLessThan(2_000)
})
