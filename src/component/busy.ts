import type { Bus } from '../bus/bus.ts'
import type { Env } from '../kit/env.ts'

/** Milliseconds between two looks, when something waits for a component that is not there. */
const LOOK_MS = 20

/** Knows when nothing is on its way in a swarm: no emit, no message that waits or is in hand, none that waits for another try. */
export class Busy {
  readonly #bus: Bus
  readonly #env: Env
  readonly #kept = new Set<Promise<unknown>>()
  /** Those of them that other processes have in hand. */
  readonly #far = new Set<Promise<unknown>>()
  readonly #beside = new Set<Promise<unknown>>()
  #emits = 0
  #quiet: PromiseWithResolvers<void> | undefined = undefined

  constructor(bus: Bus, env: Env) {
    this.#bus = bus
    this.#env = env
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
  sent(receipt: Promise<unknown> | undefined, isFar: boolean): void {
    if (receipt === undefined) return
    this.#kept.add(receipt)
    if (isFar) this.#far.add(receipt)
    void receipt.finally(() => {
      this.#kept.delete(receipt)
      this.#far.delete(receipt)
    })
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

  /** Resolves once nothing is on its way. What waits for another try counts; what is held for a component that is not there does not. */
  idle(): Promise<void> {
    return this.#over(() => [...this.#kept])
  }

  /** The same for this process alone: what others have in hand is theirs. */
  ownOver(): Promise<void> {
    return this.#over(() => [...this.#kept].filter((one) => !this.#far.has(one)))
  }

  async #over(kept: () => readonly Promise<unknown>[]): Promise<void> {
    for (;;) {
      if (this.#emits > 0) {
        this.#quiet ??= Promise.withResolvers<void>()
        await this.#quiet.promise
        continue
      }
      const waiting = kept()
      if (waiting.length > 0) await Promise.allSettled(waiting)
      else if (this.#pending() > 0) await this.#settled()
      else {
        // Whatever just ended may have begun something else.
        await Promise.resolve()
        if (this.#emits === 0 && kept().length === 0 && this.#pending() === 0) return
      }
    }
  }

  /** Messages that somebody can handle. */
  #pending(): number {
    const { pending } = this.#bus.stats().ledger
    return pending === 0 ? 0 : pending - this.#held()
  }

  #held(): number {
    return this.#bus.agents().reduce((sum, one) => sum + (one.held ? one.queued : 0), 0)
  }

  async #settled(): Promise<void> {
    if (this.#held() === 0) return this.#bus.idle()
    // The bus does not tell when all but these are done.
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#env.after(LOOK_MS, resolve)
    await Promise.race([promise, this.#bus.idle()])
    timer.cancel()
  }
}
