import { abortReason } from './pause.ts'

/** Somebody in a line. */
export interface Waiting {
  readonly cost: number
  /** Ends the wait; the line has forgotten it by then. */
  readonly go: () => void
}

/** A first-in-first-out line, each of whom may leave through its signal. */
export class Line {
  readonly #waiting = new Set<Waiting>()
  #cost = 0

  get size(): number {
    return this.#waiting.size
  }

  /** What all who wait want together. */
  get cost(): number {
    return this.#cost
  }

  get first(): Waiting | undefined {
    for (const one of this.#waiting) return one
    return undefined
  }

  /** Resolves when {@link Line.next} has come to this one; rejects with the signal's reason when it is aborted before. */
  join(cost: number, signal: AbortSignal | undefined, onLeave: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal))
        return
      }
      const onAbort = (): void => {
        this.#remove(one)
        reject(abortReason(signal!))
        onLeave()
      }
      const one: Waiting = {
        cost,
        go() {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      this.#waiting.add(one)
      this.#cost += cost
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Lets the first one go. */
  next(): void {
    const { first } = this
    if (first === undefined) return
    this.#remove(first)
    first.go()
  }

  #remove(one: Waiting): void {
    if (this.#waiting.delete(one)) this.#cost -= one.cost
  }
}
