import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LANE_COUNT } from '../message/priority.ts'
import { Lanes, NO_RANK } from './lanes.ts'

interface Waiting {
  readonly lane: number
  readonly number: number
}

/** What waits, by lane, and how often each head was passed since it became the head. */
class Model {
  readonly lanes: Waiting[][] = Array.from({ length: LANE_COUNT }, () => [])
  readonly passed: number[] = Array.from({ length: LANE_COUNT }, () => 0)

  get size(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.length, 0)
  }

  /** Notes that the value left; checks every promise about which one may. */
  took(value: Waiting, bound: number): void {
    const highest = this.lanes.findIndex((lane) => lane.length > 0)
    const due = this.passed.some((count, lane) => count >= bound && this.lanes[lane]!.length > 0)
    // First in, first out inside the lane.
    expect(this.lanes[value.lane]![0]).toBe(value)
    if (!due) expect(value.lane).toBe(highest)
    else if (value.lane !== highest) expect(this.passed[value.lane]).toBe(bound)
    this.lanes[value.lane]!.shift()
    this.passed[value.lane] = 0
    for (let lower = value.lane + 1; lower < LANE_COUNT; lower++) {
      if (this.lanes[lower]!.length === 0) continue
      this.passed[lower]!++
      // The bound holds to the message, for each lane.
      expect(this.passed[lower]).toBeLessThanOrEqual(bound)
    }
  }
}

test('[Z4] [Z5] [V30] highest lane first, in order inside a lane, and no head is passed more often than the bound', () => {
  const steps = fc.array(
    fc.oneof({ weight: 3, arbitrary: fc.nat(LANE_COUNT - 1) }, { weight: 2, arbitrary: fc.constant('take' as const) }),
    { maxLength: 300 },
  )
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 8 }), (list, bound) => {
      const lanes = new Lanes<Waiting>(bound)
      const model = new Model()
      let number = 0
      const take = (): void => {
        const next = lanes.nextLane()
        const value = lanes.take()
        if (model.size === 0) {
          expect([value, next]).toEqual([undefined, -1])
          return
        }
        expect(value?.lane).toBe(next)
        model.took(value!, bound)
      }
      for (const step of list) {
        if (step === 'take') take()
        else {
          const value = { lane: step, number: number++ }
          lanes.push(step, value)
          model.lanes[step]!.push(value)
        }
        expect(lanes.size).toBe(model.size)
      }
      while (model.size > 0) take()
      expect([lanes.size, lanes.rank(), lanes.lowestLane()]).toEqual([0, NO_RANK, -1])
    }),
    { numRuns: 500 },
  )
})

test('[Z5] under an endless stream of higher values a low one is passed by exactly the bound, then goes', () => {
  const lanes = new Lanes<string>(100)
  lanes.push(3, 'low')
  const taken: (string | undefined)[] = []
  for (let count = 0; count < 150; count++) {
    lanes.push(0, 'critical')
    taken.push(lanes.take())
  }
  expect(taken.indexOf('low')).toBe(100)
})

test('all four lower lanes move on under an endless stream of the highest, each within the bound', () => {
  const lanes = new Lanes<number>(10)
  for (let lane = 1; lane < LANE_COUNT; lane++) for (let count = 0; count < 5; count++) lanes.push(lane, lane)
  const served = [0, 0, 0, 0, 0]
  for (let count = 0; count < 200; count++) {
    lanes.push(0, 0)
    served[lanes.take()!]!++
  }
  expect(served.slice(1)).toEqual([5, 5, 5, 5])
})

test('[C5] five critical values behind 2 000 low ones are the next five', () => {
  const lanes = new Lanes<string>(100)
  for (let count = 0; count < 2_000; count++) lanes.push(3, `low ${count}`)
  for (let count = 0; count < 5; count++) lanes.push(0, `critical ${count}`)
  expect(Array.from({ length: 6 }, () => lanes.take())).toEqual([
    'critical 0',
    'critical 1',
    'critical 2',
    'critical 3',
    'critical 4',
    'low 0',
  ])
})

test('a new lonely value starts with no count from before', () => {
  const lanes = new Lanes<string>(3)
  const drive = (times: number): void => {
    for (let count = 0; count < times; count++) {
      lanes.push(0, 'high')
      lanes.take()
    }
  }
  lanes.push(4, 'first')
  drive(2)
  expect(lanes.takeFrom(4)).toBe('first')
  lanes.push(4, 'second')
  drive(2)
  lanes.push(0, 'high')
  expect(lanes.take()).toBe('high')
})

test('a count brought along is taken over by the head of its lane', () => {
  const lanes = new Lanes<string>(3)
  lanes.push(4, 'low', 3)
  lanes.push(0, 'high')
  expect([lanes.rank(), lanes.take(), lanes.rank(), lanes.take()]).toEqual([-1, 'low', 0, 'high'])
})

test('filter takes out what is not kept, counts it, and leaves order and sizes right', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(LANE_COUNT - 1), fc.nat(99))), (list) => {
      const lanes = new Lanes<number>(100)
      for (const [lane, value] of list) lanes.push(lane, value)
      const kept = list.filter(([, value]) => value % 3 === 0)
      expect(lanes.filter((value) => value % 3 === 0)).toBe(list.length - kept.length)
      const byLane = kept.toSorted(([a], [b]) => a - b).map(([, value]) => value)
      expect([...lanes]).toEqual(byLane)
      expect(lanes.size).toBe(kept.length)
      for (let lane = 0; lane < LANE_COUNT; lane++)
        expect(lanes.sizeOf(lane)).toBe(kept.filter(([one]) => one === lane).length)
      expect(Array.from({ length: kept.length }, () => lanes.take())).toEqual(byLane)
      expect(lanes.take()).toBeUndefined()
    }),
  )
})

test('clear empties every lane', () => {
  const lanes = new Lanes<number>(1)
  for (let lane = 0; lane < LANE_COUNT; lane++) lanes.push(lane, lane)
  lanes.clear()
  expect([lanes.size, lanes.take(), [...lanes], lanes.peekFrom(2)]).toEqual([0, undefined, [], undefined])
  lanes.push(4, 9)
  expect([lanes.peekFrom(4), lanes.lowestLane(), lanes.take()]).toEqual([9, 4, 9])
})
