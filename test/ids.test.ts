import { expect, test } from 'vitest'
import { sourcesIn } from './architecture/source.ts'
import { idsIn, titlesOf } from './architecture/titles.ts'
import { PROMISED_IDS } from './ids.ts'

test('every promised id stands in the title of a test', () => {
  const tested = idsIn(sourcesIn('src', 'test', 'examples', 'bench').flatMap(titlesOf))
  const missing = PROMISED_IDS.filter((id) => !tested.has(id))
  expect(missing, `no test carries ${missing.join(', ')}`).toEqual([])
})

test('no id is promised twice', () => {
  expect(new Set(PROMISED_IDS).size).toBe(PROMISED_IDS.length)
})
