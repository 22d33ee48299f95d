import type { Bus } from '../bus/bus.ts'

/** Knows when nothing is on its way in a swarm: no emit, no message that waits or is in hand, none that waits for another try. */
export class Busy {
  readonly #bus: Bus
  readonly #kept = new Set<Promise<unknown>>()
  readonly #beside = new Set<Promise<unknown>>()
  #emits = 0
  #quiet: PromiseWithResolvers<void> | undefined = undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  began(): void {
    this.#emits++
  }

  ended(): void {
    if (--this.#emits > 0) return
    this.#quiet?.resolve()
    this.#quiet = undefined
  }

  /** A message of a log is on its way until its receipt says that it is over. */
  sent(receipt: Promise<unknown> | undefined): void {
    if (receipt === undefined) return
    this.#kept.add(receipt)
    void receipt.finally(() => this.#kept.delete(receipt))
  }

  /** A hook or listener that runs beside the messages. */
  beside(run: Promise<unknown>): void {
    this.#beside.add(run)
    void run.finally(() => this.#beside.delete(run))
  }

  /** Resolves when the hooks and listeners that run now are done. */
  async besideOver(): Promise<void> {
    await Promise.allSettled([...this.#beside])
  }

  /** Resolves once nothing is on its way. What waits for another try counts. */
  async idle(): Promise<void> {
    for (;;) {
      if (this.#emits > 0) {
        this.#quiet ??= Promise.withResolvers<void>()
        await this.#quiet.promise
      } else if (this.#kept.size > 0) await Promise.allSettled([...this.#kept])
      else {
        await this.#bus.idle()
        if (this.#emits === 0 && this.#kept.size === 0 && this.#bus.stats().ledger.pending === 0) return
      }
    }
  }
}
