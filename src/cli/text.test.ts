import { expect, test } from 'vitest'
import { tableLines } from './output.ts'
import { readTime } from './parse.ts'
import { bytesText, counted, cut, localTime, oneLine, pad, spanText, widthOf } from './text.ts'

test('what controls a terminal, or turns the direction of text, is taken out or shown', () => {
  expect(oneLine('a\x1b[31mred\x1b[0m b')).toBe('ared b')
  expect(oneLine('one\ntwo\tthree')).toBe('one two three')
  expect(oneLine('\u0007\u009b2J\u202eevil')).toBe('\\u0007\\u202eevil')
  expect(oneLine('grüße 日本 👍')).toBe('grüße 日本 👍')
})

test('width counts columns, not characters', () => {
  expect(['abc', 'é', 'e\u0301', '日本', '👍', '\x1b[1mab\x1b[22m'].map(widthOf)).toEqual([3, 1, 1, 4, 2, 2])
})

test('a text is cut to columns with an ellipsis', () => {
  expect(cut('abcdef', 6)).toBe('abcdef')
  expect(cut('abcdef', 5)).toBe('abcd…')
  expect(cut('日本語', 5)).toBe('日本…')
  expect(cut('日本語', 4)).toBe('日…')
  expect(cut('abc', 0)).toBe('')
  expect(pad('日', 4)).toBe('日  ')
  expect(pad('7', 3, 'left')).toBe('  7')
})

test('a time is shown as it is read back', () => {
  const time = new Date(2026, 10, 21, 8, 5, 9, 7).getTime()
  expect(localTime(time)).toBe('2026-11-21T08:05:09.007')
  expect(readTime(localTime(time), 0)).toBe(time)
})

test('figures are written for people', () => {
  expect([0, 1_023, 1_024, 1_572_864].map(bytesText)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 MiB'])
  expect([85, 1_234, 185_000].map(spanText)).toEqual(['85 ms', '1.2 s', '3 min 5 s'])
  expect([counted(1, 'entry', 'entries'), counted(0, 'entry', 'entries')]).toEqual(['1 entry', '0 entries'])
})

test('the columns of a table stand below each other, and one gives way on a narrow terminal', () => {
  const columns = [{ title: 'ID' }, { title: 'N', side: 'right' }, { title: 'ERROR', gives: true }] as const
  const rows = [
    ['a', '1', 'short'],
    ['日本', '100', 'an error that\nis rather long'],
  ]
  const plain = (_look: unknown, text: string): string => text
  expect(tableLines(columns, rows, undefined, plain)).toEqual([
    'ID      N  ERROR',
    'a       1  short',
    '日本  100  an error that is rather long',
  ])
  const narrow = tableLines(columns, [['a', '1', `${'long '.repeat(20)}`]], 50, plain)
  expect(narrow).toEqual(['ID  N  ERROR', `a   1  ${'long '.repeat(8)}lo…`])
  expect(widthOf(narrow[1] ?? '')).toBe(50)
})

test('a column with too little room stands on a line of its own below each row', () => {
  const columns = [{ title: 'ID' }, { title: 'ERROR', gives: true }] as const
  const plain = (_look: unknown, text: string): string => text
  const lines = tableLines(columns, [['an id that is long', 'an error that is rather long']], 30, plain)
  expect(lines).toEqual(['ID', 'an id that is long', '    an error that is rather l…'])
  expect(tableLines(columns, [['id', 'short']], 30, plain)).toEqual(['ID  ERROR', 'id  short'])
})
