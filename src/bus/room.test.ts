import { expect, test } from 'vitest'
import { Clock } from '../kit/clock.ts'
import { BusError } from '../kit/errors.ts'
import { TimerWheel } from '../kit/timer-wheel.ts'
import { messageMaker } from '../message/make.ts'
import type { Envelope } from '../message/message.ts'
import { LANE_OF, type Priority } from '../message/priority.ts'
import { type FakeEnv, fakeEnv } from '../testing/fake-env.ts'
import type { QueueOptions } from './options.ts'
import { limitsOf, Room } from './room.ts'

const DEFAULTS: Required<QueueOptions> = { limit: 2, overflow: 'wait', waitMs: 1_000, highWater: 0.8, lowWater: 0.5 }

/** A queue as small as a room needs it. */
function setup(options: Partial<Required<QueueOptions>> = {}): {
  env: FakeEnv
  room: Room
  queue: Envelope[]
  pressures: [filled: boolean, size: number][]
  offer(message: Envelope): ReturnType<Room['full']> | 'accepted'
  leave(): void
  resize(options: Partial<Required<QueueOptions>>): void
} {
  const env = fakeEnv()
  const queue: Envelope[] = []
  const pressures: [boolean, number][] = []
  const grown = (): void => {
    if (queue.length > owner.limits.highMark) room.grew(queue.length)
  }
  const owner = {
    name: 'q',
    limits: limitsOf({ ...DEFAULTS, ...options }),
    get size() {
      return queue.length
    },
    env,
    clock: new Clock(env),
    wheel: new TimerWheel(env),
    admit(message: Envelope) {
      queue.push(message)
      grown()
    },
    dropLowest(lane: number) {
      const lowest = Math.max(...queue.map(({ priority }) => LANE_OF[priority]))
      if (queue.length === 0 || lowest < lane) return false
      queue.splice(
        queue.findIndex(({ priority }) => LANE_OF[priority] === lowest),
        1,
      )
      return true
    },
    tellPressure: (filled: boolean, size: number) => void pressures.push([filled, size]),
  }
  const room: Room = new Room(owner, 100)
  return {
    env,
    room,
    queue,
    pressures,
    offer(message) {
      if (queue.length >= owner.limits.limit) return room.full(message, env.monotonicMs())
      owner.admit(message)
      return 'accepted'
    },
    resize(other) {
      owner.limits = limitsOf({ ...DEFAULTS, ...other })
      room.shrank(queue.length)
    },
    leave() {
      queue.shift()
      room.shrank(queue.length)
    },
  }
}

const maker = messageMaker(fakeEnv())
const make = (data: unknown = 0, priority: Priority = 'normal'): Envelope =>
  maker.make('t', data, { priority }) as Envelope
const outcomeOf = (decided: unknown): Promise<BusError | undefined> =>
  (decided as { outcome: Promise<BusError | undefined> }).outcome

test('[L47] refuse: the new one is refused at once, counted, with queue and limit in the error', () => {
  const { offer, room } = setup({ overflow: 'refuse' })
  expect([offer(make()), offer(make())]).toEqual(['accepted', 'accepted'])
  expect(offer(make())).toMatchObject({
    type: 'refused',
    error: { code: 'QUEUE_FULL', details: { name: 'q', size: 2, limit: 2, overflow: 'refuse' } },
  })
  expect(room.rejected).toBe(1)
})

test('[L46] drop-oldest: the oldest of the lowest level goes; what is lower still goes itself', () => {
  const { offer, queue } = setup({ overflow: 'drop-oldest' })
  offer(make('low', 'low'))
  offer(make('normal'))
  expect(offer(make('high', 'high'))).toEqual({ type: 'made-room' })
  expect(queue.map(({ data }) => data)).toEqual(['normal'])
  offer(make('high', 'high'))
  expect(offer(make('low', 'low'))).toEqual({ type: 'dropped' })
  expect(queue.map(({ data }) => data)).toEqual(['normal', 'high'])
})

test('drop-newest: the new one goes', () => {
  const { offer, queue } = setup({ overflow: 'drop-newest' })
  offer(make(1))
  offer(make(2))
  expect(offer(make(3))).toEqual({ type: 'dropped' })
  expect(queue.map(({ data }) => data)).toEqual([1, 2])
})

test('[L48] adaptive: refuses, and slows by 1 ms more per refusal, at most 100, 10 ms less at low water', () => {
  const { offer, room, leave } = setup({ overflow: 'adaptive' })
  offer(make())
  offer(make())
  for (let times = 1; times <= 120; times++) {
    expect(offer(make())).toMatchObject({ type: 'refused' })
    expect(room.slowingMs).toBe(Math.min(times, 100))
  }
  leave()
  expect(room.slowingMs).toBe(90)
  leave()
  expect(room.slowingMs).toBe(90)
})

