import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { Lines } from '../src/bus/lines.ts'
import { createBus, type Handler, PRIORITIES, type Priority, type Subscription } from '../src/index.ts'
import { fakeEnv } from '../src/testing/index.ts'
import { range, rig } from './origins/support/woodwork.ts'

const laneOf = (priority: Priority): number => PRIORITIES.indexOf(priority)

interface Sent {
  readonly session: string | undefined
  readonly priority: Priority
  /** Turns of the loop that its handler takes; 0 for a synchronous one. */
  readonly turns: number
  readonly fails: boolean
  readonly ttlMs: number | undefined
}

type Step =
  | { readonly type: 'publish'; readonly messages: readonly Sent[] }
  | { readonly type: 'join'; readonly concurrency: number | undefined }
  | { readonly type: 'leave'; readonly which: number }
  | { readonly type: 'turn' | 'advance' | 'clear' }

const message: fc.Arbitrary<Sent> = fc.record({
  session: fc.constantFrom(undefined, 's1', 's2', 's3'),
  priority: fc.constantFrom(...PRIORITIES),
  turns: fc.constantFrom(0, 0, 1, 2, 5),
  fails: fc.constantFrom(false, false, true),
  ttlMs: fc.constantFrom(undefined, undefined, undefined, 3),
})
const concurrency = fc.constantFrom(undefined, 1, 2, 3, 8)
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('publish' as const),
      messages: fc.array(message, { minLength: 1, maxLength: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('join' as const), concurrency }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), which: fc.nat({ max: 9 }) }) },
  { weight: 3, arbitrary: fc.constant({ type: 'turn' as const }) },
  { weight: 1, arbitrary: fc.constant({ type: 'advance' as const }) },
  { weight: 1, arbitrary: fc.constant({ type: 'clear' as const }) },
)

interface Begun {
  readonly n: number
  readonly session: string | undefined
  readonly priority: Priority
}

/** Runs a program; returns what began, in order, and the session keys that are left behind. */
async function play(
  steps: readonly Step[],
  first: number | undefined,
  limit: number,
  kind: 'group' | 'agent',
): Promise<{ begun: Begun[]; overlaps: string[]; left: number; most: number; pending: number }> {
  const instances = new Set<Lines>()
  const original = Lines.prototype.mustWait
  const spy = vi.spyOn(Lines.prototype, 'mustWait').mockImplementation(function (this: Lines, one) {
    instances.add(this)
    return original.call(this, one)
  })
  const env = fakeEnv()
  const bus = createBus({ env, overtaking: 3 })
  const begun: Begun[] = []
  const overlaps: string[] = []
  const running = new Map<string, number>()
  let most = 0
  let count = 0
  const handler: Handler = ({ data, session, priority }) => {
    const { n, turns, fails } = data as { n: number; turns: number; fails: boolean }
    begun.push({ n, session, priority })
    const key = session ?? ''
    running.set(key, (running.get(key) ?? 0) + 1)
    if (session !== undefined && running.get(key) !== 1) overlaps.push(`${session}: ${n}`)
    most = Math.max(most, running.size)
    const end = (): void => {
      const rest = (running.get(key) ?? 0) - 1
      if (rest === 0) running.delete(key)
      else running.set(key, rest)
      if (fails) throw new Error('asked for')
    }
    if (turns === 0) return end()
    return (async () => {
      for (let turn = turns; turn > 0; turn--) await new Promise<void>((resolve) => env.nextTurn(resolve))
      end()
    })()
  }
  const shared = (atOnce: number | undefined) => ({
    limit,
    overflow: 'drop-oldest' as const,
    ...(atOnce === undefined ? {} : { concurrency: atOnce }),
  })
  const join = (atOnce: number | undefined): Subscription =>
    bus.subscribe('t', handler, { group: 'g', ...shared(atOnce) })
  // A group's members come and go; an agent's inbox can be cleared.
  const agent = kind === 'agent' ? bus.register('worker', { handler, ...shared(first) }) : undefined
  const topic = kind === 'agent' ? 'agent.worker' : 't'
  const members = [join(first)]
  for (const step of steps) {
    switch (step.type) {
      case 'publish':
        for (const { session, priority, ttlMs, turns, fails } of step.messages) {
          const options = {
            priority,
            ...(session === undefined ? {} : { session }),
            ...(ttlMs === undefined ? {} : { ttlMs }),
          }
          void bus.publish(topic, { n: count++, turns, fails }, options)
        }
        break
      case 'join':
        if (members.length < 5) members.push(join(step.concurrency))
        break
      case 'leave':
        // The last one stays: without members the queue is another one.
        if (members.length > 1) members.splice(step.which % members.length, 1)[0]?.unsubscribe()
        break
      case 'turn':
        await new Promise<void>((resolve) => env.nextTurn(resolve))
        break
      case 'advance':
        await env.advance(5)
        break
      case 'clear':
        agent?.clear()
        break
      default:
        step satisfies never
    }
  }
  for (let turns = 0; bus.stats().ledger.pending > 0 && turns < 200; turns++) await env.settle()
  const { pending } = bus.stats().ledger
  let left = 0
  for (const one of instances) left += one.size + one.parked
  spy.mockRestore()
  await bus.close({ limitMs: 0 })
  return { begun, overlaps, left, most, pending }
}

