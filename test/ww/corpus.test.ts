import { expect, test } from 'vitest'
import { format } from '../../src/config/format.ts'
import { parse } from '../../src/config/parser.ts'
import { createSource } from '../../src/config/source.ts'
import { corpus } from './corpus.ts'
import { meaningOf } from './same.ts'

const valid = corpus('valid')
const invalid = corpus('invalid')

test.each(invalid)('[W65] [WN23] $path is refused, with every fault at its place', ({ path, text, expected }) => {
  const { diagnostics } = parse(createSource(path, text))
  expect(diagnostics.map(({ line, column, code }) => `${line}:${column} ${code}`)).toEqual(expected)
  expect(diagnostics.filter(({ severity }) => severity === 'error')).not.toEqual([])
  for (const { message } of diagnostics)
    expect(message).toMatch(/found .+, expected .+|is (?:read|declared)|stays as it is/)
})

test.each(valid)('[W77] [WN24] $path loads, with all that it declares', ({ path, text, expected }) => {
  const { file, diagnostics } = parse(createSource(path, text))
  expect(diagnostics.map(({ line, column, code }) => `${line}:${column} ${code}`)).toEqual(expected)
  expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([])
  const declared = file.items.flatMap((item) => (item.type === 'declaration' ? [item.name.text] : []))
  // Whatever stands at the beginning of a line, or behind one tab, and is followed by = or : is a declaration of the files of this folder.
  const heads = [
    ...text
      .replace(/"""[\s\S]*?"""/g, '""')
      .matchAll(/(?:^|[\r\n]|\ufeff)\t?([\p{L}_][\p{L}\p{N}_-]*)[ ]*[=:] ?\p{L}[^\r\n]*(?:\{|[\r\n]+\{)/gu),
  ]
  expect(declared).toEqual(heads.map(([, name]) => name))
})

test.each(valid)('[W77] $path has one canonical spelling, which says the same', ({ path, text }) => {
  const source = createSource(path, text)
  const spelled = createSource(path, format(source))
  expect(format(spelled)).toBe(spelled.text)
  expect(meaningOf(parse(spelled).file)).toEqual(meaningOf(parse(source).file))
  expect(spelled.text).toMatch(/^(?:[\s\S]*[^\n]\n)?$/)
})

test.each(invalid)('[W65] $path is not formatted, and cut anywhere it is still read to its end', ({ path, text }) => {
  expect(() => format(createSource(path, text))).toThrow(/^invalid\/.+:\d+:\d+: found /)
  for (let end = 0; end < text.length; end += 7) {
    const cut = createSource(path, text.slice(0, end))
    for (const { line, span } of parse(cut).diagnostics) {
      expect(line).toBeLessThanOrEqual(cut.lineCount)
      expect(span.end).toBeLessThanOrEqual(end)
    }
  }
})
