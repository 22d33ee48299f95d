import { expect, test } from 'vitest'
import { blank } from './blank.ts'
import { importsOf, sourceOf } from './source.ts'

test.each([
  ["const a = 'Date.now()' + b", "const a = '          ' + b"],
  ['a // setTimeout\nb', 'a              \nb'],
  ['a /* x\n y */ b', 'a     \n      b'],
  ['`now ${Date.now()} then ${`${b}`}` + c', '`    ${Date.now()}      ${`${b}`}` + c'],
  ['`a ${{ x: { y } }} b` + c', '`  ${{ x: { y } }}  ` + c'],
  ["/'/.test(a) + 'x'", "/ /.test(a) + ' '"],
  ['a / b / c', 'a / b / c'],
  ['return /[/"]/.test(a)', 'return /    /.test(a)'],
  ["'it\\'s' + a", "'     ' + a"],
])('blank keeps only code: %s', (text, code) => {
  expect(blank(text)).toBe(code)
  expect(code.length).toBe(text.length)
})

test('imports are found in every form, and only in code', () => {
  const text = [
    "import { a } from './a.ts'",
    "import type { B } from '../message/b.ts'",
    "import './c.ts'",
    "export { d } from './d.ts'",
    "const e = await import('./e.ts')",
    "import fs from 'node:fs'",
    "// import { x } from './x.ts'",
    'const s = "import { y } from \'./y.ts\'"',
    "type F = import('./f.ts').F",
  ].join('\n')
  expect(importsOf(sourceOf('src/kit/own.ts', text))).toEqual([
    { specifier: './a.ts', target: 'src/kit/a.ts', line: 1 },
    { specifier: '../message/b.ts', target: 'src/message/b.ts', line: 2 },
    { specifier: './c.ts', target: 'src/kit/c.ts', line: 3 },
    { specifier: './d.ts', target: 'src/kit/d.ts', line: 4 },
    { specifier: './e.ts', target: 'src/kit/e.ts', line: 5 },
    { specifier: 'node:fs', target: undefined, line: 6 },
    { specifier: './f.ts', target: 'src/kit/f.ts', line: 9 },
  ])
})