test('in each session and lane messages begin in the order of publishing, one at a time, and no session key stays', async () => {
  let most = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { minLength: 5, maxLength: 40 }),
      concurrency,
      fc.constantFrom(3, 1_000),
      fc.constantFrom('group', 'agent'),
      async (steps, atOnce, limit, kind) => {
        const seen = await play(steps, atOnce, limit, kind)
        expect(seen.pending, 'messages that are stuck').toBe(0)
        expect(seen.overlaps, 'a session in which two were handled at once').toEqual([])
        const last = new Map<string, number>()
        for (const { n, session, priority } of seen.begun) {
          const key = `${session ?? 'no session'}/${priority}`
          expect(n, `${key} after ${last.get(key)}`).toBeGreaterThan(last.get(key) ?? -1)
          last.set(key, n)
        }
        expect(seen.left, 'sessions that are left behind').toBe(0)
        most = Math.max(most, seen.most)
      },
    ),
    { numRuns: 250, interruptAfterTimeLimit: 9_000 },
  )
  expect(most, 'sessions that ran at once').toBeGreaterThan(2)
})

test.each([
  [undefined, 6],
  [1, 1],
  [4, 4],
  [10, 6],
])('with concurrency %s exactly %s of six sessions are handled at once', async (atOnce, expected) => {
  await using r = rig()
  const { bus, env } = r
  let running = 0
  const release: (() => void)[] = []
  bus.subscribe(
    't',
    () => {
      running++
      return new Promise<void>((resolve) => release.push(resolve)).then(() => void running--)
    },
    atOnce === undefined ? {} : { concurrency: atOnce },
  )
  for (const n of range(3)) for (const s of range(6)) await bus.publish('t', n, { session: `s${s}` })
  await env.settle()
  expect(running).toBe(expected)
  while (release.length > 0) {
    release.shift()?.()
    await env.settle()
    expect(running).toBeLessThanOrEqual(expected)
  }
  expect(bus.stats().ledger).toMatchObject({ handled: 18, pending: 0 })
})

