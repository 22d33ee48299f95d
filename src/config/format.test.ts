import { expect, test } from 'vitest'
import { meaningOf } from '../../test/ww/same.ts'
import { isBusError } from '../kit/errors.ts'
import { format } from './format.ts'
import { parse } from './parser.ts'
import { createSource } from './source.ts'

/** The canonical spelling, of which it holds that it says the same and is its own canonical spelling. */
function formatted(text: string): string {
  const source = createSource('a.ww', text)
  const result = format(source)
  expect(format(createSource('b.ww', result))).toBe(result)
  expect(meaningOf(parse(createSource('b.ww', result)).file)).toEqual(meaningOf(parse(source).file))
  return result
}

const lines = (...all: string[]) => all.map((line) => `${line}\n`).join('')

test('[W77] one entry a line, two blanks deep, `key: value`, double quotes, and one blank line between declarations', () => {
  expect(
    formatted(`a=llm   openai{model='m',n=5 b=True z=None}\n\n\nb = x\n{\n}\nc = y {k = {"l": [1 2], m = {}}}`),
  ).toBe(
    lines(
      'a = llm openai {',
      '  model: "m"',
      '  n: 5',
      '  b: true',
      '  z: null',
      '}',
      '',
      'b = x {}',
      '',
      'c = y {',
      '  k: {',
      '    "l": [1, 2]',
      '    m: {}',
      '  }',
      '}',
    ),
  )
})

test('[W77] lists stand on one line up to 100 columns, and else one item a line', () => {
  const long = (letters: number) => `a = x {\n  k: ["${'b'.repeat(letters)}", c]\n}\n`
  expect(formatted(long(88))).toBe(long(88))
  expect(formatted(long(88)).split('\n')[1]).toHaveLength(100)
  expect(formatted(long(89))).toBe(lines('a = x {', '  k: [', `    "${'b'.repeat(89)}",`, '    c,', '  ]', '}'))
})

test('[W77] a block in a list stands on one line if it fits there and holds no other block', () => {
  expect(formatted('a = x { h: [{event:"e" script_path:"s.ts"},memory short_term {} {deep:{k:1}}] }')).toBe(
    lines(
      'a = x {',
      '  h: [',
      '    { event: "e", script_path: "s.ts" },',
      '    memory short_term {},',
      '    {',
      '      deep: {',
      '        k: 1',
      '      }',
      '    },',
      '  ]',
      '}',
    ),
  )
})

test('[W77] comments stay: above, behind, in front of a closing bracket, in lists, and between a key and its value', () => {
  expect(
    formatted(`#top
# of file

a = x { #opener
  # above k
  k: 1   # behind k
  l: [ # opens
    b # behind b
    # before the end
  ]


  m # odd
    : 2
  # last
} # closed
# of b
b = y {} # empty
# end`),
  ).toBe(
    lines(
      '# top',
      '# of file',
      '',
      'a = x { # opener',
      '  # above k',
      '  k: 1 # behind k',
      '  l: [ # opens',
      '    b, # behind b',
      '    # before the end',
      '  ]',
      '',
      '  # odd',
      '  m: 2',
      '  # last',
      '} # closed',
      '',
      '# of b',
      'b = y {} # empty',
      '',
      '# end',
    ),
  )
})

test('[W77] texts keep what they say: quotes, escapes, variables, and those of several lines', () => {
  expect(
    formatted(
      String.raw`a = x { k: 'say "no"' l: 'it\'s "so"' m: "\${A} ${'${B}'} \t\u0007" n: '${'${C}'}' o: 'a"${'${D}'}' }`,
    ),
  ).toBe(
    lines(
      'a = x {',
      String.raw`  k: 'say "no"'`,
      String.raw`  l: "it's \"so\""`,
      String.raw`  m: "\${A} ${'${B}'} \t\u0007"`,
      String.raw`  n: "\${C}"`,
      String.raw`  o: 'a"${'${D}'}'`,
      '}',
    ),
  )
  expect(formatted('a = x { k: """\n one\n\ttwo "" \\"""" }')).toBe('a = x {\n  k: """\n one\n\ttwo "" \\""""\n}\n')
})

test('[W77] includes stand together, and bare texts, numbers and names stay as they are written', () => {
  expect(formatted(`include 'a.ww'\ninclude b.ww\nc = x { p: ./x n: 1_000 h: 0x1F v: $A r: name }`)).toBe(
    lines(
      'include "a.ww"',
      'include "b.ww"',
      '',
      'c = x {',
      '  p: ./x',
      '  n: 1_000',
      '  h: 0x1F',
      '  v: $A',
      '  r: name',
      '}',
    ),
  )
})

test('[W77] line ends become LF, a byte order mark goes, and an empty file stays empty', () => {
  expect(formatted('\ufeff# a\r\n\r\n\r\nb = x {\rk: 1\r}')).toBe('# a\n\nb = x {\n  k: 1\n}\n')
  expect(formatted('')).toBe('')
  expect(formatted(' \n\n')).toBe('')
  expect(formatted('# only a comment')).toBe('# only a comment\n')
})

test('[W77] a file with errors is refused with all of them, and is never half written', () => {
  const refused = (() => {
    try {
      return format(createSource('bad.ww', 'a = x {\n  k:\n  l: ,\n}'))
    } catch (error) {
      return error
    }
  })()
  expect(isBusError(refused, 'CONFIG_INVALID')).toBe(true)
  expect(refused).toMatchObject({
    message: 'bad.ww:2:5: found the end of the line, expected a value for `k`, and 1 more',
    details: { diagnostics: [{ line: 2 }, { line: 3 }] },
  })
})
