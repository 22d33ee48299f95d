import { endCases } from './ends.ts'
import { ownerCases } from './owners.ts'
import type { Between, LeasePlace } from './place.ts'
import { waitCases } from './waits.ts'

export type { LeasePlace } from './place.ts'

/** Registers a test, as `test` of vitest or of `node:test` does; the runner limits its time. */
export type RegisterTest = (title: string, run: () => Promise<void>) => void

/** Registers the tests that all leases must pass. `makePlace` makes an empty place for each test. */
export function leaseConformance(makePlace: () => Promise<LeasePlace>, test: RegisterTest): void {
  const between: Between = (title, run) =>
    test(title, async () => {
      await using place = await makePlace()
      await run(await place.connect(), await place.connect(), place)
    })
  ownerCases(between, makePlace)
  waitCases(between)
  endCases(between)
}
