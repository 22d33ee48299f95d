import type { Env, Timer } from '../kit/env.ts'

/** Renews leases while there are any: three times within the time of one. */
export class Renewal {
  readonly #env: Env
  readonly #ackWaitMs: number
  readonly #renew: () => boolean
  #timer: Timer | undefined

  /** `renew` extends everything in hand; false when there is nothing any more. */
  constructor(env: Env, ackWaitMs: number, renew: () => boolean) {
    this.#env = env
    this.#ackWaitMs = ackWaitMs
    this.#renew = renew
  }

  /** Something is in hand. */
  begin(): void {
    this.#timer ??= this.#env.after(this.#ackWaitMs / 3, () => {
      this.#timer = undefined
      if (this.#renew()) this.begin()
    })
  }

  end(): void {
    this.#timer?.cancel()
  }
}
