import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CIRCUIT_PRESETS } from './circuit-breaker.ts'
import { RETRY_PRESETS, retryPolicy } from './retry.ts'

const text = readFileSync(new URL('../../docs/reliability.md', import.meta.url), 'utf8')

/** The rows of the table whose head begins with the given cells. */
function rows(head: string): string[][] {
  const table = text.slice(text.indexOf(head)).split('\n\n', 1)[0] ?? ''
  return table
    .split('\n')
    .slice(2)
    .map((row) => row.slice(2, -2).split(' | '))
}

const seconds = (ms: number): string => `${ms / 1_000} s`

test('the table of retry presets in the documentation is that of the code', () => {
  const real = Object.entries(RETRY_PRESETS).map(([name, options]) => {
    const policy = retryPolicy({ ...options, jitter: 'none' })
    const waits = Array.from({ length: policy.attempts - 1 }, (_, n) => seconds(policy.delayMs(n + 1, () => 0) ?? 0))
    const cap = options.capMs === undefined ? '—' : seconds(options.capMs)
    return [`\`${name}\``, String(policy.attempts), waits.join(', '), cap, options.jitter]
  })
  expect(rows('| preset | attempts')).toEqual(real)
})

test('the table of circuit presets in the documentation is that of the code', () => {
  const real = Object.entries(CIRCUIT_PRESETS).map(([name, { failures, restMs = 0, successesToClose = 1 }]) => {
    return [`\`${name}\``, String(failures), seconds(restMs), String(successesToClose)]
  })
  expect(rows('| preset | failures')).toEqual(real)
})
