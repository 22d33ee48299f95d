import { Heap } from './heap.ts'
import type { Slot } from './slot.ts'

/** As many entries that were given back keep their content in memory. */
const MOST_ENTRIES = 1_024

/** The entries of a group that were met and are with nobody: ready ones, oldest first, and those that wait for something. */
export class Parked {
  readonly #slots = new Map<number, Slot>()
  readonly #ready = new Heap<Slot>()
  readonly #delayed = new Heap<Slot>()
  #entries = 0
  /** Entries that wait for their time. */
  delayed = 0
  /** Entries that wait for the owner of their session. */
  lined = 0

  /** Ready at once, or after `delayMs` at the slot's `dueMs`. */
  add(slot: Slot, delayMs: number): void {
    this.#slots.set(slot.offset, slot)
    if (delayMs > 0) {
      slot.state = 'delayed'
      slot.entry = undefined
      this.delayed++
      this.#delayed.push(slot.dueMs, slot)
      return
    }
    this.#keepEntry(slot)
    this.ready(slot)
  }

  /** The entry, ready or met just now, waits for the owner of its session. */
  line(slot: Slot): void {
    if (this.#slots.get(slot.offset) !== slot) {
      this.#slots.set(slot.offset, slot)
      this.#keepEntry(slot)
    } else if (this.#ready.peek() === slot) this.#ready.shift()
    slot.state = 'lined'
    this.lined++
  }

  /** It waits no more; who it goes to is decided by the caller. */
  unline(slot: Slot): void {
    slot.state = 'ready'
    this.lined--
  }

  /** May go to anybody. */
  ready(slot: Slot): void {
    slot.state = 'ready'
    this.#ready.push(slot.offset, slot)
  }

  get(offset: number): Slot | undefined {
    return this.#slots.get(offset)
  }

  offsets(): Iterable<number> {
    return this.#slots.keys()
  }

  /** The oldest ready one; what has fallen due by `nowMs` counts. */
  first(nowMs: number): Slot | undefined {
    if (this.delayed > 0) this.#fallDue(nowMs)
    for (let top = this.#ready.peek(); top !== undefined; top = this.#ready.peek()) {
      // Whoever was taken out of its turn is still in the heap.
      if (top.state === 'ready' && this.#slots.get(top.offset) === top) return top
      this.#ready.shift()
    }
    return undefined
  }

  /** Takes one out, of whatever state. */
  remove(slot: Slot): void {
    this.#slots.delete(slot.offset)
    if (slot.state === 'delayed') {
      slot.state = 'ready'
      this.delayed--
      // Whoever is settled before its time must not stay in the heap until then.
      if (this.#delayed.size > 64 + 2 * this.delayed) this.#delayed.filter((one) => one.state === 'delayed')
    } else if (slot.state === 'lined') this.unline(slot)
    else if (this.#ready.peek() === slot) this.#ready.shift()
    if (slot.entry !== undefined) this.#entries--
  }

  /** When the next wait ends; Infinity for never. */
  dueMs(): number {
    return this.delayed === 0 ? Number.POSITIVE_INFINITY : this.#delayed.key
  }

  /** Waits that have ended make their entries ready. */
  #fallDue(nowMs: number): void {
    while (this.#delayed.key <= nowMs) {
      const slot = this.#delayed.shift() as Slot
      if (slot.state !== 'delayed' || this.#slots.get(slot.offset) !== slot) continue
      this.delayed--
      this.ready(slot)
    }
  }

  #keepEntry(slot: Slot): void {
    if (slot.entry !== undefined && ++this.#entries > MOST_ENTRIES) {
      this.#entries--
      slot.entry = undefined
    }
  }
}
