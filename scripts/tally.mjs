/** @typedef {{ passed: number, failed: number }} Tally */

/**
 * Counts vitest's JSON results. A file that could not be loaded, an unhandled error or a crash counts as one failure, so
 * that a run with a bad exit code never closes with `0 failed`.
 * @param {string | undefined} json undefined when vitest left no results
 * @param {number} exitCode vitest's
 * @returns {Tally}
 */
export function tallyVitest(json, exitCode) {
  const { passed, failed } = count(json)
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed }
}

/**
 * @param {string | undefined} json
 * @returns {Tally}
 */
function count(json) {
  if (json === undefined) return { passed: 0, failed: 0 }
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(json)
    const unloaded = testResults.filter(
      (/** @type {{ status: string, assertionResults: { status: string }[] }} */ file) =>
        file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
    )
    return { passed: numPassedTests, failed: numFailedTests + unloaded.length }
  } catch {
    return { passed: 0, failed: 0 }
  }
}

/**
 * The tests that were loaded and not run, as vitest's JSON results count them.
 * @param {string | undefined} json
 * @returns {number}
 */
export function skippedIn(json) {
  try {
    const { numPendingTests = 0, numTodoTests = 0 } = JSON.parse(json ?? '{}')
    return numPendingTests + numTodoTests
  } catch {
    return 0
  }
}

/**
 * The line that ends `npm test`, and that CI reads.
 * @param {Tally} tally
 * @returns {string}
 */
export function closingLine({ passed, failed }) {
  return `${passed} passed, ${failed} failed`
}
