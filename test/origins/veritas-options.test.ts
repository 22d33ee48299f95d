import { expect, test } from 'vitest'
import { type BusOptions, createBus, isBusError, PRESETS, type Preset } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { still, thrown } from './support/cortex-veritas.ts'
import { OPTION_ROWS, type OptionRow } from './support/veritas-options.ts'

interface Case extends OptionRow {
  readonly option: string
  readonly value: string
}

const CASES: readonly Case[] = Object.entries(OPTION_ROWS).flatMap(([option, rows]) =>
  rows.map((row) => {
    const value = row.given[option as keyof BusOptions]
    return {
      ...row,
      option,
      value: typeof value === 'object' || typeof value === 'function' ? typeof value : `${value}`,
    }
  }),
)

test('[VN17] the table of options below names exactly the options that a bus takes, and each has a row', () => {
  let known = ''
  try {
    createBus({ nonsense: 1 } as BusOptions)
  } catch (error) {
    if (isBusError(error, 'INVALID_OPTION')) known = String(error.details.allowed)
  }
  expect(known.split(', ').toSorted()).toEqual(Object.keys(OPTION_ROWS).toSorted())
  for (const [option, rows] of Object.entries(OPTION_ROWS)) expect(rows.length, option).toBeGreaterThan(0)
})

test.each(CASES)('[VN17] the option $option: $value has an effect', async ({ given, base, before, after, see }) => {
  const env = fakeEnv()
  await using plain = still({ env, ...base })
  expect(await see(plain, env)).toEqual(before)
  const own = (given.env ?? fakeEnv()) as typeof env
  await using changed = still({ env: own, ...base, ...given })
  expect(await see(changed, own)).toEqual(after)
  expect(after).not.toEqual(before)
})

test.each(CASES)(
  '[VN17] configure({ $option: $value }) either has its effect or is refused by name',
  async ({ option, given, base, before, after, see }) => {
    const env = fakeEnv()
    await using bus = still({ env, ...base })
    let refused = false
    try {
      bus.configure(given)
    } catch (error) {
      expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { field: option } })
      refused = true
    }
    expect(await see(bus, env)).toEqual(refused ? before : after)
  },
)

test.each(Object.keys(PRESETS) as Preset[])('[VN17] every default of the preset %s is in force', async (preset) => {
  await using bus = createBus({ preset })
  expect(bus.stats().config).toMatchObject(PRESETS[preset])
  for (const option of Object.keys(PRESETS[preset])) expect(Object.keys(OPTION_ROWS)).toContain(option)
})

test('[VN17] a wrong value of any option is refused by name, not ignored', () => {
  for (const option of Object.keys(OPTION_ROWS)) {
    const wrong = { [option]: option === 'topics' ? 'no list' : option === 'name' ? 7 : 'nonsense value' }
    expect(
      thrown(() => createBus(wrong as BusOptions)),
      option,
    ).toBe('INVALID_OPTION')
  }
})
