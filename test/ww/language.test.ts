import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DIAGNOSTICS } from '../../src/config/codes.ts'
import { parse } from '../../src/config/parser.ts'
import { renderDiagnostic } from '../../src/config/render.ts'
import { createSource } from '../../src/config/source.ts'
import { corpus } from './corpus.ts'
import { accepts, readGrammar } from './ebnf.ts'

const docs = readFileSync(new URL('../../docs/ww-language.md', import.meta.url), 'utf8')
const grammar = readGrammar(/```ebnf\n([\s\S]*?)```/.exec(docs)![1]!)
const BETWEEN = /(?:[\s\ufeff]|#[^\r\n]*)*/

/** What the page says is beyond the grammar. */
const BEYOND = new Set([
  'duplicate-key',
  'duplicate-name',
  'forbidden-name',
  'bad-escape',
  'bad-number',
  'too-deep',
  'too-many',
])

/** Whether the parser takes a text; undefined when something beyond the grammar is wrong with it. */
function parsed(text: string): boolean | undefined {
  const errors = parse(createSource('a.ww', text)).diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.some(({ code }) => !BEYOND.has(code))) return false
  return errors.length === 0 ? true : undefined
}

const VALID = [
  '',
  '# only',
  'a = x {}',
  'a = x y {}',
  'a=x{k:1}',
  'a = x\ny\n{}',
  'a : x {}',
  'a = x {} b = y {}',
  'a = x { k: 1, }',
  'a = x { k: 1 l: 2\nm = 3 }',
  'a = x { "k": 1 \'l\' = 2 6379: 3 b.c: 4 }',
  'a = x { k\n:\n1 }',
  'a = x { k: [] l: [1] m: [1,] n: [1 2, 3] o: [[], {}] }',
  'a = x { k: b {} l: b c {} m: [d e {} f, {}] }',
  'a = x { k: b\n{} }',
  'a = x { k: [b\n{}] }',
  'a = x { k: ./b l: ../c.py m: ~ n: / o: * p: .. q: 1.2.3 r: 007 s: -x t: @a u: a:b v: https://c?d=e&f=g }',
  'a = x { k: true l: None m: nullx n: True {} }',
  'a = x { k: $A l: ${A} m: "${A}" n: "$" o: \'\' p: "" q: """""" r: """a"b""" }',
  'a = x { k: "a\\\nb" }',
  'include "a.ww"',
  "include 'a.ww' include 'b.ww'",
  'include a.ww # b\nc = x {}',
  'include = x {}',
  'include\n= x {}',
]

const INVALID = [
  'a',
  'free text',
  'a =',
  'a = x',
  'a = x y z {}',
  'a = {}',
  'a = "x"',
  'a x {}',
  '"a" = x {}',
  '2a = x {}',
  'a.b = x {}',
  'a = x.y {}',
  'a = x {',
  'a = x }',
  'a = x {}}',
  'a = x {},',
  'a = x { k }',
  'a = x { k: }',
  'a = x { k: , }',
  'a = x { , }',
  'a = x { k: 1,, l: 2 }',
  'a = x { k = = 1 }',
  'a = x { k: b c }',
  'a = x { k: b c d {} }',
  'a = x { k: b\nc {} }',
  'a = x { k 1 }',
  'a = x { k {} }',
  'a = x { a~b: 1 }',
  'a = x { k: [1 }',
  'a = x { k: 1] }',
  'a = x { k: [,] }',
  'a = x { k: [1,,2] }',
  'a = x { k: [l: 1] }',
  'a = x { k: (1) }',
  'a = x { k: $ }',
  'a = x { k: $1 }',
  'a = x { k: $A/b }',
  'a = x { k: ${A }',
  'a = x { k: "b }',
  'a = x { k: "b\nc" }',
  'a = x { k: """b" }',
  'a = x { k: - }',
  'a = x { k: // b\n}',
  'a = x { k:\nl: 1 }',
  'a = x { k: 1; l: 2 }',
  'include',
  'include a b',
  'include a.ww b = x {}',
]

test.each(VALID)('[W60] [W62] the grammar of docs/ww-language.md and the parser take %j', (text) => {
  expect([accepts(grammar, 'file', text, BETWEEN), parsed(text)]).toEqual([true, true])
})

test.each(INVALID)('[W60] [W65] the grammar of docs/ww-language.md and the parser refuse %j', (text) => {
  expect([accepts(grammar, 'file', text, BETWEEN), parsed(text)]).toEqual([false, false])
})

test('the grammar and the parser agree on every file of the corpus', () => {
  const files = [...corpus('valid'), ...corpus('invalid'), ...corpus('loaded')]
  expect(files.length).toBeGreaterThanOrEqual(40)
  for (const { path, text } of files) {
    const wanted = parsed(text)
    if (wanted !== undefined) expect(accepts(grammar, 'file', text, BETWEEN), path).toBe(wanted)
  }
})

test('the grammar and the parser agree on whatever is made of pieces of the language', () => {
  const pieces = [
    'a',
    'b c',
    ' ',
    ' ',
    '\n',
    '{',
    '}',
    '[',
    ']',
    ':',
    '=',
    ',',
    '"t"',
    "'",
    '"',
    '1',
    '-',
    '.',
    '/',
    '$A',
    '#',
    '{}',
    'k: ',
    'x y {',
    'true',
    'include ',
    '\n}',
  ]
  const inside = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((parts) => parts.join(''))
  const sentence = fc.oneof(
    inside,
    inside.map((text) => `a = x {${text}}`),
    inside.map((text) => `a = x { k: ${text} }`),
    inside.map((text) => `a = x { k: [${text}] }`),
  )
  // A bare word with a colon on the line below its key: the page names it.
  const named = /[:=][ \t]*(?:#[^\n]*)?\n\s*(?:#[^\n]*\n\s*)*[^\s{}[\]"'#,]+[:=]/
  fc.assert(
    fc.property(sentence, (text) => {
      const wanted = parsed(text)
      fc.pre(wanted !== undefined && !named.test(text))
      expect(accepts(grammar, 'file', text, BETWEEN), text).toBe(wanted)
    }),
    { numRuns: 5_000 },
  )
})

test('the examples of the page are read without a fault, and the fault that it shows is shown so', () => {
  const examples = [...docs.matchAll(/```ww\n([\s\S]*?)```/g)].map(([, text]) => text!)
  expect(examples.length).toBeGreaterThanOrEqual(2)
  for (const text of examples) expect(parse(createSource('docs.ww', text)).diagnostics).toEqual([])
  const source = createSource('main.ww', 'a = x {\n\n  model: gpt 4\n}')
  expect(docs).toContain(renderDiagnostic(parse(source).diagnostics[0]!, source))
})

test('the table of diagnostics of the page is that of the code', () => {
  const rows = [...docs.matchAll(/^\| `([a-z-]+)` \| (.*) \| (.*) \| (.*) \|$/gm)].map(([, ...cells]) => cells)
  expect(rows).toEqual(Object.entries(DIAGNOSTICS).map(([code, row]) => [code, row.severity, row.text, row.next]))
})
