import { expect, test } from 'vitest'
import { BusError } from '../kit/errors.ts'
import { type FakeEnv, fakeEnv } from '../testing/fake-env.ts'
import type { Leases } from './lease.ts'
import { leasesOver } from './leases.ts'
import type { LeaseTable } from './table.ts'

const failed = new BusError('STORE_FAILED', 'no disk')

/** Leases over a table that says yes to everything, but for what a test puts in its place; `asked` is what it was asked. */
function setup(answers: (env: FakeEnv) => Partial<LeaseTable> = () => ({})): {
  env: FakeEnv
  leases: Leases
  asked: string[]
} {
  const env = fakeEnv()
  const asked: string[] = []
  const given = answers(env)
  let tokens = 0
  const claim = () => ({ token: ++tokens, sinceMs: env.monotonicMs() })
  const table: LeaseTable = {
    take: async () => claim(),
    wait: async () => claim(),
    extend: async () => true,
    drop: async () => true,
    owner: async () => undefined,
    close: async () => undefined,
    ...given,
  }
  const noted: LeaseTable = {
    ...table,
    extend(name, token, ttlMs) {
      asked.push(`extend ${token} by ${ttlMs} at ${env.monotonicMs()}`)
      return table.extend(name, token, ttlMs)
    },
    drop(name, token) {
      asked.push(`drop ${token} at ${env.monotonicMs()}`)
      return table.drop(name, token)
    },
  }
  return { env, asked, leases: leasesOver(noted, { name: 'scripted', shared: true, env, limit: 10 }) }
}

function after<T>(env: FakeEnv, delayMs: number, value: T): Promise<T> {
  return new Promise((resolve) => env.after(delayMs, () => resolve(value)))
}

test('a renewal that failed is tried again, and the lease goes on when that comes through', async () => {
  let fails = 3
  const { env, leases, asked } = setup(() => ({
    extend: async () => {
      if (fails-- > 0) throw failed
      return true
    },
  }))
  const lease = await leases.hold('jobs', { ttlMs: 1_200 })
  await env.advance(700)
  expect(asked).toEqual([
    'extend 1 by 1200 at 400',
    'extend 1 by 1200 at 500',
    'extend 1 by 1200 at 600',
    'extend 1 by 1200 at 700',
  ])
  expect(lease.leftMs).toBe(1_200)
  await env.advance(10_000)
  expect(lease.signal.aborted).toBe(false)
})

test('a lease whose renewals keep failing ends by the clock, not before', async () => {
  const { env, leases } = setup(() => ({ extend: () => Promise.reject(failed), drop: () => Promise.reject(failed) }))
  const lease = await leases.hold('jobs', { ttlMs: 1_200 })
  await expect(lease.renew()).rejects.toBe(failed)
  await env.advance(1_199)
  expect(lease.signal.aborted).toBe(false)
  await env.advance(1)
  expect(lease.signal.aborted).toBe(true)
  expect(env.timers).toBe(0)
  await leases[Symbol.asyncDispose]()
})

test('a renewal that is answered after the end of the lease comes too late, and the name is given back', async () => {
  const { env, leases, asked } = setup((clock) => ({ extend: () => after(clock, 2_000, true) }))
  const lease = await leases.hold('jobs', { ttlMs: 1_200 })
  await env.advance(1_200)
  expect(lease.signal.aborted).toBe(true)
  await env.advance(5_000)
  expect([lease.leftMs, await lease.renew()]).toEqual([0, false])
  expect(asked).toEqual(['extend 1 by 1200 at 400', 'drop 1 at 1200'])
})

test('a refused renewal ends the lease at once', async () => {
  const { env, leases, asked } = setup(() => ({ extend: async () => false }))
  const lease = await leases.hold('jobs', { ttlMs: 1_200 })
  await env.advance(400)
  expect(lease.signal.reason).toMatchObject({ message: 'the lease of "jobs" was taken', details: { token: 1 } })
  expect(env.timers).toBe(0)
  expect(asked).toHaveLength(1)
})

