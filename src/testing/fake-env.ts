import { type Env, systemEnv, type Timer } from '../kit/env.ts'

/** An {@link Env} whose clocks stand still until they are moved. */
export interface FakeEnv extends Env {
  /**
   * Moves both clocks on by `ms`, running every timer on the way at its time. Between timers, promises and the turns of the event loop
   * settle. Resolves when nothing is left to do at the new time.
   */
  advance(ms: number): Promise<void>
  /** Lets everything that is due now run, without moving the clocks. */
  settle(): Promise<void>
  /** Sets the wall clock only: a step of the system's clock. */
  setWall(ms: number): void
  /** Timers that are armed. */
  readonly timers: number
}

/** Where a simulated environment starts. */
export interface FakeEnvOptions {
  /** Wall-clock milliseconds at the start. Default 2026-01-01T00:00:00Z. */
  readonly wallMs?: number
  /** Seed of the random numbers. Default 1. */
  readonly seed?: number
}

/** Makes a simulated clock with seeded random numbers: pass it as `createBus({ env })`. The same seed gives the same run. */
export function fakeEnv(options: FakeEnvOptions = {}): FakeEnv {
  const real = systemEnv()
  let monotonicMs = 0
  let wallMs = options.wallMs ?? Date.UTC(2026, 0, 1)
  let state = options.seed ?? 1
  let order = 0
  const armed = new Map<number, { readonly dueMs: number; readonly run: () => void }>()

  const settle = async (): Promise<void> => {
    // Work makes work: a few turns of the real loop let chains of promises and immediates come to rest.
    for (let turn = 0; turn < 8; turn++) await new Promise<void>((resolve) => real.nextTurn(resolve))
  }
  const nextDue = (limitMs: number): number | undefined => {
    let found: number | undefined
    for (const [key, { dueMs }] of armed) {
      const best = found === undefined ? limitMs : (armed.get(found)?.dueMs ?? limitMs)
      if (dueMs < best || (found === undefined && dueMs === best)) found = key
    }
    return found
  }

  return {
    wallMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    random() {
      // mulberry32, public domain (Tommy Ettinger).
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
    },
    after(delayMs, run): Timer {
      const key = order++
      armed.set(key, { dueMs: monotonicMs + Math.max(0, delayMs), run })
      return { cancel: () => void armed.delete(key) }
    },
    soon: real.soon,
    nextTurn: real.nextTurn,
    get timers() {
      return armed.size
    },
    setWall(ms) {
      wallMs = ms
    },
    settle,
    async advance(ms) {
      const untilMs = monotonicMs + ms
      await settle()
      for (let key = nextDue(untilMs); key !== undefined; key = nextDue(untilMs)) {
        const timer = armed.get(key)
        if (timer === undefined) continue
        armed.delete(key)
        wallMs += Math.max(0, timer.dueMs - monotonicMs)
        monotonicMs = Math.max(monotonicMs, timer.dueMs)
        timer.run()
        await settle()
      }
      wallMs += untilMs - monotonicMs
      monotonicMs = untilMs
      await settle()
    },
  }
}
