import type { Settled } from '../log.ts'
import { Lanes } from './lanes.ts'
import { Leases } from './leases.ts'
import type { Part } from './part.ts'
import type { ListOp, OneOp, Op } from './records.ts'
import { type Holder, type MachineTime, Slot } from './slot.ts'
import { Turns } from './turns.ts'
import { Waits } from './waits.ts'

// Hot path. Everything here happens in every process that follows the channel, at the same place in the order of its records, with the
// same outcome: no clock but the machine's, no randomness, nothing that depends on who is asked.

/** What is reserved goes back when nothing was heard of its holder's process for so long: sooner, by the second tick, when somebody else waits for it. */
const SILENCE_MS = 5_000
const SILENCE_WANTED_MS = 1_800

/** How one group stands on one part. */
export class Group {
  readonly part: Part
  readonly name: string
  readonly counts = { acked: 0, dead: 0, expired: 0, dropped: 0, skipped: 0 }
  readonly slots = new Map<number, Slot>()
  /** Settled entries that the group has not met yet. */
  readonly done = new Set<number>()
  /** Instances that had to do with it: when one of them dies, the next hand-outs are suspect. */
  readonly instances = new Set<string>()
  /** Offset from which on entries are the group's. */
  start = 0
  /** Entries that are the group's. */
  total = 0
  stale = 0
  /** The number of the first entry that it has not met. */
  cursor = 0
  crashed = false
  suspects = 0
  readonly #time: MachineTime
  readonly #lanes = new Lanes()
  readonly #waits = new Waits(this.#lanes)
  readonly #leases = new Leases()
  readonly turns = new Turns()

  constructor(part: Part, name: string, time: MachineTime) {
    this.part = part
    this.name = name
    this.#time = time
  }

  get holders(): readonly Holder[] {
    return this.turns.holders
  }

  /** Milliseconds until something changes by itself: a lease or a wait ends. Infinity for never. */
  dueInMs(now: number, wall: number): number {
    return Math.min(this.#leases.soonestMs - now, this.#waits.delayMs - now, this.#waits.delayAt - wall)
  }

  isOpen(offset: number): boolean {
    const { part } = this
    if (offset < this.start || !part.has(offset)) return false
    return part.numberFrom(offset) < this.cursor ? this.slots.has(offset) : !this.done.has(offset)
  }

  /** The number of the oldest entry that is not settled. */
  oldestOpen(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const offset of this.slots.keys()) if (offset < oldest) oldest = offset
    if (oldest !== Number.POSITIVE_INFINITY) return this.part.numberFrom(oldest)
    let at = Math.max(this.cursor, this.part.numberFrom(this.start))
    while (at < this.part.end && this.done.has(this.part.offsetAt(at))) at++
    return at
  }

  add(holder: Holder): void {
    this.turns.add(holder)
    if (!this.crashed) return
    this.crashed = false
    this.suspects += holder.most
  }

  /** A holder is gone. What it had goes back uncounted, but for handlers that a death has ended. */
  remove(holder: Holder, died: boolean): void {
    this.turns.remove(holder)
    const all = [...holder.slots]
    for (const slot of all) {
      const { state, begun } = slot
      this.#release(slot)
      if (died) {
        // What was set aside may have been handed out as well: that its lease runs is said a moment later.
        slot.suspect = true
        if (begun && state === 'leased') slot.attempts++
      }
      this.#waits.ready(slot)
    }
    this.#promoteAll(all)
  }

  holderOf({ o, k }: OneOp): Slot | undefined {
    const slot = this.slots.get(o)
    if (slot !== undefined && slot.token === k && slot.state === 'leased') return slot
    // Whoever settles has been handed it: that its lease begins may have been left out.
    if (slot !== undefined && slot.token === k && slot.state === 'reserved') {
      this.#lease(slot)
      return slot
    }
    this.stale++
    return undefined
  }

  free({ o }: ListOp): void {
    for (let at = 0; at < o.length; at += 2) {
      const slot = this.slots.get(o[at] as number)
      if (slot === undefined || slot.token !== o[at + 1] || slot.state !== 'reserved') continue
      const from = slot.holder as Holder
      this.#giveBack(slot, from, ({ state }) => state === 'reserved')
      // The one that gives back is not the next to get it.
      this.turns.pass(from)
    }
  }

  /** False when one of the leases is not the present one. */
  begin({ o }: ListOp, started: boolean): boolean {
    let present = true
    for (let at = 0; at < o.length; at += 2) {
      const slot = this.slots.get(o[at] as number)
      if (slot === undefined || slot.token !== o[at + 1]) {
        present = false
        continue
      }
      if (slot.state === 'reserved') this.#lease(slot)
      if (!started || slot.state !== 'leased') continue
      slot.begun = true
      if (!slot.held) continue
      slot.held = false
      slot.dueMs = 0
      slot.dueAt = 0
    }
    return present
  }

