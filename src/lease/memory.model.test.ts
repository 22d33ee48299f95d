import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import type { Lease } from './lease.ts'
import { memoryLeaseHub, memoryLeases } from './memory.ts'

/** What the model knows of a lease. */
interface Known {
  readonly lease: Lease
  readonly ttlMs: number
  readonly held: boolean
  dueMs: number
}

const NAMES = ['a', 'b']
const step = fc.record({
  type: fc.constantFrom('acquire', 'acquire', 'acquire', 'hold', 'renew', 'renew', 'release', 'wait', 'wait', 'close'),
  who: fc.nat(2),
  name: fc.constantFrom(...NAMES),
  which: fc.nat(20),
  ms: fc.integer({ min: 1, max: 400 }),
})

test('[I15] whatever is asked, a name has one owner at most, for its time, and its tokens rise', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const env = fakeEnv()
      const hub = memoryLeaseHub(env)
      let members = Array.from({ length: 3 }, () => memoryLeases({ hub }))
      const all: Known[] = []
      /** By name. */
      const owners = new Map<string, Known & { readonly who: number }>()
      const tokens = new Map<string, number>()
      const expire = (): void => {
        for (const [name, { dueMs, held }] of owners) if (!held && dueMs <= env.monotonicMs()) owners.delete(name)
      }
      const got = (name: string, who: number, lease: Lease, ttlMs: number, held: boolean): void => {
        expect(lease.token).toBeGreaterThan(tokens.get(name) ?? 0)
        tokens.set(name, lease.token)
        const known = { lease, ttlMs, held, who, dueMs: env.monotonicMs() + ttlMs }
        all.push(known)
        owners.set(name, known)
      }
      for (const { type, who, name, which, ms } of steps) {
        const leases = members[who]!
        const known = all[which % Math.max(1, all.length)]
        const isOwner = known !== undefined && owners.get(known.lease.name)?.lease === known.lease
        if (type === 'acquire' || type === 'hold') {
          const free = !owners.has(name)
          // A wait for a held name is given up at once, and must then have changed nothing.
          const given = new AbortController()
          const asked =
            type === 'acquire'
              ? leases.acquire(name, ms)
              : leases.hold(name, { ttlMs: ms, signal: given.signal }).catch(() => undefined)
          await env.settle()
          given.abort()
          const lease = await asked
          expect(lease !== undefined).toBe(free)
          if (lease !== undefined) got(name, who, lease, ms, type === 'hold')
        } else if (type === 'renew' && known !== undefined) {
          expect(await known.lease.renew(ms)).toBe(isOwner)
          if (isOwner) known.dueMs = env.monotonicMs() + ms
        } else if (type === 'release' && known !== undefined) {
          expect(await known.lease.release()).toBe(isOwner)
          if (isOwner) owners.delete(known.lease.name)
        } else if (type === 'wait') {
          await env.advance(ms)
          expire()
        } else if (type === 'close') {
          await leases[Symbol.asyncDispose]()
          members = members.with(who, memoryLeases({ hub }))
          for (const [owned, owner] of owners) if (owner.who === who) owners.delete(owned)
        }
        for (const each of NAMES) expect(await members[0]!.owner(each)).toBe(owners.get(each)?.lease.token)
        for (const { lease, held, dueMs } of all) {
          const owns = owners.get(lease.name)?.lease === lease
          expect(lease.signal.aborted).toBe(!owns)
          if (!owns) expect(lease.leftMs).toBe(0)
          else if (held) expect(lease.leftMs).toBeGreaterThan(0)
          else expect(lease.leftMs).toBeCloseTo(dueMs - env.monotonicMs(), 6)
        }
      }
      for (const leases of members) await leases[Symbol.asyncDispose]()
      expect(env.timers).toBe(0)
    }),
    { numRuns: 150 },
  )
})
