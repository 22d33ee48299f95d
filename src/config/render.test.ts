import { expect, test } from 'vitest'
import { parse } from './parser.ts'
import { renderDiagnostic } from './render.ts'
import { createSource } from './source.ts'

function rendered(text: string, color = false): string {
  const source = createSource('main.ww', text)
  return parse(source)
    .diagnostics.map((one) => renderDiagnostic(one, source, { color }))
    .join('\n')
}

test('[W65] a fault is shown with file, line, column, the line, a caret under what was found, and what to do', () => {
  expect(rendered('a = x {\n  path: ./tools/x.py\n  model: gpt 4\n}\n')).toBe(
    [
      'main.ww:2:9: warning: `./tools/x.py` is read as a text [bare-text]',
      ' 2 |   path: ./tools/x.py',
      '   |         ^^^^^^^^^^^^',
      '   = write "./tools/x.py"',
      'main.ww:3:14: error: found `4`, expected `,`, `}` or a new line [expected]',
      ' 3 |   model: gpt 4',
      '   |              ^',
      '   = put a text of several words into quotes',
    ].join('\n'),
  )
})

test('the caret stands where people see the place: behind tabs, wide letters and combining marks', () => {
  const [, line, caret] = rendered('a = x {\n\tk: "日本é👍", :\n}').split('\n')
  expect(line).toBe(' 2 | \tk: "日本é👍", :')
  expect(caret).toBe(`   | \t${' '.repeat('k: ""  '.length + 7)}^`)
})

test('a fault at the end of a line, or of the file, has its caret there', () => {
  expect(rendered('a = x {\n  k:\n}').split('\n')[2]).toBe('   |     ^')
  expect(rendered('a = x {').split('\n').slice(1)).toEqual([' 1 | a = x {', '   |        ^'])
})

test('of a very long line a part around the place is shown', () => {
  const lines = rendered(`a = x { k: "${'z'.repeat(10_000)}", :, l: "${'z'.repeat(10_000)}" }`).split('\n')
  expect(lines[1]!.length).toBeLessThan(140)
  expect(lines[1]).toContain('", :, l: "')
  expect(lines[2]!.length - 1).toBe(lines[1]!.indexOf(' :, l') + 1)
})

test('nothing of a file steers the terminal on which it is shown', () => {
  const shown = rendered('a = x { k: "\u001b[2J\u202e", \u0007 }')
  for (const char of ['\u001b', '\u0007', '\u202e']) expect(shown).not.toContain(char)
  expect(shown).toContain('\ufffd[2J')
})

test('colours are only there when they are wanted', () => {
  expect(rendered('a = x { k: }', true)).toContain('\u001b[31merror\u001b[0m')
  expect(rendered('a = x { k: }')).not.toContain('\u001b')
})
