import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import { Deadline, TimerWheel } from './timer-wheel.ts'

const LATEST_MS = 17

class Note extends Deadline {
  firedMs: number[] = []
  readonly #then: (note: Note) => void
  readonly #nowMs: () => number

  constructor(nowMs: () => number, then: (note: Note) => void = () => undefined) {
    super()
    this.#nowMs = nowMs
    this.#then = then
  }

  override onDue(): void {
    this.firedMs.push(this.#nowMs())
    this.#then(this)
  }
}

function setup(): { env: ReturnType<typeof fakeEnv>; wheel: TimerWheel; note(then?: (note: Note) => void): Note } {
  const env = fakeEnv()
  return { env, wheel: new TimerWheel(env), note: (then) => new Note(env.monotonicMs, then) }
}

test('a deadline fires once, never early, and at most one tick late', async () => {
  const { env, wheel, note } = setup()
  await env.advance(5)
  const notes = [0, 1, 15, 16, 17, 63, 64, 65, 100, 999, 4_095, 4_096, 4_097, 5_000, 12_345].map((inMs) => {
    const one = note()
    wheel.add(one, env.monotonicMs() + inMs, env.monotonicMs())
    return one
  })
  await env.advance(20_000)
  for (const one of notes) {
    expect(one.firedMs).toHaveLength(1)
    expect(one.firedMs[0]).toBeGreaterThanOrEqual(one.dueMs)
    expect(one.firedMs[0]! - one.dueMs).toBeLessThanOrEqual(LATEST_MS)
  }
  expect(wheel.size).toBe(0)
})

test('any adding, moving and removing: those that are left fire in time, the others never', async () => {
  const step = fc.record({
    type: fc.constantFrom('add', 'add', 'move', 'remove', 'wait'),
    which: fc.nat(9),
    ms: fc.oneof(fc.nat(100), fc.nat(10_000)),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const { env, wheel, note } = setup()
      const notes = Array.from({ length: 10 }, () => note())
      /** Due time of those that are in. */
      const due = new Map<number, number>()
      const wanted = notes.map((): number[] => [])
      const settle = (): void => {
        for (const [which, dueMs] of due) {
          if (dueMs + LATEST_MS > env.monotonicMs()) continue
          wanted[which]!.push(dueMs)
          due.delete(which)
        }
      }
      for (const { type, which, ms } of steps) {
        const nowMs = env.monotonicMs()
        if (type === 'wait') {
          // Over every due time that has come, so that the model need not guess inside of a tick.
          await env.advance(ms + LATEST_MS)
          for (const [one, dueMs] of due)
            if (notes[one]!.firedMs.length > wanted[one]!.length) {
              wanted[one]!.push(dueMs)
              due.delete(one)
            }
          settle()
        } else if (type === 'remove') {
          wheel.remove(notes[which]!)
          due.delete(which)
        } else {
          wheel.add(notes[which]!, nowMs + ms, nowMs)
          due.set(which, nowMs + ms)
        }
        expect(wheel.size).toBe(due.size)
      }
      await env.advance(11_000)
      settle()
      expect(due.size).toBe(0)
      for (const [which, one] of notes.entries()) {
        expect(one.firedMs).toHaveLength(wanted[which]!.length)
        for (const [times, firedMs] of one.firedMs.entries()) {
          expect(firedMs).toBeGreaterThanOrEqual(wanted[which]![times]!)
          expect(firedMs - wanted[which]![times]!).toBeLessThanOrEqual(LATEST_MS)
        }
      }
      expect(env.timers).toBe(0)
    }),
    { numRuns: 12 },
  )
})

test('an empty wheel arms no timer, and one that emptied lets go of a long sleep', async () => {
  const { env, wheel, note } = setup()
  expect(env.timers).toBe(0)
  const far = note()
  wheel.add(far, 3_000, 0)
  await env.advance(500)
  expect(env.timers).toBe(1)
  wheel.remove(far)
  expect(env.timers).toBe(0)
  const near = note()
  wheel.add(near, env.monotonicMs() + 10, env.monotonicMs())
  wheel.remove(near)
  await env.advance(100)
  expect(env.timers).toBe(0)
  expect([far.firedMs, near.firedMs]).toEqual([[], []])
})

test('one real timer serves all deadlines', async () => {
  const { env, wheel, note } = setup()
  for (let index = 0; index < 1_000; index++) wheel.add(note(), (index * 37) % 5_000, 0)
  expect(env.timers).toBe(1)
  await env.advance(2_000)
  expect(env.timers).toBe(1)
})

test('a deadline may add itself and others while it fires', async () => {
  const { env, wheel, note } = setup()
  const other = note()
  const beat = note((own) => {
    if (own.firedMs.length < 5) wheel.add(own, own.dueMs + 100, env.monotonicMs())
    else wheel.add(other, env.monotonicMs(), env.monotonicMs())
  })
  wheel.add(beat, 100, 0)
  await env.advance(1_000)
  expect(beat.firedMs).toHaveLength(5)
  for (const [index, firedMs] of beat.firedMs.entries())
    expect(firedMs - 100 * (index + 1)).toBeLessThanOrEqual(LATEST_MS)
  expect(other.firedMs).toHaveLength(1)
  expect(env.timers).toBe(0)
})

test('a deadline may remove its neighbours of the same tick while it fires', async () => {
  const { env, wheel, note } = setup()
  const list: Note[] = []
  for (let index = 0; index < 6; index++) {
    list.push(
      note(() => {
        for (const one of list) wheel.remove(one)
      }),
    )
  }
  for (const one of list) wheel.add(one, 50, 0)
  await env.advance(200)
  expect(list.flatMap(({ firedMs }) => firedMs)).toHaveLength(1)
  expect(wheel.size).toBe(0)
})

test('deadlines beyond one turn of the wheel wait for their turn', async () => {
  const { env, wheel, note } = setup()
  const notes = [4_096, 8_192, 60_000, 86_400_000].map((dueMs) => {
    const one = note()
    wheel.add(one, dueMs, 0)
    return one
  })
  await env.advance(59_000)
  expect(notes.map(({ firedMs }) => firedMs.length)).toEqual([1, 1, 0, 0])
  await env.advance(2_000)
  expect(notes[2]!.firedMs[0]! - 60_000).toBeLessThanOrEqual(LATEST_MS)
  expect(notes[3]!.firedMs).toEqual([])
  expect(env.timers).toBe(1)
})

test('a wheel that idled long serves a new deadline in time', async () => {
  const { env, wheel, note } = setup()
  await env.advance(1_000_000)
  const one = note()
  wheel.add(one, env.monotonicMs() + 40, env.monotonicMs())
  await env.advance(100)
  expect(one.firedMs[0]! - one.dueMs).toBeLessThanOrEqual(LATEST_MS)
})

test('clear forgets everything without calling it', async () => {
  const { env, wheel, note } = setup()
  const notes = [10, 5_000].map((dueMs) => {
    const one = note()
    wheel.add(one, dueMs, 0)
    return one
  })
  wheel.clear()
  expect([wheel.size, env.timers]).toEqual([0, 0])
  await env.advance(6_000)
  expect(notes.flatMap(({ firedMs }) => firedMs)).toEqual([])
  wheel.add(notes[0]!, env.monotonicMs() + 5, env.monotonicMs())
  await env.advance(50)
  expect(notes[0]!.firedMs).toHaveLength(1)
})
