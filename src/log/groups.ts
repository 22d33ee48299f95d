import type { NackOptions, Settled } from './log.ts'
import { Parked } from './parked.ts'
import { type GroupBegin, Progress } from './progress.ts'
import { Sessions } from './sessions.ts'
import { type Holder, type Now, overdue, resumeWait, Slot, waitFor } from './slot.ts'
import type { GroupFigures, GroupOp, StoredEntry, StoredGroup } from './store.ts'

// Hot path: hand-out and settlement of an entry in order touch one map and a few numbers.

/**
 * What one group knows about one stream, all in memory; a backlog costs nothing. Order of hand-out: the oldest that may go; so what was
 * given back or has fallen due goes before what is new.
 */
export class GroupState {
  readonly stream: string
  readonly group: string
  readonly #persistent: boolean
  readonly #progress: Progress
  readonly #leased = new Map<number, Slot>()
  readonly #parked = new Parked()
  /** Who owns which session: only while there is more than one consumer. */
  sessions: Sessions | undefined
  /** Leased, but waiting for the time of their own retry. */
  readonly #waiting = new Set<Slot>()
  readonly #begun = new Set<number>()
  #begunChanged = false
  #stale = 0
  #tokens = 0
  #soonestMs = Number.POSITIVE_INFINITY
  #crashed = false
  #suspects = 0

  constructor(begin: GroupBegin) {
    this.stream = begin.stream
    this.group = begin.group
    this.#persistent = begin.persistent
    this.#progress = new Progress(begin, { slotAt: (offset) => this.#slotAt(offset), offsets: () => this.#offsets() })
  }

  /**
   * The group as it was stored. `kept` is the stream as it is now; when the last holder crashed, handlers that ran count as attempts,
   * and the first hand-outs are suspect.
   */
  static restored(
    stored: StoredGroup,
    kept: { readonly first: number; readonly next: number },
    clean: boolean,
    now: Now,
    persistent: boolean,
  ): GroupState {
    const { stream, group } = stored
    // A stream that lost its newest entries gives their offsets away again: the group must not take the new ones for settled.
    const position = Math.min(Math.max(stored.position, kept.first), kept.next)
    const start = Math.min(stored.start, position)
    const state = new GroupState({ stream, group, start, next: kept.next, persistent })
    const progress = state.#progress
    Object.assign(progress.counts, stored.counts)
    for (const open of stored.open) {
      if (open.offset < kept.first || open.offset >= kept.next) continue
      const slot = new Slot(open.offset)
      slot.attempts = open.attempts
      slot.note = open.note
      progress.changes.adopt(slot)
      const { dueAt, delayMs } = open
      const leftMs = dueAt === undefined ? 0 : resumeWait(slot, dueAt, delayMs, now.nowMs, now.wallMs)
      slot.held = open.held && leftMs > 0
      state.#parked.add(slot, slot.held ? 0 : leftMs)
    }
    progress.restore(position, stored.done)
    if (!clean) state.#afterCrash(stored.begun)
    return state
  }

