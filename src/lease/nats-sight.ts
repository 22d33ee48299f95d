import type { Env } from '../kit/env.ts'
import type { LeaseEntry } from './nats-store.ts'

const MOST = 10_000

/** Since when entries stand, as far as this participant knows. */
export interface LeaseSight {
  /** A write was heard of; whether it was carried out does not matter. */
  hear(by: string): void
  /** Monotonic milliseconds that the owner has left at most; 0 when its time is surely over. */
  leftMs(name: string, entry: LeaseEntry): number
}

/** The moment at which the participant came. */
export interface Arrival {
  readonly seq: number
  readonly storedAtMs: number
}

/**
 * How a lease of another process ends without a clock that both share. Its owner counts its time from before the write; who hears the
 * write, or sees the entry for the first time, counts the same time from then on by its own monotonic clock, and so never ends it too
 * early: no step of any wall clock matters. Only what was written before this participant came is judged by wall clocks, once: its age
 * is the difference of the server's times, or that of the writer's and the own clock, whichever is less, so that a step of one machine
 * does not end it; a step of all of them by more than its time does. Then the token still tells the late owner from the new one.
 */
export function leaseSight(env: Env, arrival: Arrival): LeaseSight {
  const cameMs = env.monotonicMs()
  const cameAtMs = env.wallMs()
  /** When writes were heard of, and since when the entries stand that were seen; the oldest are forgotten first. */
  const heard = new Map<string, number>()
  const seen = new Map<string, { readonly by: string; readonly sinceMs: number }>()

  function sinceOf(name: string, entry: LeaseEntry): number {
    const known = seen.get(name)
    if (known?.by === entry.by) return known.sinceMs
    const sinceMs = heard.get(entry.by) ?? (entry.seq < arrival.seq ? beforeArrival(entry) : env.monotonicMs())
    remember(seen, name, { by: entry.by, sinceMs })
    return sinceMs
  }

  function beforeArrival({ storedAtMs, atMs }: LeaseEntry): number {
    return cameMs - Math.max(0, Math.min(arrival.storedAtMs - storedAtMs, cameAtMs - atMs))
  }

  return {
    hear(by) {
      if (!heard.has(by)) remember(heard, by, env.monotonicMs())
    },
    leftMs: (name, entry) => Math.max(0, sinceOf(name, entry) + entry.ttlMs - env.monotonicMs()),
  }
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= MOST) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
