import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Ring } from './ring.ts'

type Step =
  | { readonly type: 'push'; readonly value: number }
  | { readonly type: 'shift' | 'peek' | 'clear' }
  | { readonly type: 'filter'; readonly by: number }

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('push' as const), value: fc.nat(100) }) },
    { weight: 4, arbitrary: fc.constant({ type: 'shift' as const }) },
    fc.constant({ type: 'peek' as const }),
    fc.constant({ type: 'clear' as const }),
    fc.record({ type: fc.constant('filter' as const), by: fc.integer({ min: 1, max: 4 }) }),
  ),
  { maxLength: 200 },
)

/** Does the step on both; returns what each answered. */
function both(ring: Ring<number>, model: number[], step: Step): [unknown, unknown] {
  switch (step.type) {
    case 'push':
      return [ring.push(step.value), void model.push(step.value)]
    case 'shift':
      return [ring.shift(), model.shift()]
    case 'peek':
      return [ring.peek(), model[0]]
    case 'clear':
      return [ring.clear(), void (model.length = 0)]
    case 'filter': {
      const kept = model.filter((value) => value % step.by === 0)
      const gone = model.length - kept.length
      model.splice(0, model.length, ...kept)
      return [ring.filter((value) => value % step.by === 0), gone]
    }
    default:
      return step satisfies never
  }
}

test('a ring does whatever an array does, step by step', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const ring = new Ring<number>()
      const model: number[] = []
      for (const step of list) {
        const [got, wanted] = both(ring, model, step)
        expect(got).toBe(wanted)
        expect(ring.size).toBe(model.length)
      }
      expect([...ring]).toEqual(model)
    }),
    { numRuns: 300 },
  )
})

test('order holds while a ring whose head is in the middle grows', () => {
  const ring = new Ring<number>()
  for (let value = 0; value < 8; value++) ring.push(value)
  for (let value = 0; value < 5; value++) ring.shift()
  for (let value = 8; value < 100; value++) ring.push(value)
  expect([...ring]).toEqual(Array.from({ length: 95 }, (_, index) => index + 5))
})

test('a value that was taken is not held any more', async () => {
  const ring = new Ring<object>()
  const refs = ((): WeakRef<object>[] =>
    Array.from({ length: 5 }, (_, index) => {
      const value = { index }
      ring.push(value)
      return new WeakRef(value)
    }))()
  ring.push({ last: true })
  // In a function of its own, so that no register holds the last one.
  ;(() => {
    for (let index = 0; index < 5; index++) ring.shift()
  })()
  await new Promise<void>((resolve) => setImmediate(resolve))
  globalThis.gc?.()
  expect(refs.map((ref) => ref.deref())).toEqual([undefined, undefined, undefined, undefined, undefined])
  expect(ring.size).toBe(1)
})

test('an emptied ring gives the memory of a burst back', () => {
  const heap = (): number => {
    globalThis.gc?.()
    return process.memoryUsage().heapUsed
  }
  const before = heap()
  const ring = new Ring<number>()
  for (let value = 0; value < 2_000_000; value++) ring.push(value)
  const full = heap() - before
  while (ring.size > 0) ring.shift()
  const left = heap() - before
  expect(full).toBeGreaterThan(8_000_000)
  expect(left).toBeLessThan(full / 4)
  ring.push(1)
  expect([...ring]).toEqual([1])
})

test('undefined is a value like any other', () => {
  const ring = new Ring<undefined>()
  ring.push(undefined)
  expect(ring.size).toBe(1)
  expect([...ring]).toEqual([undefined])
  ring.shift()
  expect(ring.size).toBe(0)
})
