import { WorkNotDone } from './types.ts'

/** The payload of every message: small and made anew each time, as the originals' was. */
export interface Data {
  readonly id: number
  readonly data: string
}

export function dataOf(id: number): Data {
  return { id, data: 'payload' }
}

/** Takes what handlers were handed, and knows afterwards whether it was everything. */
export class Sink {
  count = 0
  #sum = 0
  #last: Data | undefined = undefined
  #target = -1
  #reached: () => void = () => {}

  take(data: Data): void {
    this.#sum += data.id
    this.#last = data
    if (++this.count === this.#target) this.#reached()
  }

  /** Resolves when so many messages were taken since the last `clear`. */
  reached(target: number): Promise<void> {
    this.#target = target
    if (this.count >= target) return Promise.resolve()
    return new Promise((resolve) => {
      this.#reached = resolve
    })
  }

  /** Throws unless the ids 0 … `total - 1` were taken, each `copies` times, and the last one is whole. Then starts anew. */
  verify(total: number, copies: number = 1): void {
    const { count } = this
    const sum = this.#sum
    const last = this.#last
    this.#sum = this.count = 0
    this.#last = undefined
    mustBe('handled messages', count, total * copies)
    mustBe('sum of the handled ids', sum, ((total * (total - 1)) / 2) * copies)
    if (total * copies > 0) mustBe('content of the last message', last?.data, 'payload')
  }
}

/** Throws {@link WorkNotDone} unless both are the same. */
export function mustBe(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new WorkNotDone(`${what}: ${String(found)}, should be ${String(wanted)}`)
}
