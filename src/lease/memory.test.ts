import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import { leaseConformance } from './conformance/suite.ts'
import type { Lease, Leases } from './lease.ts'
import { type MemoryLeasesOptions, memoryLeaseHub, memoryLeases } from './memory.ts'

leaseConformance(
  async () => {
    const env = fakeEnv()
    const hub = memoryLeaseHub(env)
    const all: Leases[] = []
    return {
      async connect() {
        const leases = memoryLeases({ hub })
        all.push(leases)
        return leases
      },
      pass: (ms) => env.advance(ms),
      async [Symbol.asyncDispose]() {
        for (const leases of all) await leases[Symbol.asyncDispose]()
        // Whatever a test did, nothing goes on behind it.
        expect(env.timers).toBe(0)
      },
    }
  },
  (title, run) => {
    // The suite brings its own checks, so that it can be shipped: what it throws is the failure.
    test(title, async () => {
      await expect(run()).resolves.toBeUndefined()
    })
  },
)

/** An environment whose clock can jump while no timer fires: a process that was stopped. */
function stopping() {
  const env = fakeEnv()
  let stoppedMs = 0
  return {
    ...env,
    monotonicMs: () => env.monotonicMs() + stoppedMs,
    stop(ms: number) {
      stoppedMs += ms
    },
  }
}

/** The text of what the call throws. */
function thrown(run: () => void): string | undefined {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return undefined
}

test.each<[string, (lease: Lease, signal: AbortSignal) => unknown, unknown]>([
  ['leftMs', (lease) => lease.leftMs, 0],
  ['signal', (lease) => lease.signal.aborted, true],
  ['a signal that is kept', (_lease, signal) => signal.aborted, true],
  ['throwIfAborted', (_lease, signal) => thrown(() => signal.throwIfAborted()), 'the lease of "jobs" ran out'],
])(
  '[I14] after a stop longer than the lease the first question ends it, before any timer: %s',
  async (_, ask, answer) => {
    const env = stopping()
    await using leases = memoryLeases({ env })
    const lease = await leases.hold('jobs', { ttlMs: 1_000 })
    const { signal } = lease
    let told = 0
    signal.addEventListener('abort', () => void told++)
    env.stop(999)
    expect([signal.aborted, lease.leftMs, told]).toEqual([false, 1, 0])
    env.stop(1)
    expect([told, ask(lease, signal), told, signal.reason?.code]).toEqual([0, answer, 1, 'CANCELLED'])
  },
)

test('[I14] after a stop longer than the lease neither renewal nor release come through', async () => {
  const env = stopping()
  const hub = memoryLeaseHub(env)
  const [one, two] = [memoryLeases({ hub }), memoryLeases({ hub })]
  const first = await one.hold('a', { ttlMs: 1_000 })
  const second = await one.hold('b', { ttlMs: 1_000 })
  env.stop(5_000)
  expect([await first.renew(), await second.release()]).toEqual([false, false])
  expect([first.signal.aborted, second.signal.aborted]).toEqual([true, true])
  expect((await two.acquire('a', 1_000))?.token).toBeGreaterThan(first.token)
})

test('[I14] [I15] a holder that was stopped does not disturb the one who took its name meanwhile', async () => {
  const env = stopping()
  const hub = memoryLeaseHub(env)
  const [one, two] = [memoryLeases({ hub }), memoryLeases({ hub })]
  const stale = await one.hold('jobs', { ttlMs: 1_000 })
  env.stop(1_000)
  const fresh = await two.acquire('jobs', 60_000)
  expect([stale.leftMs, await stale.renew(), await stale.release()]).toEqual([0, false, false])
  await one[Symbol.asyncDispose]()
  await env.advance(1_000)
  expect(await two.owner('jobs')).toBe(fresh?.token)
  expect(await fresh?.renew()).toBe(true)
})

test('[I14] steps of the wall clock change nothing', async () => {
  const env = fakeEnv()
  await using leases = memoryLeases({ env })
  const lease = await leases.acquire('jobs', 1_000)
  for (const wallMs of [0, Date.UTC(2100, 0, 1)]) {
    env.setWall(wallMs)
    await env.settle()
    expect(lease?.leftMs).toBe(1_000)
  }
  await env.advance(1_000)
  expect(lease?.leftMs).toBe(0)
})

test('who waits gets the name in the order of asking, at the moment of the release', async () => {
  const env = fakeEnv()
  const hub = memoryLeaseHub(env)
  const all = [memoryLeases({ hub }), memoryLeases({ hub })]
  const order: number[] = []
  const first = await all[0]?.acquire('jobs', 60_000)
  const turns = Array.from({ length: 6 }, async (_, index) => {
    const lease = await all[index % 2]?.hold('jobs', { ttlMs: 60_000 })
    order.push(index)
    await lease?.release()
  })
  await env.settle()
  await first?.release()
  // The one who waits has it: who comes now is too late.
  expect(await all[0]?.acquire('jobs', 1_000)).toBeUndefined()
  await Promise.all(turns)
  expect(order).toEqual([0, 1, 2, 3, 4, 5])
  expect(env.monotonicMs()).toBe(0)
})

test('a held lease is renewed at a third of its time, and later when it was held longer by hand', async () => {
  const env = fakeEnv()
  await using leases = memoryLeases({ env })
  const lease = await leases.hold('jobs', { ttlMs: 3_000 })
  await env.advance(999)
  expect(lease.leftMs).toBe(2_001)
  await env.advance(1)
  expect(lease.leftMs).toBe(3_000)
  expect(await lease.renew(10_000)).toBe(true)
  await env.advance(3_500)
  expect(lease.leftMs).toBe(6_500)
  await env.advance(4_499)
  expect(lease.leftMs).toBe(2_001)
  await env.advance(1)
  expect(lease.leftMs).toBe(3_000)
  await env.advance(1_000_000)
  expect(lease.signal.aborted).toBe(false)
})

test('more leases and waits than the limit are refused, and there is room again behind them', async () => {
  const env = fakeEnv()
  const hub = memoryLeaseHub(env)
  await using leases = memoryLeases({ hub, limit: 2 })
  const first = await leases.acquire('a', 1_000)
  const wait = leases.hold('a', { ttlMs: 1_000 })
  for (const call of [leases.acquire('b', 1_000), leases.hold('b', { ttlMs: 1_000 })]) {
    await expect(call).rejects.toMatchObject({ code: 'QUEUE_FULL', details: { name: 'b', limit: 2 } })
  }
  expect(await memoryLeases({ hub, limit: 1 }).acquire('b', 1_000)).toBeDefined()
  await first?.release()
  await wait
  expect(await leases.acquire('c', 1_000)).toBeDefined()
  await env.advance(1_000)
  expect(await leases.acquire('d', 1_000)).toBeDefined()
})

test('an abort listener of the waits is removed behind them', async () => {
  await using leases = memoryLeases({ env: fakeEnv() })
  const controller = new AbortController()
  let listeners = 0
  const { signal } = controller
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }
  const lease = await leases.hold('jobs', { ttlMs: 1_000, signal })
  const wait = leases.hold('jobs', { ttlMs: 1_000, signal })
  expect(listeners).toBe(1)
  await lease.release()
  await wait
  expect(listeners).toBe(0)
})

test.each([
  [{ limit: 0 }],
  [{ env: 5 }],
  [{ hub: {} }],
  [{ hub: 5 }],
  [{ other: 1 }],
  [{ hub: memoryLeaseHub(), env: fakeEnv() }],
])('the options of case %# are refused', (options) => {
  expect(() => memoryLeases(options as MemoryLeasesOptions)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
})
