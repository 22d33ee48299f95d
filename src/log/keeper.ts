import type { BusError } from '../kit/errors.ts'
import type { Changing, Committer } from './committer.ts'
import type { GroupState } from './groups.ts'
import type { GroupOp } from './store.ts'

/** Brings what a group knows into the store, and tells who waits for that. All who wait for one commit share one promise. */
export class Keeper implements Changing {
  readonly #state: GroupState
  readonly #committer: Committer
  #next: PromiseWithResolvers<boolean> | undefined
  #underWay: PromiseWithResolvers<boolean> | undefined
  #taken: GroupOp | undefined
  #gone = false

  constructor(state: GroupState, committer: Committer) {
    this.#state = state
    this.#committer = committer
    if (state.dirty) committer.changed(this)
  }

  /** Resolves to true once everything that the group knows now is kept. */
  keep(): Promise<boolean> {
    if (this.#next === undefined) {
      this.#next = Promise.withResolvers<boolean>()
      this.#committer.changed(this)
    }
    return this.#next.promise
  }

  /** What is new is to be kept, and nobody waits for it. */
  touch(): void {
    if (this.#state.dirty) this.#committer.changed(this)
  }

  /** What is new goes with the next commit that happens anyway. */
  ride(): void {
    this.#committer.ride(this)
  }

  /** The group is forgotten: nothing of it needs to be kept. */
  forget(): void {
    this.#gone = true
    this.#committer.forget(this)
    this.#next?.resolve(true)
    this.#next = undefined
  }

  take(): GroupOp | undefined {
    if (this.#gone) return undefined
    if (!this.#state.dirty && !this.#state.begunChanged && this.#next === undefined) return undefined
    this.#underWay = this.#next
    this.#next = undefined
    this.#taken = this.#state.take()
    return this.#taken
  }

  kept(): void {
    this.#taken = undefined
    this.#underWay?.resolve(true)
    this.#underWay = undefined
  }

  failed(): void {
    if (this.#taken !== undefined) this.#state.putBack(this.#taken)
    this.#taken = undefined
    const waited = this.#underWay
    this.#underWay = undefined
    if (waited === undefined) return
    if (this.#gone) waited.resolve(true)
    // Who waits for the later change waits for this one, too.
    else if (this.#next === undefined) this.#next = waited
    else void this.#next.promise.then(waited.resolve, waited.reject)
  }

  abandoned(error: BusError): void {
    const waited = this.#next
    this.#next = undefined
    if (waited === undefined) return
    // Nobody needs to wait for a settlement: its failure must not end the process.
    waited.promise.catch(() => undefined)
    waited.reject(error)
  }
}
