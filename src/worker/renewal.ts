import type { Env, Timer } from '../kit/env.ts'
import type { Delivery as Leased, MessageLog } from '../log/log.ts'

/** A message in hand. */
export interface Renewable {
  readonly leased: Leased
  /** Monotonic milliseconds until which the lease lasts for sure. */
  leasedUntilMs: number
}

/** Whose leases are renewed, and who is told. */
export interface Renewed<T extends Renewable> {
  /** Messages in hand. */
  readonly inHand: ReadonlySet<T>
  /** The log could not be asked. */
  failed(asked: Promise<boolean>): void
  /** The lease is not the worker's any more, while the message still is in hand. */
  lost(one: T): void
}

/** Renews leases while there are any: three times within the time of one. */
export class Renewal<T extends Renewable> {
  readonly #env: Env
  readonly #isShared: boolean
  readonly #ackWaitMs: number
  readonly #renewed: Renewed<T>
  #timer: Timer | undefined
  #ended = false

  constructor({ env, log }: { readonly env: Env; readonly log: MessageLog }, ackWaitMs: number, renewed: Renewed<T>) {
    this.#env = env
    this.#isShared = log.supports.shared
    this.#ackWaitMs = ackWaitMs
    this.#renewed = renewed
  }

  /** Something is in hand. */
  begin(): void {
    this.#timer ??= this.#env.after(this.#ackWaitMs / 3, () => {
      this.#timer = undefined
      if (this.#ended) return
      for (const one of this.#renewed.inHand) void this.#extend(one)
      if (this.#renewed.inHand.size > 0) this.begin()
    })
  }

  /** True while the lease lasts for sure; only where somebody else could have the message otherwise is that worth a look. */
  isSure({ leasedUntilMs }: T): boolean {
    return !this.#isShared || this.#env.monotonicMs() <= leasedUntilMs
  }

  /** Asks the log; false when the lease ran out. */
  confirm(one: T): Promise<boolean> {
    return this.#extend(one)
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  #extend(one: T): Promise<boolean> {
    const { leased } = one
    const askedMs = this.#env.monotonicMs()
    const asked = leased.extend().then((held) => {
      if (one.leased !== leased) return held
      if (held) one.leasedUntilMs = askedMs + this.#ackWaitMs
      else if (this.#renewed.inHand.has(one)) this.#renewed.lost(one)
      return held
    })
    this.#renewed.failed(asked)
    return asked
  }
}
