import { anObject, checkOption, checkOptions, type Rule, whole } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import type { Leases } from './lease.ts'
import { leasesOver } from './leases.ts'
import type { Claim, LeaseTable } from './table.ts'

const LIMIT = 10_000

/** How {@link memoryLeases} work. */
export interface MemoryLeasesOptions {
  /** Where names are owned. Default: a hub of its own. */
  readonly hub?: MemoryLeaseHub
  /** Clock and timers of a hub of its own; a given hub brings its own. Default: those of the process. */
  readonly env?: Env
  /** Most leases held, calls under way and waits together; more are refused with QUEUE_FULL. Default 10 000. */
  readonly limit?: number
}

/** What the memory leases of one process share: make one hub, and leases for each participant. */
export interface MemoryLeaseHub {
  readonly env: Env
}

interface Waiter {
  readonly ttlMs: number
  readonly get: (claim: Claim) => void
}

interface Owned {
  readonly token: number
  dueMs: number
  /** Who waits, the first one first. */
  readonly waiters: Set<Waiter>
}

/** The tables behind the hubs, which show nothing of them. */
const tables = new WeakMap<object, LeaseTable>()

const aHub: Rule = { allowed: 'a hub of memoryLeaseHub()', ok: (value) => tables.has(value as object) }
const alone: Rule = { allowed: 'no `env` beside a hub, which brings its own', ok: () => false }
const RULES = { hub: aHub, env: anObject, limit: whole(1) }

/** Makes a hub: names that have one owner at a time among all its leases. */
export function memoryLeaseHub(env: Env = systemEnv()): MemoryLeaseHub {
  const hub: MemoryLeaseHub = Object.freeze({ env })
  tables.set(hub, memoryTable(env))
  return hub
}

/** Owners in this process. Who waits gets the lease in the order of asking. Throws INVALID_OPTION. */
export function memoryLeases(options: MemoryLeasesOptions = {}): Leases {
  checkOptions('memoryLeases', options, RULES)
  const { limit = LIMIT } = options
  if (options.hub !== undefined && options.env !== undefined) checkOption('memoryLeases', 'env', options.env, alone)
  const hub = options.hub ?? memoryLeaseHub(options.env)
  return leasesOver(tables.get(hub) as LeaseTable, { name: 'memory', shared: false, env: hub.env, limit })
}

function memoryTable(env: Env): LeaseTable {
  /** Held names only, so that it does not grow with every name that ever was. */
  const names = new Map<string, Owned>()
  // One count for all names rises for each of them, and need not be kept for those that nobody holds.
  let tokens = 0

  function give(name: string, ttlMs: number, waiters: Set<Waiter>): Claim {
    const claim: Claim = { token: ++tokens, sinceMs: env.monotonicMs() }
    names.set(name, { token: claim.token, dueMs: claim.sinceMs + ttlMs, waiters })
    return claim
  }

  /** Nobody owns it any more: the next one does. */
  function pass(name: string, { waiters }: Owned): void {
    for (const next of waiters) {
      waiters.delete(next)
      next.get(give(name, next.ttlMs, waiters))
      return
    }
    names.delete(name)
  }

  /** The present owner; one whose time is up gives way first. */
  function present(name: string): Owned | undefined {
    const owned = names.get(name)
    if (owned === undefined || env.monotonicMs() < owned.dueMs) return owned
    pass(name, owned)
    return names.get(name)
  }

  function owns(name: string, token: number): Owned | undefined {
    const owned = present(name)
    return owned?.token === token ? owned : undefined
  }

  return {
    async take(name, ttlMs) {
      return present(name) === undefined ? give(name, ttlMs, new Set()) : undefined
    },

    async wait(name, ttlMs, signal) {
      const owned = present(name)
      if (signal.aborted) return undefined
      if (owned === undefined) return give(name, ttlMs, new Set())
      const { waiters } = owned
      return new Promise((resolve) => {
        const get = (claim: Claim | undefined): void => {
          signal.removeEventListener('abort', leave)
          resolve(claim)
        }
        const waiter: Waiter = { ttlMs, get }
        const leave = (): void => {
          waiters.delete(waiter)
          get(undefined)
        }
        signal.addEventListener('abort', leave, { once: true })
        waiters.add(waiter)
      })
    },

    async extend(name, token, ttlMs) {
      const owned = owns(name, token)
      if (owned !== undefined) owned.dueMs = env.monotonicMs() + ttlMs
      return owned !== undefined
    },

    async drop(name, token) {
      const owned = owns(name, token)
      if (owned !== undefined) pass(name, owned)
      return owned !== undefined
    },

    async owner(name) {
      return present(name)?.token
    },

    async close() {
      // The names of a closed participant were dropped; the hub goes on for the others.
    },
  }
}
