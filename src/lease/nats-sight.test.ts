import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import { leaseSight } from './nats-sight.ts'
import type { LeaseEntry } from './nats-store.ts'

const WALL = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000

function rig() {
  const env = fakeEnv({ wallMs: WALL })
  return { env, sight: leaseSight(env, { seq: 100, storedAtMs: WALL }) }
}

/** An entry of one second, by default written behind the arrival. */
function entry(more: Partial<LeaseEntry> = {}): LeaseEntry {
  return { by: 'a', ttlMs: 1_000, atMs: WALL, token: 1, seq: 101, storedAtMs: WALL, ...more }
}

test('an entry runs from when its write was heard of, however late it is looked at', async () => {
  const { env, sight } = rig()
  sight.hear('a')
  await env.advance(400)
  sight.hear('a')
  expect(sight.leftMs('jobs', entry())).toBe(600)
  await env.advance(700)
  expect(sight.leftMs('jobs', entry())).toBe(0)
})

test('one whose write was not heard of runs from when it was seen first', async () => {
  const { env, sight } = rig()
  await env.advance(5_000)
  expect(sight.leftMs('jobs', entry())).toBe(1_000)
  await env.advance(300)
  expect(sight.leftMs('jobs', entry())).toBe(700)
  expect(sight.leftMs('jobs', entry({ by: 'renewed', ttlMs: 2_000 }))).toBe(2_000)
})

test('[I14] a step of the wall clock changes nothing of what is seen', async () => {
  const { env, sight } = rig()
  expect(sight.leftMs('jobs', entry({ storedAtMs: WALL - HOUR, atMs: WALL - HOUR }))).toBe(1_000)
  env.setWall(WALL + 10 * HOUR)
  await env.advance(100)
  expect(sight.leftMs('jobs', entry())).toBe(900)
})

test.each<[string, number, number, number]>([
  ['both say it is over', WALL - 2_000, WALL - 2_000, 0],
  ['both say how long it runs', WALL - 400, WALL - 300, 700],
  ['the server says it is an hour old', WALL - HOUR, WALL - 300, 700],
  ['the writer says it is an hour old', WALL - 300, WALL - HOUR, 700],
  ['it was written in the future', WALL + HOUR, WALL + HOUR, 1_000],
])('of what was there before, the younger age counts: %s', async (_, storedAtMs, atMs, leftMs) => {
  const { env, sight } = rig()
  const old = entry({ seq: 99, storedAtMs, atMs })
  env.setWall(WALL + 10 * HOUR)
  expect(sight.leftMs('jobs', old)).toBe(leftMs)
  await env.advance(100)
  expect(sight.leftMs('jobs', old)).toBe(Math.max(0, leftMs - 100))
})

test('[I9] what is remembered is bounded; what was forgotten runs anew, never shorter', async () => {
  const { env, sight } = rig()
  expect(sight.leftMs('first', entry())).toBe(1_000)
  await env.advance(500)
  for (let count = 0; count < 10_000; count++) sight.leftMs(`name-${count}`, entry())
  expect(sight.leftMs('first', entry())).toBe(1_000)
  expect(sight.leftMs('name-9999', entry())).toBe(1_000)
})
