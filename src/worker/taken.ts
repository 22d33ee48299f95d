/** What a consumer has taken by hand out of one queue, whatever its channel: done when the next one is taken. */
export class Taken {
  #finish: (() => void) | undefined

  /** The one before is done; `finish` is called when the next one is taken. */
  take(finish: () => void): void {
    const before = this.#finish
    this.#finish = finish
    before?.()
  }
}

const byQueue = new WeakMap<object, Taken>()

/** One for all workers that serve the same queue. */
export function takenOf(queue: object): Taken {
  let taken = byQueue.get(queue)
  if (taken === undefined) {
    taken = new Taken()
    byQueue.set(queue, taken)
  }
  return taken
}
