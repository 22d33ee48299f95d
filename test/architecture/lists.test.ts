import { expect, test } from 'vitest'
import { errorTableFaults } from './errors-table.ts'
import { formFaults, undocumentedExports } from './exports.ts'
import { sourceOf } from './source.ts'
import { idsIn, tagFaults, titlesOf } from './titles.ts'

const ERRORS = {
  TOO_LATE: { family: 'timeout', text: 'it came after | the deadline', next: 'wait' },
  TOO_MUCH: { family: 'resource', text: 'no room', next: 'send less' },
}
const TABLE = [
  '| code | family | meaning | what to do |',
  '| --- | --- | --- | --- |',
  '| `TOO_LATE` | timeout | it came after \\| the deadline | wait |',
  '| `TOO_MUCH` | resource | no room | send less |',
]

test('the error guard accepts the table of the code', () => {
  expect(errorTableFaults(ERRORS, TABLE.join('\n'))).toEqual([])
})

test('the error guard finds missing, unknown and doubled codes', () => {
  expect(errorTableFaults(ERRORS, TABLE.slice(0, 3).join('\n'))).toEqual([
    'docs/errors.md:1 lacks TOO_MUCH of src/kit/errors.ts',
  ])
  expect(errorTableFaults(ERRORS, [...TABLE, '| `GHOST` | bus | x | y |'].join('\n'))).toEqual([
    'docs/errors.md:5 documents GHOST, which src/kit/errors.ts does not have',
  ])
  expect(errorTableFaults(ERRORS, [...TABLE, TABLE[3]].join('\n'))).toEqual([
    'docs/errors.md:5 documents TOO_MUCH twice',
  ])
})

test.each([
  ['family', '| `TOO_MUCH` | timeout | no room | send less |'],
  ['meaning', '| `TOO_MUCH` | resource | no rooms | send less |'],
  ['what to do', '| `TOO_MUCH` | resource | no room | send more |'],
])('the error guard compares the column: %s', (column, row) => {
  const faults = errorTableFaults(ERRORS, [...TABLE.slice(0, 3), row].join('\n'))
  expect(faults).toHaveLength(1)
  expect(faults[0]).toContain(`docs/errors.md:4 TOO_MUCH, ${column}: `)
})

const DOOR = sourceOf(
  'src/index.ts',
  "export { bus, type Options, inner as outer } from './bus/bus.ts'\nexport type { Kept } from './log/log.ts'",
)

test('the export guard follows the doors to undocumented declarations', () => {
  const sources = [
    DOOR,
    sourceOf(
      'src/bus/bus.ts',
      '/** Makes a bus. */\nexport function bus(): void {}\n\n// no promise\nexport interface Options {}\nexport { inner } from "./inner.ts"',
    ),
    sourceOf('src/bus/inner.ts', '/* not a doc comment */\nexport const inner = 1'),
    sourceOf(
      'src/log/log.ts',
      '/** Of something else. */\nconst other = 1\nexport type Kept = number\nexport class Unreached {}',
    ),
  ]
  expect(undocumentedExports(sources, ['src/index.ts'])).toEqual([
    'src/bus/bus.ts:5: Options has no doc comment',
    'src/bus/inner.ts:2: inner has no doc comment',
    'src/log/log.ts:3: Kept has no doc comment',
  ])
})

test('the export guard finds names and files that do not exist, and bare declarations in a door', () => {
  const sources = [
    sourceOf(
      'src/index.ts',
      "export { gone } from './bus/bus.ts'\nexport { x } from './bus/none.ts'\nexport const bare = 1",
    ),
    sourceOf('src/bus/bus.ts', ''),
  ]
  expect(undocumentedExports(sources, ['src/index.ts'])).toEqual([
    'src/index.ts:1 exports gone, which src/bus/bus.ts does not declare',
    'src/index.ts:2 exports x from src/bus/none.ts, which does not exist',
    'src/index.ts:3: bare has no doc comment',
  ])
})

test('the export guard accepts overloads, generics and async generators with one comment', () => {
  const bus = [
    '/** Makes\n * a bus. */\nexport function bus(a: string): void\nexport function bus(a: number): void\nexport function bus(): void {}',
    '/** Options. */\nexport interface Options<T extends object = {}> { a: T }',
    '/** Inner. */\nexport async function* inner(): AsyncGenerator<number> {}',
  ].join('\n')
  const log = sourceOf('src/log/log.ts', '/** Kept. */\nexport abstract class Kept {}')
  expect(undocumentedExports([DOOR, sourceOf('src/bus/bus.ts', bus), log], ['src/index.ts'])).toEqual([])
})

test.each([
  ["export * from './a.ts'", 'export *'],
  ["export * as a from './a.ts'", 'export *'],
  ['export enum Color { red }', 'an enum'],
  ['const enum Color { red }', 'an enum'],
  ['export default 1', 'a default export'],
  ['export { a as default }', 'a default export'],
  ['declare namespace a.b { }', 'a namespace'],
])('the form guard finds: %s', (text, fault) => {
  const faults = formFaults([sourceOf('src/bus/a.ts', `\n${text}`)])
  expect(faults).toHaveLength(1)
  expect(faults[0]).toContain('src/bus/a.ts:2')
  expect(faults[0]).toContain(fault)
})

test('the form guard does not mistake names, properties and comments', () => {
  const text = "// export default\nconst namespace = { enum: 1, default: 2 }\nnamespace.enum\nconst s = 'export *'"
  expect(formFaults([sourceOf('src/bus/a.ts', text)])).toEqual([])
})

const TITLES = `
test('[Z1] [ZN2] plain', () => {})
it.skip("[C3] quoted", f)
test.each([['(', 1], [")", 2]])(\`[V4] \${'x'} each\`, f)
test.for(rows(a, b))(
  '[W5] broken over lines', f)
pattern.test('[L1] not a test')
// test('[L2] in a comment', f)
describe('[L3] a group', f)
test(name, f)
`

test('titles are read from every form of test, and only from tests', () => {
  const titles = titlesOf(sourceOf('src/bus/a.test.ts', TITLES))
  expect([...idsIn(titles)]).toEqual(['Z1', 'ZN2', 'C3', 'V4', 'W5'])
  expect(titles.map(({ at }) => at)).toEqual([2, 3, 4, 5].map((line) => `src/bus/a.test.ts:${line}`))
})

test.each(['[Z1 Z2]', '[Z1, Z2]', '[z1]', '[Z01]', '[ZN 3]', '[Z-1]', '[Z1-Z3]', '[Z0]'])(
  'the tag guard finds: %s',
  (tag) => {
    const titles = titlesOf(sourceOf('src/bus/a.test.ts', `\ntest('${tag} a title', f)`))
    expect(tagFaults(titles)).toEqual([
      `src/bus/a.test.ts:2 has the tag ${tag}: write each id in its own brackets, like [Z1] [ZN2]`,
    ])
    expect([...idsIn(titles)]).toEqual([])
  },
)

test('the tag guard lets other brackets be', () => {
  const titles = titlesOf(sourceOf('a.test.ts', "test('[Z1] a list [1, 2] of [] and [orders.*] is kept', f)"))
  expect(tagFaults(titles)).toEqual([])
})
