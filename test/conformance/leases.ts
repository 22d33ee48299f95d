import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { leaseConformance } from '../../src/lease/conformance/suite.ts'
import type { Leases } from '../../src/lease/lease.ts'

/** Registers the suite of leases on a server: `connect` makes a participant with a link of its own, which ends both. */
export function leasesOnServer(
  connect: (prefix: string) => Promise<AsyncDisposable & { readonly leases: Leases }>,
  titled: (title: string) => string,
): void {
  let places = 0
  leaseConformance(
    async () => {
      const prefix = `place-${++places}`
      const made: AsyncDisposable[] = []
      return {
        async connect() {
          const one = await connect(prefix)
          made.unshift(one)
          return one.leases
        },
        pass: (ms) => sleep(ms),
        async [Symbol.asyncDispose]() {
          for (const one of made) await one[Symbol.asyncDispose]()
        },
      }
    },
    (title, run) => {
      // The suite brings its own checks, so that it can be shipped: what it throws is the failure.
      test(titled(title), async () => {
        await expect(run()).resolves.toBeUndefined()
      })
    },
  )
}
