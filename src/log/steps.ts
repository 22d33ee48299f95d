import type { BusError } from '../kit/errors.ts'
import { GUESSED_BYTES } from './along.ts'
import type { Step } from './committer.ts'
import type { Appended, Item } from './log.ts'
import type { AppendOp, LeaveOp, StoredAt, TrimOp } from './store.ts'
import type { Streams } from './streams.ts'

// Hot path: `AppendStep` is made once for each publish.

/** Messages of one call: all of them are kept, or none. */
export class AppendStep implements Step {
  readonly bytes: number
  readonly #streams: Streams
  readonly #stream: string
  readonly #items: readonly Item[]
  readonly #resolve: (appended: readonly Appended[]) => void
  readonly #reject: (error: unknown) => void
  #ops: readonly AppendOp[] = []

  constructor(
    streams: Streams,
    stream: string,
    items: readonly Item[],
    resolve: (appended: readonly Appended[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.bytes = items.length * GUESSED_BYTES
    this.#streams = streams
    this.#stream = stream
    this.#items = items
    this.#resolve = resolve
    this.#reject = reject
  }

  ops(): readonly AppendOp[] {
    const stream = this.#stream
    const storedAt = this.#streams.stamp(stream)
    this.#ops = this.#items.map(({ message, key = message.id, delayMs = 0, note }) => ({
      type: 'append',
      stream,
      message,
      key: key === false ? undefined : key,
      storedAt,
      dueAt: delayMs > 0 ? Math.ceil(storedAt + delayMs) : undefined,
      note,
    }))
    return this.#ops
  }

  kept(answers: readonly StoredAt[]): void {
    const appended: Appended[] = []
    for (const [index, answer] of answers.entries()) {
      this.#streams.stored(this.#ops[index] as AppendOp, answer, this.#items[index]?.message)
      const { id, offset, stream, duplicate } = answer
      appended.push({ id, offset: String(offset), stream, duplicate })
    }
    this.#resolve(appended)
  }

  failed(error: BusError): void {
    this.#reject(error)
  }

  abandoned(error: BusError): void {
    this.#reject(error)
  }
}

/** A single operation that appends nothing. */
export class PlainStep implements Step {
  readonly bytes = GUESSED_BYTES
  readonly #op: () => LeaveOp | TrimOp | undefined
  readonly #outcome = Promise.withResolvers<boolean>()
  readonly #failed: (error: BusError) => void

  /** `op` is asked at each try; `failed` is told when one has failed. */
  constructor(op: () => LeaveOp | TrimOp | undefined, failed: (error: BusError) => void = () => undefined) {
    this.#op = op
    this.#failed = failed
  }

  /** Resolves to true once it is kept, to false when there was nothing to do. */
  get outcome(): Promise<boolean> {
    return this.#outcome.promise
  }

  ops(): readonly (LeaveOp | TrimOp)[] | undefined {
    const op = this.#op()
    if (op !== undefined) return [op]
    this.#outcome.resolve(false)
    return undefined
  }

  kept(): void {
    this.#outcome.resolve(true)
  }

  failed(error: BusError): void {
    this.#failed(error)
  }

  /** Its outcome is the error. */
  abandoned(error: BusError): void {
    this.#outcome.reject(error)
  }
}
