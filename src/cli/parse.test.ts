import { InvalidArgumentError } from 'commander'
import { expect, test } from 'vitest'
import {
  endAt,
  parseData,
  parseDuration,
  parsePace,
  parsePositive,
  parseText,
  readTime,
  startAt,
  timeAt,
  wholeFrom,
} from './parse.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
const now = (): number => NOW
const ID = '01a1fd2b-c5f2-7000-bc6b-57f0f605b000'

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['7d', 604_800_000],
  ['0s', 0],
])('a duration names its unit: %s', (text, ms) => expect(parseDuration(text)).toBe(ms))

test.each(['', '5', 's', '-5s', '5 s', '5w', '1e3s', '5s5s'])('"%s" is no duration', (text) =>
  expect(() => parseDuration(text)).toThrow(InvalidArgumentError),
)

test.each([
  ['2026-11-21T08:30:15.25Z', Date.UTC(2026, 10, 21, 8, 30, 15, 250)],
  ['2026-11-21T08:30+01:00', Date.UTC(2026, 10, 21, 7, 30)],
  ['2026-11-21T08:30-0530', Date.UTC(2026, 10, 21, 14, 0)],
  ['2026-11-21T08:30', new Date(2026, 10, 21, 8, 30).getTime()],
  ['2026-11-21 08:30:15', new Date(2026, 10, 21, 8, 30, 15).getTime()],
  // A day alone is local too, unlike in JavaScript.
  ['2026-11-21', new Date(2026, 10, 21).getTime()],
  ['2024-02-29', new Date(2024, 1, 29).getTime()],
  ['15m', NOW - 900_000],
  ['-15m', NOW - 900_000],
])('a time is read: %s', (text, time) => expect(readTime(text, NOW)).toBe(time))

test.each([
  '',
  'yesterday',
  '2026-13-01',
  '2026-02-30',
  '2025-02-29',
  '2026-11-21T24:00',
  '2026-11-21T08:60',
  '08:30',
  '17',
])('"%s" is no time', (text) => {
  expect(readTime(text, NOW)).toBeUndefined()
  expect(() => timeAt(now)(text)).toThrow(/15m/)
  expect(() => startAt(now)(text)).toThrow(/tasks\/normal:17/)
  expect(() => endAt(now)(text)).toThrow(/message's id/)
})

test('a start is the first message, a place, an id or a time', () => {
  const start = startAt(now)
  expect(start('first')).toBe('first')
  expect(start('agent.pink/high:17')).toEqual({ offset: 'agent.pink/high:17' })
  expect(start(ID.toUpperCase())).toEqual({ id: ID })
  expect(start('1h')).toEqual({ time: NOW - 3_600_000 })
  expect(endAt(now)(ID)).toEqual({ id: ID })
  expect(endAt(now)('1h')).toEqual({ time: NOW - 3_600_000 })
})

test('a pace is a word or a factor', () => {
  expect(['fast', 'original', '10', '0.5', '2x'].map(parsePace)).toEqual(['fast', 'original', 10, 0.5, 2])
  for (const text of ['', '0', '-1', 'slow', '1e3', 'NaN']) expect(() => parsePace(text)).toThrow(/Give fast/)
})

test('numbers are checked against their range', () => {
  expect(wholeFrom(1)('10')).toBe(10)
  for (const text of ['0', '-1', '1.5', 'x', '', '1e3', '9999999999999999'])
    expect(() => wholeFrom(1)(text)).toThrow(/at least 1/)
  expect(parsePositive('0.5')).toBe(0.5)
  for (const text of ['0', '-1', 'x', '']) expect(() => parsePositive(text)).toThrow(/above 0/)
  expect(() => parseText('')).toThrow(/empty/)
})

test.each([
  ['{"a":1}', { a: 1 }],
  ['[1]', [1]],
  ['"x"', 'x'],
  ['12', 12],
  ['true', true],
  ['null', null],
  ['hello world', 'hello world'],
  ['', ''],
  ["it's 5 { now", "it's 5 { now"],
])('data that is JSON is what it says, anything else a text: %s', (text, data) => {
  expect(parseData(text, false)).toEqual(data)
  expect(parseData(text, true)).toBe(text)
})

test.each(['{a:1}', '[1,', '"x', ' {'])('data that begins as JSON must be JSON: %s', (text) =>
  expect(() => parseData(text, false)).toThrow(/begins like JSON/),
)
