import assert from 'node:assert/strict'
import { type ErrorCode, isBusError } from '../../kit/errors.ts'
import type { Lease, Leases } from '../lease.ts'

/** One place where leases meet: a hub, a file, a server. Disposal ends what `connect` made. */
export interface LeasePlace extends AsyncDisposable {
  /** Another participant. */
  connect(): Promise<Leases>
  /** Lets at least so many milliseconds pass, and what is due in them happen. */
  pass(ms: number): Promise<void>
}

/** Registers a test between two participants of a place of its own. */
export type Between = (title: string, run: (one: Leases, two: Leases, place: LeasePlace) => Promise<void>) => void

/** Longer than any test: what has it does not run out by chance. */
export const LONG_MS = 600_000
/** So short that the tests wait for its end. */
export const SHORT_MS = 150

/** The lease, which nobody may hold. */
export async function get(leases: Leases, name: string, ttlMs: number = LONG_MS): Promise<Lease> {
  const lease = await leases.acquire(name, ttlMs)
  assert.ok(lease !== undefined, `"${name}" should be free`)
  return lease
}

/** Nothing of a lease that ended is true any more. */
export async function assertEnded(lease: Lease): Promise<void> {
  assert.equal(lease.signal.aborted, true)
  assert.equal(lease.leftMs, 0)
  assert.equal(await lease.renew(), false)
  assert.equal(await lease.release(), false)
}

/** The call must reject with the code. */
export async function rejects(call: Promise<unknown>, code: ErrorCode, about?: string): Promise<void> {
  await assert.rejects(call, (error) => isBusError(error, code), about)
}
