import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type Bus, BusError, type BusOptions, createBus, type EventName, type Ledger } from '../../../src/index.ts'
import { type FakeEnv, fakeEnv } from '../../../src/testing/index.ts'

/** A bus under a clock that stands still. Ends at once, whatever still runs. */
export interface Rig extends AsyncDisposable {
  readonly bus: Bus
  readonly env: FakeEnv
}

export function rig(options: BusOptions = {}): Rig {
  const env = fakeEnv()
  const bus = createBus({ ...options, env })
  return {
    bus,
    env,
    async [Symbol.asyncDispose]() {
      await bus.close({ limitMs: 0 })
    },
  }
}

/** The BusError with which a promise rejects; fails for anything else. */
export async function faultOf(promise: Promise<unknown>): Promise<BusError> {
  let thrown: unknown
  try {
    await promise
  } catch (error) {
    thrown = error
    if (error instanceof BusError) return error
    throw new Error(`rejected with something that is no BusError: ${String(error)}`, { cause: error })
  }
  throw new Error('was expected to reject', { cause: thrown })
}

/** The BusError that a call throws; fails for anything else. */
export function faultIn(run: () => unknown): BusError {
  try {
    run()
  } catch (error) {
    if (error instanceof BusError) return error
    throw new Error(`threw something that is no BusError: ${String(error)}`, { cause: error })
  }
  throw new Error('was expected to throw')
}

export interface Gate {
  readonly opened: Promise<void>
  open(): void
}

/** A promise that the test resolves. */
export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: () => resolve() }
}

/** Counts what a bus announces under an event name while `run` runs. */
export async function announcements(event: EventName, run: () => Promise<void>): Promise<readonly unknown[]> {
  const seen: unknown[] = []
  const listener = (fields: unknown): void => void seen.push(fields)
  subscribe(`swarmbus.${event}`, listener)
  try {
    await run()
  } finally {
    unsubscribe(`swarmbus.${event}`, listener)
  }
  return seen
}

/** What is left over when the balance is drawn; 0 when it is right. */
export function imbalance(ledger: Ledger): number {
  const { published, handled, pending, expired, dropped, failed } = ledger
  return published - handled - pending - expired - dropped - failed
}

/** True once the promise has settled; looked at after everything that is due has run. */
export async function isSettled(promise: Promise<unknown>, env: FakeEnv): Promise<boolean> {
  let settled = false
  const mark = (): void => {
    settled = true
  }
  void promise.then(mark, mark)
  await env.settle()
  return settled
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
