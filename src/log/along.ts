import type { BusError } from '../kit/errors.ts'
import type { Step } from './committer.ts'
import type { GroupState } from './groups.ts'
import type { Along, Settled } from './log.ts'
import type { Slot } from './slot.ts'
import type { AppendOp, StoredAt } from './store.ts'
import type { Streams } from './streams.ts'

/** Bytes that an entry is taken to have before the store says. */
export const GUESSED_BYTES = 512

/** What a settlement with an entry that goes along needs of its group. */
export interface Bench {
  readonly stream: string
  readonly state: GroupState
  readonly streams: Streams
  /** The group was forgotten. */
  readonly gone: boolean
  /** The group has changed. */
  touch(): void
  /** The settlement is kept. */
  alongKept(slot: Slot): void
}

/** The settlement of an entry, and what is stored with it: both in one commit, or neither. */
export class AlongStep implements Step {
  readonly bytes = GUESSED_BYTES
  readonly #bench: Bench
  readonly #slot: Slot
  readonly #as: Settled
  readonly #along: Along
  readonly #outcome = Promise.withResolvers<boolean>()
  #op: AppendOp | undefined

  constructor(bench: Bench, slot: Slot, as: Settled, along: Along) {
    this.#bench = bench
    this.#slot = slot
    this.#as = as
    this.#along = along
  }

  /** Resolves to true once both are kept; to false when the group was forgotten before. */
  get outcome(): Promise<boolean> {
    return this.#outcome.promise
  }

  ops(): readonly AppendOp[] | undefined {
    const { stream, state, streams, gone } = this.#bench
    if (gone) {
      this.#outcome.resolve(false)
      return undefined
    }
    state.apply(this.#slot, this.#as)
    this.#bench.touch()
    const { stream: to, note, message = { stream, offset: this.#slot.offset } } = this.#along
    const storedAt = streams.stamp(to)
    this.#op = { type: 'append', stream: to, message, key: undefined, storedAt, dueAt: undefined, note }
    return [this.#op]
  }

  kept(answers: readonly StoredAt[]): void {
    const message = this.#along.message ?? this.#slot.entry?.message
    this.#bench.streams.stored(this.#op as AppendOp, answers[0] as StoredAt, message)
    this.#outcome.resolve(true)
    this.#bench.alongKept(this.#slot)
  }

  failed(): void {
    this.#bench.state.undo(this.#slot, this.#as)
    this.#bench.touch()
  }

  abandoned(error: BusError): void {
    // Nobody needs to wait for a settlement: its failure must not end the process.
    this.#outcome.promise.catch(() => undefined)
    this.#outcome.reject(error)
  }
}
