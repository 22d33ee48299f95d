import { Heap } from '../heap.ts'
import type { Lanes } from './lanes.ts'
import type { Slot } from './slot.ts'

// Hot path.

/** The entries of a group that are met and with nobody: those that may go, oldest first, and those that wait for their time. */
export class Waits {
  readonly #ready = new Heap<Slot>()
  readonly #delayed = new Heap<Slot>()
  readonly #delayedAt = new Heap<Slot>()

  readonly #lanes: Pick<Lanes, 'ready'>

  constructor(lanes: Pick<Lanes, 'ready'>) {
    this.#lanes = lanes
  }

  /** When the first wait ends, by the machine's time; Infinity for never. */
  get delayMs(): number {
    return live(this.#delayed)
  }

  /** The same by the wall clock. */
  get delayAt(): number {
    return live(this.#delayedAt)
  }

  /** It may go. */
  ready(slot: Slot): void {
    slot.state = 'ready'
    if (!slot.held) {
      slot.dueMs = 0
      slot.dueAt = 0
    }
    this.#ready.push(slot.offset, slot)
    this.#lanes.ready(slot)
  }

  /** It waits until one of the two clocks has reached its time. */
  delay(slot: Slot): void {
    slot.state = 'delayed'
    this.#delayed.push(slot.dueMs, slot)
    this.#delayedAt.push(slot.dueAt, slot)
  }

  /** The oldest that may go. */
  first(): Slot | undefined {
    for (let top = this.#ready.peek(); top !== undefined; top = this.#ready.peek()) {
      if (top.state === 'ready') return top
      this.#ready.shift()
    }
    return undefined
  }

  /** Takes {@link first} out. */
  shift(): void {
    this.#ready.shift()
  }

  /** Waits that have ended, end. True when there were some. */
  fallDue(now: number, wall: number): boolean {
    let changed = false
    while (this.#delayed.key <= now) changed = this.#fall(this.#delayed.shift() as Slot, now, wall) || changed
    while (this.#delayedAt.key <= wall) changed = this.#fall(this.#delayedAt.shift() as Slot, now, wall) || changed
    return changed
  }

  #fall(slot: Slot, now: number, wall: number): boolean {
    // It may have been settled, or have begun another wait, since.
    if (slot.state !== 'delayed' || (slot.dueMs > now && slot.dueAt > wall)) return false
    this.ready(slot)
    return true
  }
}

/** The key of the first that still waits. */
function live(heap: Heap<Slot>): number {
  for (let top = heap.peek(); top !== undefined; top = heap.peek()) {
    if (top.state === 'delayed') return heap.key
    heap.shift()
  }
  return Number.POSITIVE_INFINITY
}
