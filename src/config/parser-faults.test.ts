import { expect, test } from 'vitest'
import { readText } from '../../test/ww/shape.ts'

const faultsOf = (text: string) => readText(text).faults

test('[W60] free text outside of declarations is an error, told once however long it is', () => {
  expect(faultsOf('This is my swarm.\nIt doesn\'t "do" much.\na = x {}\nand more\nb = y {}')).toEqual([
    '1:1 error free-text: found `This is my swarm.`, expected a declaration such as `name = kind { … }`',
    '4:1 error free-text: found `and more`, expected a declaration such as `name = kind { … }`',
  ])
})

test('[W65] every mistake of a block is told at its place, with what was found and expected, and the rest is read', () => {
  const { shape, faults } = readText(`a = x {
    model gpt
    name "b"
    env { A: 1 }
    to: gpt 4 turbo
    list: [1,, 2]
    pair: [event: "e"]
    call: (1, 2)
    smart: “text”
    // not a comment
    last: 1
  }
  b = y { ok: true }`)
  expect(faults).toEqual([
    '2:11 error expected: found `gpt`, expected `:` or `=` behind `model`',
    '3:10 error expected: found the text "b", expected `:` or `=` behind `name`',
    '4:9 error expected: found `{`, expected `:` or `=` behind `env`',
    '5:13 error expected: found `4`, expected `,`, `}` or a new line',
    '6:14 error expected: found `,`, expected a value or `]`',
    '7:17 error expected: found `:`, expected `,` or `]`',
    '8:11 error expected: found `(`, expected a value',
    '9:12 error expected: found `“`, expected a value',
    '10:5 error expected: found `//`, expected a key or `}`',
  ])
  expect(shape).toMatchObject({ a: { entries: { list: [1, 2], last: 1 } }, b: { entries: { ok: true } } })
})

test('[WN23] an empty value is an error where it is missing, and does not take the next entry for itself', () => {
  expect(faultsOf('a = x {\n  model:\n  to: b\n}')).toEqual([
    '2:9 error missing-value: found the end of the line, expected a value for `model`',
  ])
  expect(faultsOf('a = x { model: }')).toEqual(['1:16 error missing-value: found `}`, expected a value for `model`'])
  expect(faultsOf('a = x { model:, to: b }')).toEqual([
    '1:15 error missing-value: found `,`, expected a value for `model`',
  ])
  expect(faultsOf('a = x { model = = 5 }')).toEqual([
    '1:17 error missing-value: found `=`, expected a value for `model`',
  ])
  expect(readText('a = x {\n  model: # later\n  to: b\n}').shape).toEqual({ a: { kind: 'x', entries: { to: '@b' } } })
})

test('[WN23] a missing brace is told where the next declaration begins, or at the end, and what follows is read', () => {
  const { shape, faults } = readText('a = x {\n  k: { m: 1\n\nb = y {\n  n: 2\n}\nc = z {')
  expect(faults).toEqual([
    '4:1 error unclosed: found `b`, expected `}` to close the `{` of line 2, column 6',
    '7:8 error unclosed: found the end of the file, expected `}` to close the `{` of line 7, column 7',
  ])
  expect(shape).toMatchObject({ a: { entries: { k: { m: 1 } } }, b: { entries: { n: 2 } }, c: { entries: {} } })
})

test('declarations need no indentation while every brace is closed', () => {
  expect(faultsOf('a = deployment docker {\nbus = redis {\nport = 1\n}\n}\nb = x {}')).toEqual([])
})

test('an unclosed list ends where the next entry begins, and a wrong bracket is told once', () => {
  expect(faultsOf('a = x {\n  tools: [b, c\n  model: "m"\n}\nb = y {}')).toEqual([
    '3:3 error unclosed: found `model`, expected `]` to close the `[` of line 2, column 10',
  ])
  expect(faultsOf('a = x {\n  tools: [b, c}\n  model: "m"\n}\nb = y {}')).toEqual([
    '2:15 error expected: found `}`, expected a value or `]`',
  ])
  expect(faultsOf('a = x {\n  hooks: [{ event: "e" ]\n  model: "m"\n}\nb = y {}')).toEqual([
    '2:24 error unclosed: found `]`, expected `}` to close the `{` of line 2, column 11',
  ])
  expect(faultsOf('a = x {\n}\n}\nb = y {}')).toEqual([
    '3:1 error stray-bracket: found `}`, expected a declaration such as `name = kind { … }`',
  ])
})

test('[WN22] an unclosed text ends with its line and loses no more of the file', () => {
  const { shape, faults } = readText('a = x {\n  model: "gpt\n  to: b\n}\nc = y { k: "abc }\nd = z {}')
  expect(faults).toEqual([
    '2:10 error unclosed-text: found the end of the line, expected `"` to close the text',
    '5:12 error unclosed-text: found the end of the line, expected `"` to close the text',
  ])
  expect(shape).toMatchObject({ a: { entries: { to: '@b' } }, d: { kind: 'z' } })
  expect(faultsOf('a = x { k: """never\nended')).toEqual([
    '1:12 error unclosed-text: found the end of the file, expected `"""` to close the text',
  ])
})

