import { expect, test } from 'vitest'
import { DIAGNOSTICS } from '../../src/config/codes.ts'
import { format } from '../../src/config/format.ts'
import { LOAD_DIAGNOSTICS } from '../../src/config/load-codes.ts'
import { createSource } from '../../src/config/source.ts'
import { corpus } from './corpus.ts'
import { load } from './project.ts'

const ROWS: Readonly<Record<string, { readonly severity: string }>> = { ...DIAGNOSTICS, ...LOAD_DIAGNOSTICS }
const files = corpus('loaded')
/** What depends on the machine: variables, clients of providers, containers, and modules beside the file. */
const ELSEWHERE = new Set(['unset-variable', 'unavailable-kind'])

test.each(files)(
  '[W65] [W77] $path is judged as a person would: each mistake once, at its place, and nothing else',
  async ({ text, expected }) => {
    const { valid, diagnostics } = await load(text, { check: true })
    const found = diagnostics.filter(({ code }) => !ELSEWHERE.has(code))
    expect(found.map(({ line, column, code }) => `${line}:${column} ${code}`)).toEqual(expected)
    const isError = ({ severity }: { readonly severity: string }): boolean => severity === 'error'
    expect(valid).toBe(!found.some(isError))
    // No warning where its code says error: what is refused to run is refused by the check.
    for (const { code, severity } of found) {
      if (code !== 'missing-key' && code !== 'unset-variable')
        expect([code, severity]).toEqual([code, ROWS[code]?.severity])
    }
  },
)

const fine = files.filter(({ expected }) =>
  expected.every((one) => ROWS[one.split(' ')[1] ?? '']?.severity === 'warning'),
)

test.each(fine)('[W77] $path says the same in its canonical spelling', async ({ path, text }) => {
  const specsOf = async (of: string) =>
    (await load(of, { check: true })).specs.map(({ place: _place, hooks: _hooks, pipes: _pipes, ...spec }) => spec)
  const spelled = format(createSource(path, text))
  expect(await specsOf(spelled)).toEqual(await specsOf(text))
  expect(format(createSource(path, spelled))).toBe(spelled)
})

test('[W77] the corpus has files enough to mean something', () => {
  expect(files.length + corpus('valid').length + corpus('invalid').length).toBeGreaterThan(250)
  expect(fine.length).toBeGreaterThan(50)
})
