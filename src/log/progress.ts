import { Changes } from './changes.ts'
import type { Settled } from './log.ts'
import type { Slot } from './slot.ts'
import type { GroupOp } from './store.ts'

// Hot path: an entry that is settled in order moves one number.

/** More settled offsets behind a stuck entry than this, and the entry is tracked one by one. */
const MOST_DONE = 1_000

/** What a group begins with. */
export interface GroupBegin {
  readonly stream: string
  readonly group: string
  readonly start: number
  /** The offset behind the newest entry. */
  readonly next: number
  /** Running handlers are noted for the store. */
  readonly persistent: boolean
}

/** The entries that are met and not settled. */
export interface Tracked {
  slotAt(offset: number): Slot | undefined
  /** In no order. */
  offsets(): Iterable<number>
}

/** How far a group has come: which entries are settled, and what of that the store does not know yet. */
export class Progress {
  readonly #begin: GroupBegin
  readonly #tracked: Tracked
  readonly #done = new Set<number>()
  /** Settled or tracked offsets at or behind the cursor, which it must step over. */
  #ahead = 0
  readonly changes: Changes
  readonly counts = { acked: 0, dead: 0, expired: 0, dropped: 0, skipped: 0 }
  start: number
  /** Everything before it is settled, but for entries that are tracked one by one. */
  position: number
  /** The first offset that has not been met. */
  cursor: number
  /** The offset behind the newest entry. */
  next: number

  constructor(begin: GroupBegin, tracked: Tracked) {
    this.#begin = begin
    this.#tracked = tracked
    this.changes = new Changes({
      isDone: (offset) => offset >= this.position && this.#done.has(offset),
      slotAt: (offset) => tracked.slotAt(offset),
    })
    this.start = begin.start
    this.position = begin.start
    this.cursor = begin.start
    this.next = begin.next
  }

  /** Takes up what was stored; the tracked entries are in place. */
  restore(position: number, done: readonly number[]): void {
    this.position = position
    this.cursor = position
    for (const offset of done) if (offset >= position && offset < this.next) this.#done.add(offset)
    this.#ahead = this.#done.size
    for (const offset of this.#tracked.offsets()) if (offset >= position) this.#ahead++
    this.#balance()
    this.advance()
  }

  /** The counts are those of the entries that are settled, also after entries were lost. */
  #balance(): void {
    const { acked, dead, expired, dropped, skipped } = this.counts
    let open = this.next - this.position - this.#done.size
    for (const offset of this.#tracked.offsets()) if (offset < this.position) open++
    this.counts.acked += this.next - this.start - open - (acked + dead + expired + dropped + skipped)
  }

  /** True for an entry of the group that it has not settled. */
  isOpen(offset: number): boolean {
    if (offset < this.start || offset >= this.next) return false
    if (offset >= this.position) return !this.#done.has(offset)
    return this.#tracked.slotAt(offset) !== undefined
  }

  /** Up to `most` offsets from `from` on that are not settled, ascending. */
  openFrom(from: number, most: number): number[] {
    const found: number[] = []
    if (from < this.position) {
      for (const offset of this.#tracked.offsets()) if (offset >= from && offset < this.position) found.push(offset)
      found.sort((a, b) => a - b)
      if (found.length >= most) return found.slice(0, most)
    }
    for (let at = Math.max(from, this.position); at < this.next && found.length < most; at++) {
      if (!this.#done.has(at)) found.push(at)
    }
    return found
  }

  /** Entries of the group that are not settled. */
  openCount(): number {
    const { acked, dead, expired, dropped, skipped } = this.counts
    return this.next - this.start - acked - dead - expired - dropped - skipped
  }

  /** The first offset that has not been met, once the cursor has stepped over what is known behind it; 0 for none. */
  unmet(): number {
    while (this.#ahead > 0 && (this.#done.has(this.cursor) || this.#tracked.slotAt(this.cursor) !== undefined)) {
      this.cursor++
      this.#ahead--
    }
    return this.cursor < this.next ? this.cursor : 0
  }

  /** An entry becomes known out of turn, before the cursor meets it. */
  known(offset: number): void {
    if (offset >= this.cursor) this.#ahead++
  }

  /** Settles an entry that is not tracked any more. */
  finish(offset: number, slot: Slot | undefined, as: Settled): void {
    this.counts[as]++
    this.changes.any = true
    if (slot?.record === true) this.changes.close(slot)
    if (offset === this.position) {
      this.#step(offset)
      this.advance()
    } else if (offset > this.position) {
      this.#done.add(offset)
      this.changes.done(offset)
      if (this.#done.size > MOST_DONE) this.#pass()
    }
  }

  /** Takes a settlement back; the entry is tracked again. */
  undo(slot: Slot, as: Settled): void {
    this.counts[as]--
    this.#done.delete(slot.offset)
    // The position may lie behind it already.
    this.record(slot)
  }

  /** The entry is tracked one by one from now on, and the position may pass it. */
  record(slot: Slot): void {
    this.changes.open(slot)
    if (slot.offset === this.position) this.advance()
  }

  /** Everything that is to be kept; nothing is to be kept any more. */
  take(begun: readonly number[]): GroupOp {
    const { stream, group } = this.#begin
    const { start, position } = this
    return { type: 'group', stream, group, start, position, counts: { ...this.counts }, ...this.changes.take(), begun }
  }

  /** Moves the position over what is settled or tracked one by one. */
  advance(): void {
    const done = this.#done
    for (;;) {
      const at = this.position
      if (done.size > 0 && done.delete(at)) this.#step(at)
      else if (this.changes.records > 0 && this.#tracked.slotAt(at)?.record === true) this.#step(at)
      else return
    }
  }

  #step(offset: number): void {
    this.position = offset + 1
    if (this.cursor > offset) return
    this.cursor = offset + 1
    this.#ahead--
  }

  /** So many are settled behind stuck entries: track those one by one, that what is stored stays small. */
  #pass(): void {
    while (this.#done.size > MOST_DONE) {
      const stuck = this.#tracked.slotAt(this.position)
      if (stuck === undefined) return
      this.record(stuck)
    }
  }
}
