import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Env } from '../kit/env.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { IdMaker, isMessageId, timeOfId } from './ids.ts'

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('an id is a UUIDv7 with the time in its first 48 bits', () => {
  const ids = new IdMaker(fakeEnv())
  for (const wallMs of [0, 1, Date.UTC(2026, 0, 1), 2 ** 48 - 1]) {
    const id = new IdMaker(fakeEnv()).next(wallMs)
    expect(id).toMatch(V7)
    expect(timeOfId(id)).toBe(wallMs)
  }
  expect(isMessageId(ids.next(5))).toBe(true)
})

test('[CN12] ids of one maker ascend strictly and never repeat, also when the clock is set back', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(5), fc.nat(100_000)), { maxLength: 300 }), fc.nat(1_000), (times, seed) => {
      const ids = new IdMaker(fakeEnv({ seed }))
      const made = times.map((wallMs) => ids.next(1_700_000_000_000 + wallMs))
      for (let index = 1; index < made.length; index++) expect(made[index]! > made[index - 1]!).toBe(true)
      for (const id of made) expect(id).toMatch(V7)
    }),
  )
})

test('ids stay unique and ascending over several thousand in one millisecond', () => {
  const ids = new IdMaker(fakeEnv())
  let last = ''
  for (let count = 0; count < 20_000; count++) {
    const id = ids.next(1_000)
    expect(id > last).toBe(true)
    last = id
  }
  expect(timeOfId(ids.next(1_000))).toBe(1_000)
  expect(ids.next(1_000)).toMatch(V7)
})

test('17 million in one millisecond: the counter runs over into the next millisecond, still ascending', () => {
  const ids = new IdMaker(fakeEnv())
  let last = ids.next(1_000)
  let falls = 0
  for (let count = 1; count < 2 ** 24 + 5_000; count++) {
    const id = ids.next(1_000)
    if (id <= last) falls++
    last = id
  }
  expect(falls).toBe(0)
  expect(timeOfId(last)).toBe(1_001)
  expect(last).toMatch(V7)
  const after = ids.next(1_001)
  expect(after > last).toBe(true)
}, 60_000)

test('two makers of one millisecond share no id', () => {
  const env = fakeEnv()
  const [one, two] = [new IdMaker(env), new IdMaker(env)]
  const all = new Set<string>()
  for (let count = 0; count < 50_000; count++) {
    all.add(one.next(1_000 + (count >> 10)))
    all.add(two.next(1_000 + (count >> 10)))
  }
  expect(all.size).toBe(100_000)
})

test('the random bits come from the environment: the same seed, the same ids', () => {
  const ids = (seed: number): string[] => {
    const maker = new IdMaker(fakeEnv({ seed }))
    return [maker.next(1), maker.next(1), maker.next(2)]
  }
  expect(ids(7)).toEqual(ids(7))
  expect(ids(7)).not.toEqual(ids(8))
})

test('extreme random numbers still give well-formed ids', () => {
  for (const random of [0, 1 - 2 ** -53]) {
    const env: Env = { ...fakeEnv(), random: () => random }
    expect(new IdMaker(env).next(1_700_000_000_000)).toMatch(V7)
  }
})

test('only texts in the form of a UUID are ids', () => {
  for (const wrong of ['', 'msg-1', '0'.repeat(36), `${new IdMaker(fakeEnv()).next(1)}\n`, 5, null, undefined, {}])
    expect(isMessageId(wrong)).toBe(false)
  expect(isMessageId('550E8400-E29B-41D4-A716-446655440000')).toBe(true)
})