  #afterCrash(begun: readonly number[]): void {
    this.#crashed = true
    this.#begunChanged = begun.length > 0
    for (const offset of begun) {
      if (!this.isOpen(offset)) continue
      let slot = this.#parked.get(offset)
      if (slot === undefined) {
        slot = new Slot(offset)
        this.#progress.known(offset)
        this.#parked.add(slot, 0)
      }
      slot.attempts++
      this.#progress.record(slot)
    }
  }

  /** Leases that are out; settlements that are being stored count. */
  get leases(): number {
    return this.#leased.size
  }

  /** The store does not know everything yet. */
  get dirty(): boolean {
    return this.#progress.changes.any
  }

  /** The store knows other running handlers than there are: worth telling, but not worth a commit of its own. */
  get begunChanged(): boolean {
    return this.#begunChanged
  }

  /** Everything before it is settled, but for entries that are tracked one by one. */
  get position(): number {
    return this.#progress.position
  }

  /** True for an entry of the group that it has not settled. */
  isOpen(offset: number): boolean {
    return this.#progress.isOpen(offset)
  }

  /** Up to `most` offsets from `from` on that are not settled, ascending. */
  openFrom(from: number, most: number): number[] {
    return this.#progress.openFrom(from, most)
  }

  /** The oldest entry that is not settled; the offset behind the newest when all are. */
  oldestOpen(): number {
    return this.openFrom(0, 1)[0] ?? this.#progress.next
  }

  /** There are entries up to `next` now. */
  grow(next: number): void {
    this.#progress.next = next
  }

  /** The group exists from now on, and is to be kept. */
  create(): void {
    this.#progress.changes.any = true
  }

  /** A consumer begins: after a crash as many hand-outs more are suspect as it may hold. */
  joined(maxInFlight: number): void {
    if (this.#crashed) this.#suspects += maxInFlight
  }

  /** More than one consumer from now on, or not: several own sessions, one at a time each. */
  share(several: boolean): void {
    if (several === (this.sessions !== undefined)) return
    this.sessions?.end()
    this.sessions = several ? new Sessions(this.#parked, this.#leased) : undefined
  }

  /** What is to be handed out next: an entry that was met before, or the offset of a new one; 0 for nothing. */
  peek(nowMs: number, holder?: Holder): Slot | number {
    const parked = this.#parked.first(nowMs)
    const unmet = this.#progress.unmet()
    // After a restart an entry that was tried may be newer than some that are met for the first time again: order goes by age.
    const next = parked === undefined || (unmet !== 0 && unmet < parked.offset) ? unmet : parked
    return this.sessions === undefined || holder === undefined ? next : this.sessions.older(next, holder)
  }

  /** What {@link peek} named waits for the owner of its session. False when too many do, and this one was not met before. */
  line(next: Slot | number, entry: StoredEntry): boolean {
    let slot = next
    if (typeof slot === 'number') {
      if (this.sessions?.room !== true) return false
      slot = new Slot(slot)
      slot.entry = entry
      this.#progress.cursor++
    }
    this.sessions?.line(slot, entry.message.session as string)
    return true
  }

  /** The new entry waits for its own time. */
  delay(entry: StoredEntry, now: Now): boolean {
    const { offset, dueAt, storedAt } = entry
    if (dueAt === undefined) return false
    const slot = new Slot(offset)
    const leftMs = resumeWait(slot, dueAt, dueAt - storedAt, now.nowMs, now.wallMs)
    if (leftMs === 0) return false
    this.#progress.cursor++
    this.#parked.add(slot, leftMs)
    return true
  }

  /** Leases what {@link peek} named; `session` is that of its message. */
  lease(next: Slot | number, holder: Holder, nowMs: number, ackWaitMs: number, session?: string): Slot {
    let slot: Slot
    if (typeof next === 'number') {
      slot = new Slot(next)
      this.#progress.cursor++
      this.sessions?.take(slot, session, holder)
    } else {
      slot = next
      this.sessions?.take(slot, session, holder)
      this.#parked.remove(slot)
    }
    slot.state = 'leased'
    slot.token = ++this.#tokens
    slot.holder = holder
    slot.ackWaitMs = ackWaitMs
    slot.untilMs = Math.max(nowMs, slot.held ? slot.dueMs : 0) + ackWaitMs
    slot.suspect = this.#suspects > 0 && this.#suspects-- > 0
    if (slot.held) this.#waiting.add(slot)
    if (slot.untilMs < this.#soonestMs) this.#soonestMs = slot.untilMs
    holder.held++
    this.#leased.set(slot.offset, slot)
    return slot
  }

  /** True when the lease is the present one; otherwise it is counted as stale. */
  holds(slot: Slot, token: number): boolean {
    if (slot.token === token && slot.state === 'leased') return true
    this.#stale++
    return false
  }

  /** A handler starts. True when that must be kept before it does. */
  begin(slot: Slot): boolean {
    if (slot.held) {
      slot.held = false
      this.#waiting.delete(slot)
      waitFor(slot, 0, 0, 0)
      this.#progress.changes.renew(slot)
    }
    if (!this.#persistent) return false
    this.#begun.add(slot.offset)
    this.#begunChanged = true
    return slot.suspect
  }

  /** Settles a leased entry. */
  settle(slot: Slot, as: Settled): void {
    this.#release(slot)
    this.#progress.finish(slot.offset, slot, as)
  }

  /** Settles an entry that nobody holds. False when there is no such entry. */
  settleAt(offset: number, as: Settled): boolean {
    const slot = this.#unheld(offset)
    if (slot === false) return false
    this.#progress.finish(offset, slot, as)
    return true
  }

  /** The settlement of a leased entry is to be stored together with something else: until then its lease cannot run out. */
  freeze(slot: Slot): void {
    slot.state = 'settling'
    slot.token = 0
    this.#waiting.delete(slot)
  }

  /** As {@link freeze}, for an entry that nobody holds. Undefined when there is no such entry. */
  freezeAt(offset: number): Slot | undefined {
    const found = this.#unheld(offset)
    if (found === false) return undefined
    const slot = found ?? new Slot(offset)
    slot.state = 'settling'
    this.#leased.set(offset, slot)
    return slot
  }

  /** Settles a frozen entry: what is taken from now on says so. */
  apply(slot: Slot, as: Settled): void {
    this.#leased.delete(slot.offset)
    this.#endBegun(slot)
    this.#progress.finish(slot.offset, slot, as)
  }

  /** The settlement was not kept: the entry is frozen again. */
  undo(slot: Slot, as: Settled): void {
    this.#leased.set(slot.offset, slot)
    this.#progress.undo(slot, as)
  }

  /** The settlement of a frozen entry is kept: its holder has room again. */
  thaw(slot: Slot): void {
    const { holder } = slot
    if (holder === undefined) return
    holder.held--
    slot.holder = undefined
    this.sessions?.release(slot, holder)
  }

  /** Gives a leased entry back, or lets the consumer keep it until its retry. */
  nack(slot: Slot, options: NackOptions, now: Now): void {
    const { delayMs = 0, note, count = true, hold = false } = options
    if (count) slot.attempts++
    if (note !== undefined) slot.note = note
    if (hold) {
      this.#endBegun(slot)
      slot.untilMs = now.nowMs + delayMs + slot.ackWaitMs
      this.#waiting.add(slot)
    } else {
      this.#release(slot)
    }
    waitFor(slot, delayMs, now.nowMs, now.wallMs)
    slot.held = hold
    if (!hold) this.#parked.add(slot, delayMs)
    if (slot.record || count || note !== undefined || delayMs > 0) this.#progress.record(slot)
  }

  /** The lease runs from now on for `ms`. */
  extend(slot: Slot, ms: number, nowMs: number): void {
    slot.untilMs = nowMs + ms
    if (slot.untilMs < this.#soonestMs) this.#soonestMs = slot.untilMs
  }

  /** Everything that the holder has goes back, uncounted. */
  giveBack(holder: Holder): void {
    for (const slot of [...this.#leased.values()]) {
      if (slot.holder !== holder || slot.state !== 'leased') continue
      this.#release(slot)
      this.#parked.add(slot, 0)
    }
  }

  /**
   * Leases that ran out count as attempts and go back, with the later ones of their sessions that the same consumers hold; waits that
   * have ended, end. Afterwards {@link wakeMs} lies ahead.
   */
  expire(nowMs: number): void {
    this.#parked.first(nowMs)
    const { over, behind, soonestMs } = overdue(this.#leased, nowMs)
    this.#soonestMs = soonestMs
    for (const slot of behind) {
      this.#release(slot)
      this.#parked.add(slot, 0)
    }
    for (const slot of over) {
      this.#release(slot)
      slot.attempts++
      slot.held = false
      waitFor(slot, 0, 0, 0)
      this.#parked.add(slot, 0)
      this.#progress.record(slot)
    }
  }

  /** When something changes by itself, never too late: a lease runs out, or a wait ends. Infinity for never. */
  wakeMs(): number {
    if (this.#leased.size === 0) this.#soonestMs = Number.POSITIVE_INFINITY
    return Math.min(this.#soonestMs, this.#parked.dueMs())
  }

  /** The balance: published = acked + dead + expired + dropped + pending + leased + delayed. */
  figures(nowMs: number): GroupFigures {
    this.#parked.first(nowMs)
    const { counts, start, next } = this.#progress
    let waiting = 0
    for (const slot of this.#waiting) if (slot.dueMs > nowMs) waiting++
    const leased = this.#leased.size - waiting
    const delayed = this.#parked.delayed + waiting
    const pending = this.#progress.openCount() - leased - delayed
    return { ...counts, published: next - start - counts.skipped, pending, leased, delayed, stale: this.#stale }
  }

  /** Everything that the store is to know and does not; it counts as known from now on. */
  take(): GroupOp {
    this.#begunChanged = false
    return this.#progress.take(this.#persistent ? [...this.#begun] : [])
  }

  /** The store did not keep it. */
  putBack(op: GroupOp): void {
    this.#progress.changes.putBack(op)
    this.#begunChanged = true
  }

  #slotAt(offset: number): Slot | undefined {
    return this.#leased.get(offset) ?? this.#parked.get(offset)
  }

  *#offsets(): Iterable<number> {
    yield* this.#leased.keys()
    yield* this.#parked.offsets()
  }

  /** The slot of an entry that nobody holds, taken out; undefined when it was not met yet, false when there is no such entry. */
  #unheld(offset: number): Slot | undefined | false {
    if (!this.isOpen(offset) || this.#leased.has(offset)) return false
    const slot = this.#parked.get(offset)
    if (slot === undefined) this.#progress.known(offset)
    else {
      this.#parked.remove(slot)
      this.sessions?.gone(slot)
    }
    return slot
  }

  #release(slot: Slot): void {
    this.#leased.delete(slot.offset)
    slot.token = 0
    if (slot.held) this.#waiting.delete(slot)
    this.#endBegun(slot)
    this.thaw(slot)
  }

  #endBegun(slot: Slot): void {
    if (this.#begun.size > 0 && this.#begun.delete(slot.offset)) this.#begunChanged = true
  }
}
