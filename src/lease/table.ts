/** A name that was just taken. */
export interface Claim {
  readonly token: number
  /** Monotonic milliseconds of `Env`, read no later than the table began to count: an owner never thinks it has longer than it has. */
  readonly sinceMs: number
}

/**
 * Where it is written who owns what; the one thing that the kinds of leases differ in. Names and times are checked by the caller. Calls
 * of one caller are carried out in the order in which they were made. Rejects with STORE_FAILED.
 */
export interface LeaseTable {
  /** Undefined when somebody holds the name, or waited for it before. */
  take(name: string, ttlMs: number): Promise<Claim | undefined>
  /** Waits for it. Undefined once the signal is aborted, and then nothing is held. */
  wait(name: string, ttlMs: number, signal: AbortSignal): Promise<Claim | undefined>
  /** `ttlMs` more from now on. False, and nothing changes, when the token is not that of the present owner. */
  extend(name: string, token: number, ttlMs: number): Promise<boolean>
  /** False, and nothing changes, when the token is not that of the present owner. */
  drop(name: string, token: number): Promise<boolean>
  /** The token of the present owner. */
  owner(name: string): Promise<number | undefined>
  /** Called once, last. */
  close(): Promise<void>
}