test('after a clear a session goes on, and no session key is left behind', async () => {
  await using r = rig()
  const { bus, env } = r
  const spy = vi.spyOn(Lines.prototype, 'mustWait')
  const seen: unknown[] = []
  const release = new Map<unknown, () => void>()
  const agent = bus.register('worker', {
    concurrency: 3,
    handler: ({ data }) => {
      seen.push(data)
      return new Promise<void>((resolve) => void release.set(data, resolve))
    },
  })
  const send = async (data: string, session: string, priority: Priority = 'normal'): Promise<void> => {
    await bus.send('worker', data, { session, priority })
    await env.settle()
  }
  const end = async (data: string): Promise<void> => {
    release.get(data)?.()
    await env.settle()
  }
  await send('a1', 'a')
  await send('b1', 'b')
  await send('a2', 'a', 'low')
  await send('c1', 'c')
  await send('a3', 'a', 'critical')
  // Now a2 may go on, but a3 goes before it; then a2 is cleared away.
  await end('a1')
  expect(seen).toEqual(['a1', 'b1', 'c1', 'a3'])
  expect(agent.clear()).toBe(1)
  await end('b1')
  await send('a4', 'a')
  for (const one of ['a3', 'c1', 'a4']) await end(one)
  expect(seen).toEqual(['a1', 'b1', 'c1', 'a3', 'a4'])
  expect(bus.stats().ledger).toMatchObject({ pending: 0, dropped: 1, handled: 5 })
  for (const lines of new Set(spy.mock.contexts as Lines[])) expect([lines.size, lines.parked]).toEqual([0, 0])
  spy.mockRestore()
})

test('dropping the oldest of the lowest level also looks at messages that wait for their session, and forgets the session', async () => {
  await using r = rig()
  const { bus, env } = r
  const spy = vi.spyOn(Lines.prototype, 'mustWait')
  const seen: unknown[] = []
  const release = new Map<unknown, () => void>()
  bus.subscribe(
    't',
    ({ data }) => {
      seen.push(data)
      return new Promise<void>((resolve) => void release.set(data, resolve))
    },
    { concurrency: 2, limit: 2, overflow: 'drop-oldest' },
  )
  const send = async (data: string, session: string, priority: Priority): Promise<void> => {
    await bus.publish('t', data, { session, priority })
    await env.settle()
  }
  const end = async (data: string): Promise<void> => {
    release.get(data)?.()
    await env.settle()
  }
  await send('a1', 'a', 'normal')
  // Parked behind a1, although there is room for another session.
  await send('a2', 'a', 'background')
  await send('b1', 'b', 'normal')
  await send('c1', 'c', 'high')
  await send('d1', 'd', 'critical')
  expect(bus.failures().map(({ message }) => message.data)).toEqual(['a2'])

  await send('a3', 'a', 'critical')
  expect(bus.failures().map(({ message }) => message.data)).toEqual(['a2', 'c1'])
  for (const one of ['a1', 'b1', 'd1', 'a3']) await end(one)
  expect(seen).toEqual(['a1', 'b1', 'd1', 'a3'])

  await send('e1', 'e', 'normal')
  await send('e2', 'e', 'low')
  await send('f1', 'f', 'normal')
  await send('g1', 'g', 'critical')
  // e2 may go on now, but g1 goes first; then e2 is dropped while nothing of its session runs.
  await end('e1')
  await send('h1', 'h', 'critical')
  await send('i1', 'i', 'low')
  expect(bus.failures().map(({ message }) => message.data)).toEqual(['a2', 'c1', 'e2'])
  for (const one of ['f1', 'g1', 'h1', 'i1']) await end(one)
  expect(bus.stats().ledger).toMatchObject({ pending: 0, dropped: 3 })
  for (const lines of new Set(spy.mock.contexts as Lines[])) expect([lines.size, lines.parked]).toEqual([0, 0])
  spy.mockRestore()
})