  /** Indexes of those that were stale. */
  ack({ o, p, g }: ListOp): number[] {
    const stale: number[] = []
    for (let at = 0; at < o.length; at += 2) {
      const slot = this.holderOf({ p, g, o: o[at] as number, k: o[at + 1] as number })
      if (slot === undefined) stale.push(at / 2)
      else this.settle(slot, 'acked')
    }
    return stale
  }

  settle(slot: Slot, as: Settled): void {
    this.#release(slot)
    slot.state = 'settled'
    this.slots.delete(slot.offset)
    this.counts[as]++
    this.#promote(slot.session)
  }

  /** Settles an entry that nobody holds. */
  settleAt(offset: number, as: Settled): boolean {
    if (!this.isOpen(offset)) return false
    const slot = this.slots.get(offset)
    if (slot === undefined) {
      this.done.add(offset)
      this.counts[as]++
      return true
    }
    if (slot.state === 'leased' || slot.state === 'reserved') return false
    if (slot.state === 'behind') this.#lanes.settled()
    this.settle(slot, as)
    return true
  }

  nack(slot: Slot, { d, n, u, h }: Op & { readonly t: 'nack' }): void {
    if (u) slot.attempts++
    if (n !== undefined) slot.note = n
    const { now, wall } = this.#time
    slot.dueMs = d > 0 ? now + d : 0
    slot.dueAt = d > 0 ? wall + d : 0
    slot.delayMs = d
    if (h) {
      slot.held = true
      slot.begun = false
      this.#leases.until(slot, now + d + (slot.holder as Holder).waitMs)
      return
    }
    this.#release(slot)
    slot.held = false
    if (d > 0) this.#waits.delay(slot)
    else this.#waits.ready(slot)
    this.#promote(slot.session)
  }

  extend(slot: Slot, ms: number): void {
    this.#leases.until(slot, this.#time.now + ms)
  }

  /** What time brings about. True when something has changed. */
  expire(): boolean {
    const { now, wall } = this.#time
    const changed = this.#waits.fallDue(now, wall)
    const over = this.#leases.over(now, this.holders)
    for (const slot of over) if (slot.state === 'leased') this.#runOut(slot)
    return changed || over.length > 0
  }

  /** What is reserved for processes that fell silent goes back. `heardMs` says when an instance was heard of last, in lively time. */
  hush(heardMs: (instance: string) => number): boolean {
    const { lively } = this.#time
    let changed = false
    const mostMs = this.holders.some(({ wants, hasRoom }) => wants && hasRoom) ? SILENCE_WANTED_MS : SILENCE_MS
    for (const holder of this.holders) {
      if (holder.reserved === 0 || holder.silent || lively - heardMs(holder.instance) < mostMs) continue
      const reserved = [...holder.slots].filter(({ state }) => state === 'reserved')
      if (reserved.every(({ sinceMs }) => lively - sinceMs < mostMs)) continue
      holder.silent = true
      // All of it: what stayed would be handled before what comes again.
      for (const slot of reserved) {
        slot.suspect = true
        this.#back(slot)
      }
      this.#promoteAll(reserved)
      changed = true
    }
    return changed
  }