test('[W65] a head that is none is told at the word that is wrong', () => {
  expect(faultsOf('llm openai {\n  model: "m"\n}\nb = y {}')).toEqual([
    '1:5 error expected: found `openai`, expected `=` behind `llm`',
  ])
  expect(faultsOf('a = llm openai\nb = y {}')).toEqual(['1:15 error expected: found the end of the line, expected `{`'])
  expect(faultsOf('a = llm openai gpt {\n  m: 1\n}\nb = y {}')).toEqual([
    '1:16 error expected: found `gpt`, expected `{`',
  ])
  expect(faultsOf('a = "redis://h"\nb = 5\nc =\nd = {\n  e: 1\n}\nf = y {}')).toEqual([
    '1:5 error expected: found the text "redis://h", expected a kind such as `llm openai`',
    '2:5 error expected: found `5`, expected a kind such as `llm openai`',
    '3:4 error expected: found the end of the line, expected a kind such as `llm openai`',
    '4:5 error expected: found `{`, expected a kind such as `llm openai`',
  ])
  expect(faultsOf('2a = x {}\n"b" = y {\n}\nc.d = z {}')).toEqual([
    '1:1 error expected: found `2a`, expected the name of a declaration',
    '2:1 error expected: found the text "b", expected the name of a declaration',
    '4:1 error expected: found `c.d`, expected the name of a declaration',
  ])
})

test('[W65] a key that a block has twice is told with the place of the first', () => {
  expect(faultsOf('a = x { k: 1, l: { k: 2 }, "k": 3 }')).toEqual([
    '1:28 error duplicate-key: found `k` again, expected it once: it stands in line 1, column 9',
  ])
})

test('[W64] [W65] a name that is declared twice, or means a value, is an error with its line', () => {
  expect(faultsOf('a = x {}\nb = x {}\na = y {}\nTRUE = x {}\nnone = x {}')).toEqual([
    '3:1 error duplicate-name: found `a` again, expected another name: it is declared in line 1, column 1',
    '4:1 error forbidden-name: found the value `TRUE`, expected a name',
    '5:1 error forbidden-name: found the value `none`, expected a name',
  ])
})

test('[W61] a $ without a name, or with more behind it, is an error; so are escapes and numbers that cannot be', () => {
  expect(faultsOf('a = x { k: $ }')).toEqual(['1:12 error bad-variable: found a blank behind `$`, expected a name'])
  expect(faultsOf('a = x { k: $HOME/data }')).toEqual([
    '1:17 error bad-variable: found `/data` right behind `$HOME`, expected the end of the value',
  ])
  expect(faultsOf('a = x { k: 1e999 }')).toEqual([
    '1:12 error bad-number: found 1e999, expected a number below 1.8e308',
  ])
  expect(faultsOf(String.raw`a = x { k: "\u{110000}" l: "\ud800" }`)).toEqual([
    '1:13 error bad-escape: found `\\u{110000}`, expected a code point up to 10FFFF',
    '1:28 error bad-escape: found half a surrogate pair, expected a whole character',
  ])
})

test('what is plain, but not as it should be written, is a warning', () => {
  expect(faultsOf('a: llm openai { 6379: "${b.c}" n: 12345678901234567890 }')).toEqual([
    '1:2 warning colon-declaration: `a` is declared with `:`',
    '1:17 warning bare-key: `6379` is read as a text',
    '1:24 warning odd-variable: found `${` without a name and `}`: it stays as it is',
    '1:35 warning inexact-number: 12345678901234567890 is read as 12345678901234567000',
  ])
})

test('nesting of 100 levels is read, deeper is one error, and a hundred thousand levels overflow nothing', () => {
  const nested = (depth: number) => `a = x { k: ${'['.repeat(depth - 1)}${']'.repeat(depth - 1)} }`
  expect(faultsOf(nested(100))).toEqual([])
  expect(faultsOf(nested(101))).toEqual([
    '1:111 error too-deep: found level 101, expected at most 100 levels of blocks and lists',
  ])
  expect(faultsOf(nested(100_000))).toHaveLength(1)
})

test('a file with thousands of errors tells the first hundred, and that there are more', () => {
  const faults = faultsOf(`a = x {\n${'k:\n'.repeat(5_000)}}`)
  expect(faults).toHaveLength(101)
  expect(faults.at(-1)).toBe('102:3 error too-many: there are more than 100 errors')
})

test('blanks of any kind are blanks, and a character that nobody sees is told by its number', () => {
  expect(faultsOf('a\u2003=\u00a0x { k: 1\u3000}')).toEqual([])
  expect(faultsOf('a = x { k: \u200b1 }')).toEqual([
    '1:12 error expected: found the character U+200B, expected a value',
  ])
})

test('columns of faults count code points, and lines end as they do', () => {
  expect(faultsOf('a = x { t: "👍🏽", : }')[0]).toMatch(/^1:18 error expected: found `:`/)
  expect(faultsOf('a = x {\r\n  k: 1\r  l:\n}')[0]).toMatch(/^3:5 error missing-value/)
})
