import { checkOption, milliseconds } from '../kit/check.ts'
import type { Env, Timer } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Lease } from './lease.ts'
import type { Claim, LeaseTable } from './table.ts'

/** A lease as its maker sees it. */
export interface Holding {
  readonly lease: Lease
  /** Gives it up because its `Leases` end. */
  end(): Promise<boolean>
}

/** What a lease needs. */
export interface HoldingParts {
  readonly table: LeaseTable
  readonly env: Env
  readonly name: string
  readonly ttlMs: number
  readonly claim: Claim
  /** True: renewed at a third of its time until it ends. */
  readonly renews: boolean
  /** Told once that it ended; `done` settles, never rejects, when the table knows. */
  readonly onEnd: (holding: Holding, done: Promise<unknown>) => void
}

/** After a renewal that failed for a reason that may pass, such as a full disk, the next try comes after this part of the time. */
const RETRY_PART = 12

/** Makes the lease of a claim. Its end is decided by the clock, never by a timer: timers only see to it that somebody looks. */
export function makeHolding({ table, env, name, ttlMs, claim, renews, onEnd }: HoldingParts): Holding {
  const { token } = claim
  const controller = new AbortController()
  let dueMs = claim.sinceMs + ttlMs
  let renewAtMs = claim.sinceMs + ttlMs / 3
  let over = false
  let renewing = false
  let timer: Timer | undefined
  let last: Promise<unknown> = Promise.resolve()

  function end(why: string, done: Promise<unknown>): void {
    over = true
    timer?.cancel()
    onEnd(
      holding,
      done.catch(() => undefined),
    )
    controller.abort(new BusError('CANCELLED', `the lease of "${name}" ${why}`, { details: { name, token } }))
  }

  /** True while it is held. The first look after its time ends it, before anything else is done with it. */
  function alive(): boolean {
    if (over) return false
    if (env.monotonicMs() < dueMs) return true
    // The table may count a little longer than its owner: dropping spares the next one the difference. Stale tokens change nothing.
    end('ran out', table.drop(name, token))
    return false
  }

  function watch(): void {
    timer?.cancel()
    const nextMs = renews && !renewing ? Math.min(renewAtMs, dueMs) : dueMs
    timer = env.after(Math.max(0, nextMs - env.monotonicMs()), wake)
  }

  function wake(): void {
    if (!alive()) return
    if (renews && !renewing && env.monotonicMs() >= renewAtMs) {
      renewing = true
      void keep()
    }
    watch()
  }

  async function keep(): Promise<void> {
    try {
      await inTurn(ttlMs)
    } catch {
      // Lost is only what the table or the clock calls lost.
      renewAtMs = env.monotonicMs() + ttlMs / RETRY_PART
    }
    renewing = false
    if (!over) watch()
  }

  /** One renewal at a time: the answer to a long one must not be taken for that to a short one behind it. */
  function inTurn(forMs: number): Promise<boolean> {
    const turn = last.then(() => extend(forMs))
    last = turn.catch(() => undefined)
    return turn
  }

  async function extend(forMs: number): Promise<boolean> {
    if (!alive()) return false
    const untilMs = env.monotonicMs() + forMs
    if (untilMs < dueMs) {
      // Before the table knows, for its answer may come late.
      dueMs = untilMs
      watch()
    }
    const kept = await table.extend(name, token, forMs)
    if (!kept && !over) end('was taken', Promise.resolve())
    if (!alive()) return false
    dueMs = untilMs
    // Two thirds of its usual time are to be left when it is renewed, however long it was held by hand.
    renewAtMs = untilMs - (ttlMs * 2) / 3
    watch()
    return true
  }

  async function giveUp(why: string): Promise<boolean> {
    if (!alive()) return false
    const dropped = table.drop(name, token)
    end(why, dropped)
    return dropped
  }

  const signal = clockedSignal(controller.signal, alive)
  const lease: Lease = Object.freeze({
    name,
    token,
    get signal() {
      alive()
      return signal
    },
    get leftMs() {
      return alive() ? Math.max(0, dueMs - env.monotonicMs()) : 0
    },
    async renew(forMs: number = ttlMs): Promise<boolean> {
      checkOption('renew', 'ttlMs', forMs, milliseconds(1))
      return inTurn(forMs)
    },
    release: () => giveUp('was released'),
    async [Symbol.asyncDispose](): Promise<void> {
      // Where the table fails the lease runs out by itself; who is leaving has no use for the error.
      await giveUp('was released').catch(() => undefined)
    },
  })
  const holding: Holding = { lease, end: () => giveUp('ended with its leases') }
  watch()
  return holding
}

/**
 * The signal, looking at the clock whenever it is asked. A process that slept through the end of its lease goes on wherever it was
 * stopped, and that may be before any timer: `while (!signal.aborted)` must end there too.
 */
function clockedSignal(signal: AbortSignal, look: () => boolean): AbortSignal {
  const aborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get
  return Object.defineProperties(signal, {
    aborted: {
      get(): boolean {
        look()
        return aborted?.call(signal) === true
      },
    },
    throwIfAborted: {
      value(): void {
        look()
        AbortSignal.prototype.throwIfAborted.call(signal)
      },
    },
  })
}