/** Replays a history of one serial consumer and names what breaks the rule of the overtaking bound. */
function boundFaults(
  arrivals: readonly (readonly [atTake: number, lane: number])[],
  taken: readonly number[],
  bound: number,
): string[] {
  const faults: string[] = []
  const waiting = range(5).map(() => [] as number[])
  const passed = range(5).map(() => 0)
  let next = 0
  for (const [turn, n] of taken.entries()) {
    while (next < arrivals.length && arrivals[next]![0] <= turn) waiting[arrivals[next]![1]]?.push(next++)
    const lane = arrivals[n]![1]
    const highest = waiting.findIndex((list) => list.length > 0)
    if (waiting[lane]?.[0] !== n) faults.push(`${n} was not the oldest of its lane`)
    if (lane !== highest && passed[lane]! < bound)
      faults.push(`${n} went before lane ${highest}, though passed only ${passed[lane]} times`)
    const starving = passed.flatMap((count, other) => (count >= bound && waiting[other]!.length > 0 ? [count] : []))
    if (starving.length > 0 && passed[lane] !== Math.max(...starving))
      faults.push(`${n} went before the longest-passed lane`)
    waiting[lane]?.shift()
    passed[lane] = 0
    for (let lower = lane + 1; lower < 5; lower++) if (waiting[lower]!.length > 0) passed[lower]!++
    // Other starving lanes may go first, each of them once.
    for (const [other, count] of passed.entries())
      if (count > bound + 3) faults.push(`lane ${other} was passed ${count} times`)
    const lower = waiting.flatMap((list, other) => (list.length > 0 ? [other] : []))
    if (lower.length <= 2 && lower.some((other) => passed[other]! > bound)) {
      const only = new Set(arrivals.map(([, one]) => one))
      if (only.size <= 2) faults.push(`passed more than ${bound} times with two lanes`)
    }
  }
  return faults
}

test('one serial consumer serves the highest lane, and no head of a lane is passed more often than the bound', async () => {
  const arrival = fc.record({ lane: fc.nat({ max: 4 }), session: fc.constantFrom(undefined, 's1', 's2') })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(arrival, { maxLength: 6 }), { minLength: 3, maxLength: 25 }),
      fc.constantFrom(1, 2, 3, 5),
      fc.constantFrom('plain', 'grouped'),
      fc.subarray([0, 1, 2, 3, 4], { minLength: 2 }),
      async (batches, bound, kind, lanes) => {
        const env = fakeEnv()
        const bus = createBus({ env, overtaking: bound })
        const taken: number[] = []
        let release = (): void => undefined
        const handler = ({ data }: { data: number }): Promise<void> => {
          taken.push(data)
          return new Promise((resolve) => {
            release = resolve
          })
        }
        const options = kind === 'plain' ? { concurrency: 1 } : { concurrency: 1, group: 'g' }
        bus.subscribe<number>('t', handler, options)
        // A second member that leaves again: the queue keeps sessions apart from now on.
        const second = kind === 'grouped' ? bus.subscribe<number>('t', handler, options) : undefined
        second?.unsubscribe()
        const arrivals: [number, number][] = []
        for (const batch of batches) {
          for (const { lane, session } of batch) {
            const allowed = lanes[lane % lanes.length] as number
            const n = arrivals.push([taken.length, allowed]) - 1
            void bus.publish('t', n, {
              priority: PRIORITIES[allowed] as Priority,
              ...(session === undefined ? {} : { session }),
            })
          }
          // One is handled for each batch that comes, then the next batch arrives.
          await env.settle()
          release()
          await env.settle()
        }
        while (bus.stats().ledger.pending > 0) {
          release()
          await env.settle()
        }
        expect(taken).toHaveLength(arrivals.length)
        expect(boundFaults(arrivals, taken, bound)).toEqual([])
        await bus.close({ limitMs: 0 })
      },
    ),
    { numRuns: 120, interruptAfterTimeLimit: 6_000 },
  )
})

test('with the default bound a low message goes after 100 critical ones', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: unknown[] = []
  bus.subscribe('t', ({ data }) => void seen.push(data))
  void bus.publish('t', 'low', { priority: 'low' })
  for (const n of range(300)) void bus.publish('t', n, { priority: 'critical' })
  await env.settle()
  expect(seen.indexOf('low')).toBe(100)
  expect(laneOf('low')).toBe(3)
})
