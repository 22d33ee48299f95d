import type { Holder, Slot } from './slot.ts'

// Hot path.

/** When the leases of a group run out. */
export class Leases {
  /** None runs out before; Infinity for never. */
  soonestMs = Number.POSITIVE_INFINITY

  until(slot: Slot, untilMs: number): void {
    slot.untilMs = untilMs
    if (untilMs < this.soonestMs) this.soonestMs = untilMs
  }

  /** Those that have run out, oldest entry first. */
  over(now: number, holders: readonly Holder[]): Slot[] {
    if (now < this.soonestMs) return []
    this.soonestMs = Number.POSITIVE_INFINITY
    const over: Slot[] = []
    for (const { slots } of holders) {
      for (const slot of slots) {
        if (slot.state !== 'leased') continue
        if (slot.untilMs <= now) over.push(slot)
        else if (slot.untilMs < this.soonestMs) this.soonestMs = slot.untilMs
      }
    }
    // The order of a holder's set depends on the past of this process: that of the offsets does not.
    return over.sort((a, b) => a.offset - b.offset)
  }
}
