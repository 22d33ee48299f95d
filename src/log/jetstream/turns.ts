import type { Holder } from './slot.ts'

// Hot path.

/** The consumers of a group, and whose turn it is among them: part of the state that is the same in every process. */
export class Turns {
  readonly holders: Holder[] = []
  /** The place of the one whose turn it is, or a number to be taken by their count. */
  at = 0

  add(holder: Holder): void {
    this.holders.push(holder)
  }

  remove(holder: Holder): void {
    const at = this.holders.indexOf(holder)
    if (at >= 0) this.holders.splice(at, 1)
  }

  /** It is the turn of the one behind it. */
  pass(holder: Holder): void {
    this.at = this.holders.indexOf(holder) + 1
  }

  /** The next one that has room, those that wait first: from then on it is its turn. */
  next(): Holder | undefined {
    const { holders } = this
    let found: Holder | undefined
    let foundAt = 0
    for (let step = 0; step < holders.length; step++) {
      const at = (this.at + step) % holders.length
      const holder = holders[at] as Holder
      if (!holder.hasRoom) continue
      if (found === undefined || (holder.wants && !found.wants)) {
        found = holder
        foundAt = at
        if (holder.wants) break
      }
    }
    if (found !== undefined) this.at = foundAt
    return found
  }
}
