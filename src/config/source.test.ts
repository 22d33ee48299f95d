import { expect, test } from 'vitest'
import { codePoints, createSource } from './source.ts'

test('lines end with LF, CR LF or CR, and each offset has its line and column', () => {
  const source = createSource('a.ww', 'one\r\ntwo\rthree\n')
  expect(source.lineCount).toBe(4)
  expect([1, 2, 3, 4, 5].map((line) => source.line(line))).toEqual(['one', 'two', 'three', '', ''])
  expect(source.positionAt(0)).toEqual({ line: 1, column: 1 })
  expect(source.positionAt(5)).toEqual({ line: 2, column: 1 })
  expect(source.positionAt(10)).toEqual({ line: 3, column: 2 })
  expect(source.positionAt(99)).toEqual({ line: 4, column: 1 })
})

test('columns count code points, a tab is one, and a byte order mark is none', () => {
  const source = createSource('a.ww', '\ufeff\t👍🏽é x')
  expect(source.positionAt(0)).toEqual({ line: 1, column: 1 })
  expect(source.positionAt(1)).toEqual({ line: 1, column: 1 })
  expect(source.positionAt(2)).toEqual({ line: 1, column: 2 })
  expect(source.positionAt(source.text.indexOf('é'))).toEqual({ line: 1, column: 4 })
  expect(source.positionAt(source.text.indexOf('x'))).toEqual({ line: 1, column: 6 })
  expect(source.line(1)).toBe('\t👍🏽é x')
})

test('half a pair counts as a code point of its own', () => {
  expect(codePoints('a\ud83d')).toBe(2)
  expect(codePoints('\ud83d\udc4d')).toBe(1)
  expect(codePoints('\udc4d\ud83d')).toBe(2)
})
