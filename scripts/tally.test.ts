import { expect, test } from 'vitest'
import { closingLine, skippedIn, tallyVitest } from './tally.mjs'

const results = (passed: number, failed: number, files: readonly unknown[] = []): string =>
  JSON.stringify({ numPassedTests: passed, numFailedTests: failed, testResults: files })

test('passed and failed tests are counted', () => {
  expect(tallyVitest(results(7, 0), 0)).toEqual({ passed: 7, failed: 0 })
  const file = { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'failed' }] }
  expect(tallyVitest(results(7, 2, [file]), 1)).toEqual({ passed: 7, failed: 2 })
})

test('a file that could not be loaded is one failure', () => {
  const file = { status: 'failed', assertionResults: [] }
  expect(tallyVitest(results(3, 0, [file, file]), 1)).toEqual({ passed: 3, failed: 2 })
})

test('a bad exit code is never closed with "0 failed"', () => {
  expect(tallyVitest(results(3, 0), 1)).toEqual({ passed: 3, failed: 1 })
  expect(tallyVitest(undefined, 1)).toEqual({ passed: 0, failed: 1 })
  expect(tallyVitest('{ half', 137)).toEqual({ passed: 0, failed: 1 })
})

test('the closing line is what CI reads', () => {
  expect(closingLine({ passed: 12, failed: 1 })).toBe('12 passed, 1 failed')
})

test('tests that were not run are counted, too', () => {
  expect(skippedIn(JSON.stringify({ numPendingTests: 3, numTodoTests: 1 }))).toBe(4)
  expect(skippedIn(results(7, 0))).toBe(0)
  expect(skippedIn(undefined)).toBe(0)
  expect(skippedIn('{ half')).toBe(0)
})
