import type { Envelope } from '../message/message.ts'

/** Who takes messages by hand; false when it has given up meanwhile. */
export type Receiver = { take(message: Envelope): boolean }

/** Those who wait for the next message of a queue that nobody handles. */
export class Receivers {
  readonly #line: Receiver[] = []

  get isWaiting(): boolean {
    return this.#line.length > 0
  }

  /** The returned function takes the receiver out again. */
  add(receiver: Receiver): () => void {
    this.#line.push(receiver)
    return () => {
      const at = this.#line.indexOf(receiver)
      if (at >= 0) this.#line.splice(at, 1)
    }
  }

  /** Gives waiting messages to waiting receivers. */
  feed(queue: { poll(): Envelope | undefined }): void {
    while (this.isWaiting) {
      const message = queue.poll()
      if (message === undefined) return
      // A receiver leaves the line before it gives up, so the first one always takes.
      this.#line.shift()?.take(message)
    }
  }
}