test('a renewal that shortens counts from the asking, one that lengthens from the answer', async () => {
  const { env, leases } = setup((clock) => ({ extend: () => after(clock, 100, true) }))
  const lease = (await leases.acquire('jobs', 1_000))!
  const longer = lease.renew(5_000)
  await env.settle()
  expect(lease.leftMs).toBe(1_000)
  const shorter = lease.renew(300)
  await env.advance(100)
  // The long one is answered; the short one behind it is asked now.
  expect([await longer, lease.leftMs]).toEqual([true, 300])
  await env.advance(100)
  expect([await shorter, lease.leftMs]).toEqual([true, 200])
})

test('renewals of one lease are asked one after the other', async () => {
  const { env, leases, asked } = setup((clock) => ({ extend: () => after(clock, 100, true) }))
  const lease = (await leases.acquire('jobs', 1_000))!
  const all = Promise.all([lease.renew(), lease.renew(), lease.renew()])
  await env.advance(300)
  expect(await all).toEqual([true, true, true])
  expect(asked).toEqual(['extend 1 by 1000 at 0', 'extend 1 by 1000 at 100', 'extend 1 by 1000 at 200'])
})

test('a lease that comes when its time is over is lost', async () => {
  const { env, leases, asked } = setup((clock) => ({ take: () => after(clock, 500, { token: 7, sinceMs: 0 }) }))
  const asking = leases.acquire('jobs', 500)
  await env.advance(500)
  const lease = await asking
  expect([lease?.token, lease?.leftMs, lease?.signal.aborted]).toEqual([7, 0, true])
  expect(asked).toEqual(['drop 7 at 500'])
})

test('a wait that gets the name when its time is over gives it back and goes on waiting', async () => {
  let token = 0
  const { env, leases, asked } = setup((clock) => ({
    wait: async () => {
      const sinceMs = clock.monotonicMs()
      return after(clock, ++token === 1 ? 500 : 100, { token, sinceMs })
    },
  }))
  const waiting = leases.hold('jobs', { ttlMs: 500 })
  await env.advance(600)
  const lease = await waiting
  expect([lease.token, lease.leftMs]).toEqual([2, 400])
  expect(asked).toEqual(['drop 1 at 500'])
})

test('a lease that comes when the wait was given up, or the leases ended, is given back', async () => {
  const { env, leases, asked } = setup((clock) => ({
    wait: () => after(clock, 100, { token: 1, sinceMs: clock.monotonicMs() }),
    take: () => after(clock, 200, { token: 2, sinceMs: clock.monotonicMs() }),
    drop: () => Promise.reject(failed),
  }))
  const giving = new AbortController()
  const hold = expect(leases.hold('a', { ttlMs: 9_000, signal: giving.signal })).rejects.toMatchObject({
    code: 'CANCELLED',
  })
  const acquire = expect(leases.acquire('b', 9_000)).rejects.toMatchObject({ code: 'BUS_CLOSED' })
  giving.abort()
  const ending = leases[Symbol.asyncDispose]()
  await env.advance(200)
  await Promise.all([hold, acquire, ending])
  expect(asked).toEqual(['drop 1 at 100', 'drop 2 at 200'])
  expect(env.timers).toBe(0)
})

test('a release that fails rejects, and the lease is over all the same', async () => {
  const { leases } = setup(() => ({ drop: () => Promise.reject(failed) }))
  const [one, two] = [await leases.acquire('a', 9_000), await leases.acquire('b', 9_000)]
  await expect(one?.release()).rejects.toBe(failed)
  expect(one?.signal.aborted).toBe(true)
  await two?.[Symbol.asyncDispose]()
  expect(two?.leftMs).toBe(0)
  await leases[Symbol.asyncDispose]()
})

test('an idle table of leases arms no timer', async () => {
  const { env, leases } = setup()
  await (await leases.hold('jobs', { ttlMs: 1_000 })).release()
  expect(env.timers).toBe(0)
})