test('[L49] wait: who waits is let in when there is room, highest first, in order inside a level', async () => {
  const { offer, queue, leave, env, room } = setup({ limit: 3, overflow: 'wait' })
  for (let count = 0; count < 3; count++) offer(make('first'))
  const outcomes = [make('n1'), make('h1', 'high'), make('n2')].map((message) => outcomeOf(offer(message)))
  expect(room.waiting).toBe(3)
  for (let count = 0; count < 3; count++) leave()
  expect(await Promise.all(outcomes)).toEqual([undefined, undefined, undefined])
  expect(queue.map(({ data }) => data)).toEqual(['h1', 'n1', 'n2'])
  await env.advance(100)
  expect([room.waiting, env.timers, room.rejected]).toEqual([0, 0, 0])
})

test('[V24] [VN5] wait: who waits in vain is refused after waitMs, not earlier, and never let in later', async () => {
  const { offer, queue, leave, env, room } = setup({ waitMs: 200 })
  offer(make(1))
  offer(make(2))
  let outcome: BusError | undefined | 'open' = 'open'
  void outcomeOf(offer(make(3))).then((error) => (outcome = error))
  await env.advance(199)
  expect(outcome).toBe('open')
  await env.advance(20)
  expect(outcome).toMatchObject({ code: 'QUEUE_FULL', message: expect.stringContaining('200 ms of waiting passed') })
  leave()
  leave()
  expect(queue).toEqual([])
  expect([room.waiting, room.rejected]).toEqual([0, 1])
})

test('as many may wait as the queue holds; with no time to wait nobody does', () => {
  const { offer, room } = setup()
  const decided = Array.from({ length: 5 }, () => offer(make()))
  expect(decided.map((one) => (one === 'accepted' ? one : one.type))).toEqual([
    'accepted',
    'accepted',
    'waits',
    'waits',
    'refused',
  ])
  expect(room.waiting).toBe(2)
  const hasty = setup({ waitMs: 0 })
  hasty.offer(make())
  hasty.offer(make())
  expect(hasty.offer(make())).toMatchObject({ type: 'refused' })
})

test('waiters that gave up take no memory for long', async () => {
  const { offer, env, room } = setup({ limit: 10, waitMs: 10 })
  for (let count = 0; count < 10; count++) offer(make())
  for (let round = 0; round < 50; round++) {
    for (let count = 0; count < 10; count++) expect(offer(make())).toMatchObject({ type: 'waits' })
    await env.advance(40)
    expect(room.waiting).toBe(0)
  }
  expect([room.rejected, env.timers]).toEqual([500, 0])
})

test('[L45] [V5] the crossing of the high mark is announced once, and again only after the low mark', () => {
  const { offer, leave, pressures, room } = setup({ limit: 10, overflow: 'refuse' })
  const fill = (to: number, from: number): void => {
    for (let count = from; count < to; count++) offer(make())
  }
  fill(8, 0)
  expect(pressures).toEqual([])
  fill(10, 8)
  expect(pressures).toEqual([[true, 9]])
  for (let count = 0; count < 4; count++) leave()
  expect(room.filled).toBe(true)
  fill(10, 6)
  expect(pressures).toHaveLength(1)
  for (let count = 0; count < 5; count++) leave()
  expect(pressures.slice(1)).toEqual([[false, 5]])
  fill(10, 5)
  expect([pressures.length, room.highWaterHits]).toEqual([3, 2])
})

test('closing refuses all who wait, with the error given', async () => {
  const { offer, room, env } = setup()
  offer(make())
  offer(make())
  const waits = [outcomeOf(offer(make())), outcomeOf(offer(make()))]
  const error = new BusError('SUBSCRIPTION_ENDED', 'gone')
  room.close(error)
  expect(await Promise.all(waits)).toEqual([error, error])
  await env.advance(100)
  expect([room.waiting, room.rejected, env.timers]).toEqual([0, 2, 0])
})

test('a larger limit lets those in who wait', async () => {
  const { offer, resize, queue } = setup()
  offer(make(1))
  offer(make(2))
  const waits = outcomeOf(offer(make(3)))
  resize({ limit: 5 })
  expect(await waits).toBeUndefined()
  expect(queue.map(({ data }) => data)).toEqual([1, 2, 3])
})

test('room goes to who still waits, not to who gave up before', async () => {
  const { offer, queue, leave, env, room } = setup({ waitMs: 200 })
  offer(make(1))
  offer(make(2))
  const late = outcomeOf(offer(make(3)))
  await env.advance(150)
  const next = outcomeOf(offer(make(4)))
  await env.advance(80)
  expect(await late).toMatchObject({ code: 'QUEUE_FULL' })
  leave()
  expect(await next).toBeUndefined()
  expect(queue.map(({ data }) => data)).toEqual([2, 4])
  expect([room.waiting, room.rejected]).toEqual([0, 1])
})
