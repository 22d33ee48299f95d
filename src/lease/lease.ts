/** A name held by one owner at a time. */
export interface Lease extends AsyncDisposable {
  readonly name: string
  /** Rises with every new owner of the name, across restarts: whoever writes with a lower one is late. */
  readonly token: number
  /**
   * Aborted when the lease ran out, was taken or was given up: from then on its holder must not act. Its `aborted` asks the clock, so it
   * is true at the first look after a process was stopped for too long, before any timer; the event follows the look.
   */
  readonly signal: AbortSignal
  /** Monotonic milliseconds left; 0 when lost. */
  readonly leftMs: number
  /** Holds it for `ttlMs` more from now on (default: as acquired). False when it was lost; it never comes back. */
  renew(ttlMs?: number): Promise<boolean>
  /** Gives it up at once. False when it was lost already. */
  release(): Promise<boolean>
}

/** How to wait for a lease. */
export interface HoldOptions {
  /** Milliseconds of the lease; it is renewed at a third of them as long as the process lives. */
  readonly ttlMs: number
  readonly signal?: AbortSignal
}

/** One owner at a time; the token only grows (fencing). */
export interface Leases extends AsyncDisposable {
  readonly name: string
  /** True when owners may live in several processes. */
  readonly shared: boolean
  /**
   * The lease, or undefined when somebody holds it; already lost if it came later than its time. Rejects with INVALID_OPTION, QUEUE_FULL
   * above the limit of leases and waits, STORE_FAILED, BUS_CLOSED after disposal, which releases all leases.
   */
  acquire(name: string, ttlMs: number): Promise<Lease | undefined>
  /** Waits until it gets the lease, then keeps renewing it until it is released or lost. Rejects with CANCELLED, or as `acquire`. */
  hold(name: string, options: HoldOptions): Promise<Lease>
  /** The token of the present owner; undefined when nobody holds the name. */
  owner(name: string): Promise<number | undefined>
}
