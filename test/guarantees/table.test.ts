import { expect, test } from 'vitest'
import { sourceOf, sourcesIn } from '../architecture/source.ts'
import { documented } from './document.ts'
import { BACKEND_NAMES, HARMS, proofsIn } from './proofs.ts'

const INVARIANTS = Array.from({ length: 17 }, (_, n) => `I${n + 1}`)

/** What does not apply to a backend, and why. */
const NOT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  I1: { memory: 'nothing survives' },
  I4: { memory: 'one process' },
  I12: {},
  I16: { memory: 'no file' },
}

test('the table of invariants in docs/guarantees.md says what the tests of each backend show', () => {
  const proofs = proofsIn(sourcesIn('src', 'test'))
  const cell = (id: string, backend: string): string => {
    const own = proofs.filter((one) => one.id === id && one.backend === backend)
    const harms = HARMS.filter((harm) => own.some((one) => one.harm === harm))
    return harms.length > 0 ? harms.join(', ') : (NOT[id]?.[backend] ?? '—')
  }
  const rows = INVARIANTS.map((id) => [id, ...BACKEND_NAMES.map((backend) => cell(id, backend))])
  documented('invariants', [['', ...BACKEND_NAMES], ...rows])
  // A promise that no test shows on a backend is no promise.
  for (const [id, ...cells] of rows)
    expect(
      cells.filter((one) => one === '—'),
      `${id} is shown nowhere`,
    ).toEqual([])
})

test('a title counts for the backends that its test is registered for, with what happens in its file', () => {
  const found = proofsIn([
    sourceOf(
      'test/kept/cases/a.ts',
      "export function aCases(backends) {\n describe.each(backends)('$name', () => {\n  test('[I6] [C1] x', f)\n })\n}",
    ),
    sourceOf('test/kept/a.test.ts', "aCases(BACKENDS)\ntest('[I4] y', () => child(1))"),
    sourceOf('test/kept/a.brokers.test.ts', 'aCases(BROKERS)'),
    sourceOf(
      'test/faults/b.brokers.test.ts',
      "describe.each(KINDS)('$name', () => {\n test.each([1])('[I1] z', f)\n})",
    ),
    sourceOf('src/bus/c.test.ts', "test('[I9] of one process', f)"),
  ]).map(({ id, backend, harm }) => `${id} ${backend} ${harm}`)
  expect(found).toEqual([
    ...BACKEND_NAMES.map((backend) => `I6 ${backend} rules`),
    'I4 sqlite process',
    'I1 redis store',
    'I1 jetstream store',
  ])
})
