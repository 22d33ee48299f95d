import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import { Clock } from './clock.ts'
import type { Env } from './env.ts'

/** An environment that counts readings; each takes `stepMs`. */
function counting(stepMs: number): Env & { reads: number; wall: number; turn(): void } {
  const turns: (() => void)[] = []
  let nowMs = 1_000
  return {
    ...fakeEnv(),
    reads: 0,
    wall: 5_000_000,
    wallMs() {
      return this.wall
    },
    monotonicMs() {
      this.reads++
      nowMs += stepMs
      return nowMs
    },
    nextTurn: (run) => void turns.push(run),
    turn: () => {
      for (const run of turns.splice(0)) run()
    },
  }
}

test('fast uses share readings, at most 16 each', () => {
  const env = counting(0.001)
  const clock = new Clock(env)
  env.reads = 0
  for (let use = 0; use < 1_600; use++) clock.nowMs()
  expect(env.reads).toBeGreaterThanOrEqual(100)
  expect(env.reads).toBeLessThan(120)
})

test('slow uses read anew each time', () => {
  const env = counting(1)
  const clock = new Clock(env)
  env.reads = 0
  const seen = Array.from({ length: 50 }, () => clock.nowMs())
  expect(env.reads).toBe(50)
  expect(new Set(seen).size).toBe(50)
})

test('no reading outlives its turn of the event loop', () => {
  const env = counting(0.001)
  const clock = new Clock(env)
  for (let use = 0; use < 40; use++) clock.nowMs()
  env.turn()
  const before = env.reads
  clock.nowMs()
  expect(env.reads).toBe(before + 1)
  expect(clock.turns).toBe(1)
})

test('one call of the event loop is asked for per turn, none while idle', () => {
  const env = counting(1)
  let asked = 0
  const nextTurn = env.nextTurn
  env.nextTurn = (run) => {
    asked++
    nextTurn(run)
  }
  const clock = new Clock(env)
  for (let use = 0; use < 10; use++) clock.nowMs()
  expect(asked).toBe(1)
  env.turn()
  env.turn()
  expect(asked).toBe(1)
})

test('time never goes back, whatever the wall clock does', async () => {
  const env = fakeEnv({ wallMs: 1_000_000 })
  const clock = new Clock(env)
  let last = clock.nowMs()
  for (const wall of [2_000_000, 0, 500_000]) {
    env.setWall(wall)
    await env.advance(100)
    const nowMs = clock.nowMs()
    expect(nowMs).toBe(last + 100)
    last = nowMs
  }
})

test('wall times follow a step of the system clock within a second of use', async () => {
  const env = fakeEnv({ wallMs: 1_000_000 })
  const clock = new Clock(env)
  expect(clock.wallMs(clock.nowMs())).toBe(1_000_000)
  env.setWall(9_000_000)
  await env.advance(1_001)
  expect(clock.wallMs(clock.readMs())).toBe(9_001_001)
})
