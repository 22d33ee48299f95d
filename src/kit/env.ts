import { setImmediate as systemImmediate, setTimeout as systemTimeout } from 'node:timers'

/** A timer that was armed by {@link Env.after}. */
export interface Timer {
  cancel(): void
}

/**
 * Everything the core takes from the outside world. The one place where clock, randomness and scheduling enter, so that the
 * same code runs under a simulated clock (`swarmbus/testing`).
 */
export interface Env {
  /** Wall clock, milliseconds since 1970. For display and for times that leave the process; no safety depends on it. */
  wallMs(): number
  /** Monotonic clock in milliseconds with fractions. Never goes back. */
  monotonicMs(): number
  /** A number in [0, 1). */
  random(): number
  /** Calls `run` once after at least `delayMs`. */
  after(delayMs: number, run: () => void): Timer
  /** Calls `run` after the current code, before timers and I/O. */
  soon(run: () => void): void
  /** Calls `run` in the next turn of the event loop, after pending I/O. */
  nextTurn(run: () => void): void
}

/** The real clock, random numbers and scheduler of this process. */
export function systemEnv(): Env {
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    random: () => Math.random(),
    after(delayMs, run) {
      // Node takes a longer delay for 1 ms: callers re-arm, so an early wake is harmless.
      const timer = systemTimeout(run, Math.min(delayMs, 2_147_483_647))
      return { cancel: () => clearTimeout(timer) }
    },
    soon: queueMicrotask,
    nextTurn(run) {
      systemImmediate(run)
    },
  }
}

/**
 * Monotonic milliseconds of the machine, with fractions: the same clock in every thread and process until the machine restarts, however
 * the wall clock is set. For times that several processes compare; within one, {@link Env.monotonicMs} is the clock.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** 128 random bits as 32 hex digits, from the system's source for secrets: for what gives access to whoever knows it. */
export function unguessable(): string {
  // Loaded when it is needed: no bus needs it, and none should be imported more slowly for it.
  return process.getBuiltinModule('node:crypto').randomBytes(16).toString('hex')
}
