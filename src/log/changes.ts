import { openEntry, type Slot } from './slot.ts'
import type { GroupOp } from './store.ts'

/** At this many noted offsets the notes are looked through for those that the position has passed. */
const LOOK_THROUGH = 8_192

/** What the notes are read against. */
export interface Known {
  /** Settled, at or behind the position. */
  isDone(offset: number): boolean
  slotAt(offset: number): Slot | undefined
}

/**
 * What a group knows and the store does not yet. Whatever failed to be kept is noted again; notes are read against the group's state
 * when they are taken, so noting twice, or what is true no more, does no harm.
 */
export class Changes {
  readonly #known: Known
  #done: number[] = []
  #open = new Set<Slot>()
  #closed: number[] = []
  #lookAt = LOOK_THROUGH
  /** There is something to keep. */
  any = false
  /** How many slots have a record. */
  records = 0

  constructor(known: Known) {
    this.#known = known
  }

  /** Settled behind the position. */
  done(offset: number): void {
    this.any = true
    this.#done.push(offset)
    if (this.#done.length > this.#lookAt) {
      // A store that fails for long must not make the notes grow with every settlement.
      this.#done = this.#liveDone()
      this.#lookAt = Math.max(LOOK_THROUGH, 2 * this.#done.length)
    }
  }

  /** The slot is to be tracked one by one. */
  open(slot: Slot): void {
    this.any = true
    if (!slot.record) this.records++
    slot.record = true
    this.#open.add(slot)
  }

  /** The slot's record is another one: worth telling with the next change. */
  renew(slot: Slot): void {
    if (slot.record) this.#open.add(slot)
  }

  /** The store has a record of the slot already. */
  adopt(slot: Slot): void {
    this.records++
    slot.record = true
    slot.stored = true
  }

  /** The slot with its record is settled. */
  close(slot: Slot): void {
    this.any = true
    if (slot.record) this.records--
    slot.record = false
    this.#open.delete(slot)
    if (slot.stored) this.#closed.push(slot.offset)
  }

  /** All notes, which are empty afterwards. */
  take(): Pick<GroupOp, 'done' | 'open' | 'closed'> {
    const done = this.#liveDone()
    const open = []
    for (const slot of this.#open) {
      slot.stored = true
      open.push(openEntry(slot))
    }
    // A settlement that was taken back has its record again.
    const closed = this.#closed.filter((offset) => this.#known.slotAt(offset)?.record !== true)
    this.#done = []
    if (this.#open.size > 0) this.#open = new Set()
    this.#closed = []
    this.#lookAt = LOOK_THROUGH
    this.any = false
    return { done, open, closed }
  }

  /** Notes again what was not kept. */
  putBack(op: GroupOp): void {
    for (const offset of op.done) this.#done.push(offset)
    for (const offset of op.closed) this.#closed.push(offset)
    for (const { offset } of op.open) {
      const slot = this.#known.slotAt(offset)
      if (slot?.record === true) this.#open.add(slot)
    }
    this.any = true
  }

  #liveDone(): number[] {
    if (this.#done.length === 0) return []
    return [...new Set(this.#done)].filter((offset) => this.#known.isDone(offset))
  }
}
