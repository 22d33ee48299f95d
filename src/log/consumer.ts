import { Ring } from '../kit/ring.ts'
import type { Delivery } from './log.ts'
import type { Holder } from './slot.ts'

// Hot path: an iterator by hand, since a generator costs three promises an item.

/** Where a consumer gets its deliveries. */
export interface Source {
  /** A delivery, if there is one for this consumer now. */
  deliver(consumer: Consumer): Delivery | undefined
  /** The consumer waits: `give` is to be called when there is one. */
  wait(consumer: Consumer): void
  /** The consumer has ended: what it holds goes back. */
  leave(consumer: Consumer): void
}

interface Ask {
  resolve(result: IteratorResult<Delivery, undefined>): void
  reject(error: unknown): void
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** Settings of {@link Consumer}. */
export interface ConsumerOptions {
  readonly maxInFlight: number
  readonly ackWaitMs: number
  readonly signal: AbortSignal | undefined
}

/** One consumer of a group: the iterator that `consume` gives. A delivery is leased when it is asked for. */
export class Consumer implements AsyncIterableIterator<Delivery, undefined>, Holder {
  held = 0
  readonly maxInFlight: number
  readonly ackWaitMs: number
  readonly #signal: AbortSignal | undefined
  readonly #asks = new Ring<Ask>()
  readonly #onAbort = (): void => this.end()
  #source: Source | undefined
  #ended = false
  #error: { readonly error: unknown } | undefined

  constructor({ maxInFlight, ackWaitMs, signal }: ConsumerOptions) {
    this.maxInFlight = maxInFlight
    this.ackWaitMs = ackWaitMs
    this.#signal = signal
    if (signal?.aborted === true) this.#ended = true
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Somebody waits for a delivery. */
  get asks(): boolean {
    return this.#asks.size > 0
  }

  /** From now on deliveries come from there. */
  attach(source: Source): void {
    this.#source = source
    if (this.#asks.size > 0) source.wait(this)
  }

  next(): Promise<IteratorResult<Delivery, undefined>> {
    if (this.#ended) return this.#last()
    if (this.#asks.size === 0) {
      const value = this.#source?.deliver(this)
      if (value !== undefined) return Promise.resolve({ done: false, value })
      if (this.#ended) return this.#last()
    }
    return new Promise((resolve, reject) => {
      this.#asks.push({ resolve, reject })
      this.#source?.wait(this)
    })
  }

  /** Answers who has waited longest. */
  give(value: Delivery): void {
    this.#asks.shift()?.resolve({ done: false, value })
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.end()
    return DONE
  }

  async throw(error: unknown): Promise<never> {
    this.end()
    throw error
  }

  /** Ends the iteration, with an error if one is given; what is held goes back at once. Again: nothing. */
  end(failure?: { readonly error: unknown }): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = failure
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#source?.leave(this)
    for (let ask = this.#asks.shift(); ask !== undefined; ask = this.#asks.shift()) {
      void this.#last().then(ask.resolve, ask.reject)
    }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #last(): Promise<IteratorReturnResult<undefined>> {
    const failure = this.#error
    this.#error = undefined
    return failure === undefined ? Promise.resolve(DONE) : Promise.reject(failure.error)
  }
}
