import { describeThrown } from '../kit/errors.ts'
import { Ring } from '../kit/ring.ts'
import type { Failure } from './ack.ts'

/** The newest failures of a bus, and the function through which they leave it. */
export class FailureLog {
  readonly #kept = new Ring<Failure>()
  readonly #limit: number
  readonly #onFault: () => void
  onFailure: ((failure: Failure) => void) | undefined = undefined
  total = 0

  /** `onFault` is called when `onFailure` itself throws. */
  constructor(limit: number, onFault: () => void) {
    this.#limit = limit
    this.#onFault = onFault
  }

  add(failure: Failure): void {
    this.total++
    if (this.#limit > 0) {
      if (this.#kept.size >= this.#limit) this.#kept.shift()
      this.#kept.push(failure)
    }
    if (this.onFailure === undefined) return
    try {
      this.onFailure(failure)
    } catch {
      this.#onFault()
    }
  }

  /** The newest `count`, oldest first. */
  list(count: number = this.#kept.size): readonly Failure[] {
    const all = [...this.#kept]
    return all.slice(Math.max(0, all.length - count))
  }

  textOf(error: unknown): string {
    return describeThrown(error)
  }

  clear(): void {
    this.#kept.clear()
  }
}
