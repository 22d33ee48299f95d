import type { Watch } from '../broker/watch.ts'
import type { Env } from '../kit/env.ts'
import { isBusError } from '../kit/errors.ts'
import type { LeaseSight } from './nats-sight.ts'
import type { LeaseBody, LeaseEntry, LeaseStore } from './nats-store.ts'
import type { Claim, LeaseTable } from './table.ts'

/** A waiter looks at least so often, for word of a release may be lost. */
const LOOK_MS = 2_000
/** After a fault of the broker, if its return is not told before. */
const AGAIN_MS = 250
/** Those beyond run out as those of a crashed owner do. */
const MOST_DOUBTS = 10_000

/** What the table is made of. */
export interface NatsTableParts {
  readonly env: Env
  readonly store: LeaseStore
  readonly sight: LeaseSight
  readonly watch: Watch
  /** Tells all participants that the name is free. */
  readonly tell: (name: string) => void
  readonly leave: () => void
}

/** A table that can be told of releases. */
export interface NatsTable extends LeaseTable {
  readonly wake: (name: string) => void
}

interface Own {
  readonly token: number
  /** The number of its newest write that is known of. */
  seq: number
}

interface Attempt {
  readonly by: string
  readonly sinceMs: number
}

/** Who owns what, in a stream whose writes name what they replace. */
export function natsTable({ env, store, sight, watch, tell, leave }: NatsTableParts): NatsTable {
  const me = Array.from({ length: 4 }, () => Math.floor(env.random() * 2 ** 32).toString(36)).join('-')
  let writes = 0
  const own = new Map<string, Own>()
  /** Takes of which it is not known whether they were written; nobody was given their leases. */
  const doubtful = new Map<string, Attempt>()
  /** Calls of one name, one after the other. */
  const calls = new Map<string, Promise<unknown>>()
  /** Waits of one name, the first one first. */
  const lines = new Map<string, Promise<void>>()
  const sleepers = new Map<string, Set<() => void>>()

  const watcher = watch.on(({ type }) => {
    if (type !== 'restored') return
    for (const name of [...sleepers.keys()]) wake(name)
  })

  function wake(name: string): void {
    for (const run of [...(sleepers.get(name) ?? [])]) run()
  }

  function inTurn<T>(name: string, run: () => Promise<T>): Promise<T> {
    const turn = (calls.get(name) ?? Promise.resolve()).then(run)
    const settled = turn.then(
      () => undefined,
      () => undefined,
    )
    calls.set(name, settled)
    void settled.then(() => {
      if (calls.get(name) === settled) calls.delete(name)
    })
    return turn
  }

  function bodyFor(ttlMs: number, token?: number): LeaseBody {
    return { by: `${me}-${++writes}`, ttlMs, atMs: env.wallMs(), ...(token !== undefined && { token }) }
  }

  function claimed(name: string, token: number, seq: number, sinceMs: number): Claim {
    own.set(name, { token, seq })
    doubtful.delete(name)
    return { token, sinceMs }
  }

  async function tryWrite(name: string, ttlMs: number, replaced: number): Promise<Claim | undefined> {
    const sinceMs = env.monotonicMs()
    const body = bodyFor(ttlMs)
    doubtful.set(name, { by: body.by, sinceMs })
    if (doubtful.size > MOST_DOUBTS) for (const oldest of [...doubtful.keys()].slice(0, 1)) doubtful.delete(oldest)
    try {
      const written = await store.write(name, body, replaced)
      if (written !== undefined) return claimed(name, written.token, written.seq, sinceMs)
    } catch (error) {
      // What was never sent is nowhere.
      if (isBusError(error) && isBusError(error.cause, 'BROKER_UNREACHABLE')) doubtful.delete(name)
      throw error
    }
    doubtful.delete(name)
    return undefined
  }

  /** One try: the claim, or for how long it is useless to try again. */
  async function attempt(name: string, ttlMs: number): Promise<Claim | number> {
    const entry = await store.read(name)
    if (entry === undefined) return (await tryWrite(name, ttlMs, 0)) ?? 0
    const lost = doubtful.get(name)
    // An own write of which no answer came: nobody else has it, and its time has begun.
    if (lost?.by === entry.by && entry.ttlMs === ttlMs) return claimed(name, entry.token, entry.seq, lost.sinceMs)
    const leftMs = lost?.by === entry.by ? 0 : sight.leftMs(name, entry)
    if (leftMs > 0) return leftMs
    // Removed first: of two that replace the same entry in a stream of several copies nats-server 2.9 lets both through, but of two that
    // write where there is none only one.
    await store.remove(entry.seq)
    return (await tryWrite(name, ttlMs, 0)) ?? 0
  }

  /** Sleeps until the name may be free. */
  function sleep(name: string, ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const all = sleepers.get(name) ?? new Set()
      sleepers.set(name, all)
      const run = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', run)
        all.delete(run)
        if (all.size === 0 && sleepers.get(name) === all) sleepers.delete(name)
        resolve()
      }
      const timer = env.after(ms, run)
      signal.addEventListener('abort', run)
      all.add(run)
      if (signal.aborted) run()
    })
  }

  async function waitFirst(name: string, ttlMs: number, signal: AbortSignal): Promise<Claim | undefined> {
    while (!signal.aborted) {
      // Told while it was being looked up, it would be missed.
      let told = false
      const ear = sleepers.get(name) ?? new Set()
      sleepers.set(name, ear)
      const mark = (): void => {
        told = true
      }
      ear.add(mark)
      let waitMs: number
      try {
        const got = await inTurn(name, () => attempt(name, ttlMs))
        if (typeof got === 'object') return got
        waitMs = got
      } catch {
        // Whatever the broker has, a wait is for its end.
        waitMs = AGAIN_MS
      } finally {
        ear.delete(mark)
        if (ear.size === 0 && sleepers.get(name) === ear) sleepers.delete(name)
      }
      if (!told && waitMs > 0) await sleep(name, Math.min(waitMs, LOOK_MS), signal)
    }
    return undefined
  }

  /** The entry, if it is that of the token; the number of the newest write may have been lost with its answer. */
  async function find(name: string, token: number): Promise<LeaseEntry | undefined> {
    const entry = await store.read(name)
    return entry?.token === token ? entry : undefined
  }

  function mine(name: string, token: number): Own | undefined {
    const held = own.get(name)
    return held?.token === token ? held : undefined
  }

  /** Runs a step on the newest write of the token; false when it is not that of the owner any more. */
  async function step(name: string, token: number, run: (held: Own) => Promise<boolean>): Promise<boolean> {
    const held = mine(name, token)
    if (held === undefined) return false
    if (await run(held)) return true
    const entry = await find(name, token)
    if (entry !== undefined && entry.seq !== held.seq) {
      held.seq = entry.seq
      if (await run(held)) return true
    }
    if (own.get(name) === held) own.delete(name)
    return false
  }

  return {
    wake,

    async take(name, ttlMs) {
      if (lines.has(name)) return undefined
      const got = await inTurn(name, () => attempt(name, ttlMs))
      return typeof got === 'object' ? got : undefined
    },

    async wait(name, ttlMs, signal) {
      const before = lines.get(name)
      let done: () => void = () => undefined
      const turn = new Promise<void>((resolve) => {
        done = resolve
      })
      const line = before === undefined ? turn : before.then(() => turn)
      lines.set(name, line)
      try {
        if (before !== undefined) await until(before, signal)
        return await waitFirst(name, ttlMs, signal)
      } finally {
        done()
        void line.then(() => {
          if (lines.get(name) === line) lines.delete(name)
        })
      }
    },

    extend: (name, token, ttlMs) =>
      inTurn(name, () =>
        step(name, token, async (held) => {
          const written = await store.write(name, bodyFor(ttlMs, token), held.seq)
          if (written === undefined) return false
          held.seq = written.seq
          return true
        }),
      ),

    drop: (name, token) =>
      inTurn(name, async () => {
        const dropped = await step(name, token, (held) => store.remove(held.seq))
        if (mine(name, token) !== undefined) own.delete(name)
        if (dropped) tell(name)
        return dropped
      }),

    owner: (name) =>
      inTurn(name, async () => {
        const entry = await store.read(name)
        if (entry === undefined || doubtful.get(name)?.by === entry.by) return undefined
        return sight.leftMs(name, entry) > 0 ? entry.token : undefined
      }),

    async close() {
      watcher[Symbol.dispose]()
      leave()
    },
  }
}

/** Resolves with the promise, or once the signal is aborted. */
async function until(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  let run: () => void = () => undefined
  const aborted = new Promise<void>((resolve) => {
    run = resolve
  })
  signal.addEventListener('abort', run)
  if (signal.aborted) run()
  await Promise.race([promise, aborted])
  signal.removeEventListener('abort', run)
}
