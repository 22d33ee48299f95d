import fc from 'fast-check'
import { expect, test } from 'vitest'
import { messageMaker } from '../message/make.ts'
import type { Envelope } from '../message/message.ts'
import { LANE_OF, PRIORITIES, type Priority } from '../message/priority.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { NO_RANK } from './lanes.ts'
import { Lines } from './lines.ts'

const maker = messageMaker(fakeEnv())
const make = (session: string | undefined, priority: Priority = 'normal', number = 0): Envelope<number> =>
  maker.make('t', number, { session, priority }) as Envelope<number>

test('[L12] [W13] in any run, a session handles one at a time, in order inside a lane, and nothing is lost', () => {
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('come' as const),
        session: fc.constantFrom('s1', 's2', 's3'),
        priority: fc.constantFrom(...PRIORITIES),
      }),
    },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('end' as const), which: fc.nat(5) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const lines = new Lines(100, () => true)
      const running: Envelope<number>[] = []
      const handled: Envelope<number>[] = []
      const came: Envelope<number>[] = []
      const start = (message: Envelope<number>): void => {
        expect(running.map(({ session }) => session)).not.toContain(message.session)
        lines.started(message.session)
        running.push(message)
        handled.push(message)
      }
      const go = (): void => {
        for (let one = lines.takeReady(); one !== undefined; one = lines.takeReady()) start(one as Envelope<number>)
      }
      const end = (which: number): void => {
        const [message] = running.splice(which % running.length, 1)
        lines.ended(message!.session)
        go()
      }
      for (const one of steps) {
        if (one.type === 'come') {
          const message = make(one.session, one.priority, came.length)
          came.push(message)
          if (lines.mustWait(message)) lines.park(message, 0)
          else start(message)
          go()
        } else if (running.length > 0) end(one.which)
        expect(lines.parked).toBe(came.length - handled.length)
      }
      while (running.length > 0) end(0)
      expect(handled).toHaveLength(came.length)
      for (const session of ['s1', 's2', 's3']) {
        for (const priority of PRIORITIES) {
          const of = (list: readonly Envelope<number>[]): number[] =>
            list.filter((one) => one.session === session && one.priority === priority).map(({ data }) => data)
          expect(of(handled)).toEqual(of(came))
        }
      }
      expect([lines.size, lines.parked, lines.rank()]).toEqual([0, 0, NO_RANK])
    }),
    { numRuns: 300 },
  )
})

test('[LN11] a busy session does not hold up another', () => {
  const lines = new Lines(100, () => true)
  lines.started('busy')
  expect(lines.mustWait(make('busy'))).toBe(true)
  expect(lines.mustWait(make('free'))).toBe(false)
})

test('of the lines that may go on, the one with the highest waiting message goes first', () => {
  const lines = new Lines(100, () => true)
  for (const session of ['a', 'b', 'c']) lines.started(session)
  lines.park(make('a', 'low'), 0)
  lines.park(make('b', 'critical'), 0)
  lines.park(make('c', 'normal'), 0)
  expect(lines.takeReady()).toBeUndefined()
  for (const session of ['a', 'b', 'c']) lines.ended(session)
  expect(lines.rank()).toBe(LANE_OF.critical)
  expect([1, 2, 3, 4].map(() => lines.takeReady()?.session)).toEqual(['b', 'c', 'a', undefined])
})

test('messages without a session wait for the room of their members', () => {
  let room = false
  const lines = new Lines(100, () => room)
  expect(lines.mustWait(make(undefined))).toBe(true)
  lines.park(make(undefined, 'normal', 1), 0)
  lines.park(make(undefined, 'normal', 2), 0)
  expect(lines.takeReady()).toBeUndefined()
  room = true
  lines.skipped(undefined)
  expect([lines.takeReady()?.data, lines.takeReady()?.data]).toEqual([1, 2])
  expect(lines.parked).toBe(0)
})

test('the lowest level that waits is known, and its oldest message is taken out of whatever line it waits in', () => {
  const lines = new Lines(100, () => true)
  for (const session of ['a', 'b', 'c']) lines.started(session)
  lines.park(make('a', 'normal', 1), 0)
  const [older, newer] = [make('c', 'low', 2), make('b', 'low', 3)]
  lines.park(newer, 0)
  lines.park(older, 0)
  expect(lines.lowestLane()).toBe(LANE_OF.low)
  expect([lines.takeOldest(LANE_OF.low)?.data, lines.takeOldest(LANE_OF.low)?.data]).toEqual([2, 3])
  expect([lines.takeOldest(LANE_OF.low), lines.lowestLane(), lines.parked]).toEqual([undefined, LANE_OF.normal, 1])
  expect(lines.takeOldest(LANE_OF.normal)?.data).toBe(1)
  expect([lines.parked, lines.lowestLane()]).toEqual([0, -1])
  for (const session of ['a', 'b', 'c']) lines.ended(session)
  expect(lines.size).toBe(0)
})

test('takeAll empties every line, level by level, and forgets what does not run', () => {
  const lines = new Lines(100, () => true)
  lines.started('a')
  lines.park(make('a', 'low', 1), 0)
  lines.park(make('a', 'high', 2), 0)
  lines.park(make('a', 'low', 3), 0)
  expect(lines.takeAll().map(({ data }) => data)).toEqual([2, 1, 3])
  expect([lines.parked, lines.size]).toEqual([0, 1])
  lines.ended('a')
  expect(lines.size).toBe(0)
})

test('10 000 sessions that are done leave nothing behind', () => {
  const lines = new Lines(100, () => true)
  for (let number = 0; number < 10_000; number++) {
    lines.started(`s${number}`)
    lines.park(make(`s${number}`), 0)
  }
  expect(lines.size).toBe(10_000)
  for (let number = 0; number < 10_000; number++) {
    lines.ended(`s${number}`)
    lines.takeReady()
    lines.skipped(`s${number}`)
  }
  expect(lines.size).toBe(0)
})

test('what arrives waits behind a parked message of its session and lane, also when the session is idle', () => {
  const lines = new Lines(100, () => true)
  lines.started('a')
  lines.park(make('a', 'normal', 1), 0)
  lines.ended('a')
  expect(lines.mustWait(make('a', 'normal', 2))).toBe(true)
  expect(lines.mustWait(make('a', 'high', 3))).toBe(false)
})
