import { checkOption, checkOptions, milliseconds, type Rule } from '../kit/check.ts'
import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { type Holding, makeHolding } from './holding.ts'
import type { HoldOptions, Lease, Leases } from './lease.ts'
import type { Claim, LeaseTable } from './table.ts'

const LONGEST_NAME = 256

const aName: Rule = {
  allowed: `a non-empty, well-formed text of at most ${LONGEST_NAME} characters`,
  ok: (value) => typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME && value.isWellFormed(),
}
const aSignal: Rule = { allowed: 'an AbortSignal', ok: (value) => value instanceof AbortSignal }
const aTime = milliseconds(1)
const HOLD_RULES = { ttlMs: aTime, signal: aSignal }

/** How {@link leasesOver} works. */
export interface LeasesParts {
  readonly name: string
  readonly shared: boolean
  readonly env: Env
  /** Most leases held, calls under way and waits together. */
  readonly limit: number
}

/** The leases of one participant over a table, which it closes when it is disposed. */
export function leasesOver(table: LeaseTable, { name: kind, shared, env, limit }: LeasesParts): Leases {
  const holdings = new Set<Holding>()
  const waits = new Set<AbortController>()
  /** Calls under way: the table stays open for them. */
  const calls = new Set<Promise<unknown>>()
  let askers = 0
  let open = true
  let closing: Promise<void> | undefined

  function closed(): BusError {
    return new BusError('BUS_CLOSED', `the ${kind} leases are closed`)
  }

  function mustBeOpen(): void {
    if (!open) throw closed()
  }

  function track<T>(call: Promise<T>): Promise<T> {
    const settled = call.then(
      () => void calls.delete(settled),
      () => void calls.delete(settled),
    )
    calls.add(settled)
    return call
  }

  /** Runs a question that may end in a lease, if there is room for one. */
  async function asker<T>(name: string, run: () => Promise<T>): Promise<T> {
    if (holdings.size + askers >= limit) {
      throw new BusError('QUEUE_FULL', `${limit} leases of these ${kind} leases are held or waited for`, {
        details: { name, limit },
      })
    }
    askers++
    try {
      return await track(run())
    } finally {
      askers--
    }
  }

  function hand(name: string, ttlMs: number, claim: Claim, renews: boolean): Lease {
    const onEnd = (holding: Holding, done: Promise<unknown>): void => {
      holdings.delete(holding)
      void track(done)
    }
    const holding = makeHolding({ table, env, name, ttlMs, claim, renews, onEnd })
    holdings.add(holding)
    return holding.lease
  }

  /** A table that fails here fails nobody: what it did not drop runs out. */
  async function discard(name: string, { token }: Claim): Promise<void> {
    await table.drop(name, token).catch(() => undefined)
  }

  async function acquire(name: string, ttlMs: number): Promise<Lease | undefined> {
    const claim = await table.take(name, ttlMs)
    if (claim === undefined) return undefined
    if (open) return hand(name, ttlMs, claim, false)
    await discard(name, claim)
    throw closed()
  }

  async function hold(name: string, { ttlMs, signal }: HoldOptions): Promise<Lease> {
    const wait = new AbortController()
    const cancel = (): void => wait.abort()
    waits.add(wait)
    signal?.addEventListener('abort', cancel, { once: true })
    if (signal?.aborted) cancel()
    try {
      for (;;) {
        const claim = wait.signal.aborted ? undefined : await table.wait(name, ttlMs, wait.signal)
        const lives = claim !== undefined && env.monotonicMs() - claim.sinceMs < ttlMs
        if (lives && !wait.signal.aborted) return hand(name, ttlMs, claim, true)
        if (claim !== undefined) await discard(name, claim)
        if (signal?.aborted) {
          throw new BusError('CANCELLED', `the wait for the lease of "${name}" was given up`, {
            cause: signal?.reason,
            details: { name },
          })
        }
        mustBeOpen()
      }
    } finally {
      waits.delete(wait)
      signal?.removeEventListener('abort', cancel)
    }
  }

  async function close(): Promise<void> {
    open = false
    for (const wait of waits) wait.abort()
    for (const holding of [...holdings]) void holding.end().catch(() => undefined)
    // What settles may have started another call: a lease that came too late is dropped.
    while (calls.size > 0) await Promise.all(calls)
    await table.close()
  }

  return Object.freeze({
    name: kind,
    shared,

    async acquire(name: string, ttlMs: number): Promise<Lease | undefined> {
      mustBeOpen()
      checkOption('acquire', 'name', name, aName)
      checkOption('acquire', 'ttlMs', ttlMs, aTime)
      return asker(name, () => acquire(name, ttlMs))
    },

    async hold(name: string, options: HoldOptions): Promise<Lease> {
      mustBeOpen()
      checkOption('hold', 'name', name, aName)
      checkOptions('hold', options, HOLD_RULES)
      checkOption('hold', 'ttlMs', options.ttlMs, aTime)
      return asker(name, () => hold(name, options))
    },

    async owner(name: string): Promise<number | undefined> {
      mustBeOpen()
      checkOption('owner', 'name', name, aName)
      return track(table.owner(name))
    },

    [Symbol.asyncDispose](): Promise<void> {
      closing ??= close()
      return closing
    },
  })
}
