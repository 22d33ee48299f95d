import { expect, test } from 'vitest'
import { fakeEnv } from './fake-env.ts'

test('timers run in the order of their times, equal ones in the order of arming, each at its time', async () => {
  const env = fakeEnv()
  const seen: string[] = []
  const arm = (name: string, delayMs: number): void =>
    void env.after(delayMs, () => seen.push(`${name}@${env.monotonicMs()}`))
  arm('c', 30)
  arm('a', 10)
  arm('b1', 20)
  arm('b2', 20)
  arm('late', 51)
  await env.advance(50)
  expect(seen).toEqual(['a@10', 'b1@20', 'b2@20', 'c@30'])
  expect([env.timers, env.monotonicMs()]).toEqual([1, 50])
  await env.advance(1)
  expect(seen.at(-1)).toBe('late@51')
})

test('both clocks stand still until they are moved, and move together', async () => {
  const env = fakeEnv({ wallMs: 1_000 })
  await new Promise<void>((resolve) => setTimeout(resolve, 5))
  expect([env.wallMs(), env.monotonicMs()]).toEqual([1_000, 0])
  await env.advance(250.5)
  expect([env.wallMs(), env.monotonicMs()]).toEqual([1_250.5, 250.5])
  env.setWall(5)
  expect([env.wallMs(), env.monotonicMs()]).toEqual([5, 250.5])
})

test('promises and turns of the event loop settle before the next timer', async () => {
  const env = fakeEnv()
  const seen: string[] = []
  env.after(10, () => {
    seen.push('timer 1')
    void Promise.resolve().then(() => seen.push('promise'))
    env.soon(() => seen.push('soon'))
    env.nextTurn(() => seen.push('turn'))
  })
  env.after(20, () => seen.push('timer 2'))
  await env.advance(20)
  expect(seen).toEqual(['timer 1', 'promise', 'soon', 'turn', 'timer 2'])
})

test('timers that are armed on the way run in the same advance, if their time comes', async () => {
  const env = fakeEnv()
  const seen: number[] = []
  const again = (): void => {
    seen.push(env.monotonicMs())
    env.after(10, again)
  }
  env.after(10, again)
  await env.advance(45)
  expect(seen).toEqual([10, 20, 30, 40])
  expect(env.timers).toBe(1)
})

test('a cancelled timer never runs, also when an earlier one of the same time cancels it', async () => {
  const env = fakeEnv()
  const seen: string[] = []
  env.after(10, () => second.cancel())
  const second = env.after(10, () => seen.push('second'))
  const third = env.after(5, () => seen.push('third'))
  third.cancel()
  third.cancel()
  await env.advance(20)
  expect(seen).toEqual([])
  expect(env.timers).toBe(0)
})

test('settle runs what is due without moving time', async () => {
  const env = fakeEnv()
  let done = false
  env.nextTurn(() => env.soon(() => env.nextTurn(() => (done = true))))
  await env.settle()
  expect([done, env.monotonicMs()]).toEqual([true, 0])
})

test('the same seed gives the same numbers, in [0, 1), evenly; another seed others', () => {
  const draw = (seed: number): number[] => {
    const env = fakeEnv({ seed })
    return Array.from({ length: 10_000 }, () => env.random())
  }
  expect(draw(7)).toEqual(draw(7))
  expect(draw(7).slice(0, 5)).not.toEqual(draw(8).slice(0, 5))
  const numbers = draw(3)
  expect(numbers.every((one) => one >= 0 && one < 1)).toBe(true)
  const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.02)
  expect(fakeEnv().random()).toBe(draw(1)[0])
})
