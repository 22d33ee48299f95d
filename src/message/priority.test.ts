import { expect, test } from 'vitest'
import { isPriority, LANE_COUNT, LANE_OF, PRIORITIES, priorityFrom } from './priority.ts'

test('lanes count the levels from the highest', () => {
  expect(PRIORITIES.map((name) => LANE_OF[name])).toEqual([0, 1, 2, 3, 4])
  expect(LANE_COUNT).toBe(5)
})

test.each([
  ['critical', 'critical'],
  ['error', 'critical'],
  ['alert', 'critical'],
  ['urgent', 'critical'],
  ['URGENT', 'critical'],
  ['high', 'high'],
  ['warning', 'high'],
  ['normal', 'normal'],
  ['low', 'low'],
  ['debug', 'low'],
  ['heartbeat', 'background'],
  ['background', 'background'],
  [0, 'critical'],
  [1, 'high'],
  [2, 'normal'],
  [3, 'low'],
  [4, 'background'],
  ['info', 'normal'],
  ['', 'normal'],
  [5, 'normal'],
  [-1, 'normal'],
  [1.5, 'normal'],
  [null, 'normal'],
  [{}, 'normal'],
  ['toString', 'normal'],
  ['constructor', 'normal'],
])('[C4] the level %j of another system is %s', (given, level) => {
  expect(priorityFrom(given)).toBe(level)
})

test('only the five names are levels', () => {
  expect(PRIORITIES.every(isPriority)).toBe(true)
  expect([isPriority('urgent'), isPriority('High'), isPriority(0), isPriority('toString')]).toEqual([
    false,
    false,
    false,
    false,
  ])
})