  /** Sets aside what may go for those who have room, oldest first. `reserved` is told of each. */
  fill(reserved: (holder: Holder, slot: Slot) => void): void {
    if (this.holders.length === 0) return
    for (const holder of this.holders) this.#serve(holder, reserved)
    for (;;) {
      if (this.#lanes.isFull) return
      const ready = this.#waits.first()
      this.#skipDone()
      const unmet = this.cursor < this.part.end ? this.part.offsetAt(this.cursor) : Number.POSITIVE_INFINITY
      if (ready === undefined && unmet === Number.POSITIVE_INFINITY) return
      const old = ready !== undefined && ready.offset < unmet
      const session = old ? (ready as Slot).session : this.part.sessionAt(this.cursor)
      const owner = this.#lanes.ownerOf(session)
      const next = owner ?? this.turns.next()
      if (next === undefined) return
      if (owner !== undefined && !owner.hasRoom && this.turns.next() === undefined) return
      let slot: Slot
      if (old) {
        slot = ready as Slot
        this.#waits.shift()
      } else {
        slot = new Slot(unmet, this.part.bytesAt(this.cursor), session)
        this.slots.set(unmet, slot)
        this.cursor++
        const due = this.part.delays.get(unmet)
        if (due !== undefined && due.ms > this.#time.now && due.wall > this.#time.wall) {
          slot.dueMs = due.ms
          slot.dueAt = due.wall
          slot.delayMs = due.delay
          this.#waits.delay(slot)
          continue
        }
      }
      if (next.hasRoom) {
        this.#reserve(slot, next, reserved)
        this.#serve(next, reserved)
      } else this.#lanes.put(slot)
    }
  }

  /** Takes a slot of a snapshot up. */
  restore(slot: Slot, holder: Holder | undefined): void {
    this.slots.set(slot.offset, slot)
    if (holder !== undefined) {
      this.#own(slot, holder)
      if (slot.state === 'reserved') {
        holder.reserved++
        holder.reservedBytes += slot.bytes
      } else this.#leases.until(slot, slot.untilMs)
    } else if (slot.state === 'delayed') this.#waits.delay(slot)
    else if (slot.state === 'ready') this.#waits.ready(slot)
  }

  /** As {@link restore}, for what waits behind its session: once the holders are in place. */
  restoreBehind(slot: Slot): void {
    this.slots.set(slot.offset, slot)
    this.#lanes.put(slot)
  }

  /** What waits for the holder to have room, as long as it has. */
  #serve(holder: Holder, reserved: (holder: Holder, slot: Slot) => void): void {
    while (holder.behind.size > 0 && holder.hasRoom) {
      const slot = this.#lanes.takeFor(holder)
      // All that wait have an earlier one of their session before them that may go.
      if (slot === undefined) return
      this.#reserve(slot, holder, reserved)
    }
  }

  #reserve(slot: Slot, holder: Holder, reserved: (holder: Holder, slot: Slot) => void): void {
    slot.state = 'reserved'
    slot.token = this.#time.token()
    slot.sinceMs = this.#time.lively
    if (this.suspects > 0) {
      this.suspects--
      slot.suspect = true
    }
    holder.wants = false
    holder.reserved++
    holder.reservedBytes += slot.bytes
    this.#own(slot, holder)
    this.turns.at++
    reserved(holder, slot)
  }

  #own(slot: Slot, holder: Holder): void {
    slot.holder = holder
    holder.slots.add(slot)
    this.#lanes.own(slot, holder)
  }

  #lease(slot: Slot): void {
    const holder = slot.holder as Holder
    holder.reserved--
    holder.reservedBytes -= slot.bytes
    slot.state = 'leased'
    const { now, wall } = this.#time
    const wait = slot.held ? Math.max(0, Math.min(slot.dueMs - now, slot.dueAt - wall)) : 0
    this.#leases.until(slot, now + wait + holder.waitMs)
  }

  /** Takes a slot from its holder. */
  #release(slot: Slot): void {
    const { holder } = slot
    slot.token = 0
    slot.begun = false
    if (holder === undefined) return
    slot.holder = undefined
    holder.slots.delete(slot)
    if (slot.state === 'reserved') {
      holder.reserved--
      holder.reservedBytes -= slot.bytes
    }
    this.#lanes.disown(slot)
  }

  #back(slot: Slot): void {
    this.#release(slot)
    this.#waits.ready(slot)
  }

  /** The lease has run out: an attempt. Later leases of its session with the same holder go back with it, uncounted. */
  #runOut(slot: Slot): void {
    // Of a suspect it is known whether its handler ran: nobody calls it before that is noted.
    if (!slot.suspect || slot.begun) slot.attempts++
    slot.suspect = true
    slot.held = false
    this.#giveBack(slot, slot.holder as Holder, () => true)
  }

  /** A slot goes back, and with it what its holder has of the session behind it, or would be handled before. */
  #giveBack(slot: Slot, holder: Holder, also: (later: Slot) => boolean): void {
    this.#back(slot)
    if (slot.session === undefined) return
    for (const other of [...holder.slots]) {
      if (other.session !== slot.session || other.offset < slot.offset || !also(other)) continue
      this.#back(other)
    }
    this.#promote(slot.session)
  }

  #skipDone(): void {
    while (this.done.size > 0 && this.cursor < this.part.end && this.done.delete(this.part.offsetAt(this.cursor)))
      this.cursor++
  }

  /** A session that nobody owns any more: the first of those that wait may go. */
  #promote(session: string | undefined): void {
    const first = this.#lanes.takeFree(session)
    if (first !== undefined) this.#waits.ready(first)
  }

  /** What waits may be older than what goes back: it was given back before. */
  #promoteAll(slots: readonly Slot[]): void {
    for (const session of new Set(slots.map((slot) => slot.session))) this.#promote(session)
  }
}
