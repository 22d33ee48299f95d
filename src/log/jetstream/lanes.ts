import { Heap } from '../heap.ts'
import type { Holder, Slot } from './slot.ts'

// Hot path.

/** One session of which somebody holds entries, or of which entries wait. */
export interface Lane {
  owner: Holder | undefined
  held: number
  /** Entries that wait until the owner has room, or for the session to become free. */
  readonly behind: Heap<Slot>
  /** Entries that may go: those behind them wait for them. */
  readonly ready: Heap<Slot>
}

/** A group stops looking for entries of other sessions behind so many that wait. */
const MOST_BEHIND = 10_000

/** The sessions of a group: each has one owner at a time among its consumers. */
export class Lanes {
  readonly #all = new Map<string, Lane>()
  #behind = 0

  /** So many wait that nothing more may be looked for. */
  get isFull(): boolean {
    return this.#behind >= MOST_BEHIND
  }

  /** Who holds entries of the session. */
  ownerOf(session: string | undefined): Holder | undefined {
    if (session === undefined) return undefined
    const lane = this.#all.get(session)
    return lane !== undefined && lane.held > 0 ? lane.owner : undefined
  }

  /** The slot has a holder, who owns its session from now on. */
  own(slot: Slot, holder: Holder): void {
    if (slot.session === undefined) return
    const lane = this.#of(slot.session)
    lane.owner = holder
    lane.held++
    if (lane.behind.size > 0) holder.behind.add(slot.session)
  }

  /** The slot has no holder any more. */
  disown(slot: Slot): void {
    if (slot.session !== undefined) this.#of(slot.session).held--
  }

  /** It waits behind what the owner of its session holds. */
  put(slot: Slot): void {
    const lane = this.#of(slot.session as string)
    slot.state = 'behind'
    lane.behind.push(slot.offset, slot)
    lane.owner?.behind.add(slot.session as string)
    this.#behind++
  }

  /** It may go, before those of its session that wait behind it. */
  ready(slot: Slot): void {
    if (slot.session !== undefined) this.#of(slot.session).ready.push(slot.offset, slot)
  }

  /** One of those that wait was settled. */
  settled(): void {
    this.#behind--
  }

  /** Takes out the oldest that waits for the holder. */
  takeFor(holder: Holder): Slot | undefined {
    let oldest: Lane | undefined
    for (const name of [...holder.behind]) {
      const lane = this.#all.get(name)
      const first = lane === undefined ? undefined : firstOf(lane)
      if (lane === undefined || first === undefined || lane.owner !== holder || lane.held === 0)
        holder.behind.delete(name)
      else if (isOvertaking(lane, first)) continue
      else if (oldest === undefined || first.offset < (firstOf(oldest) as Slot).offset) oldest = lane
    }
    if (oldest !== undefined) this.#behind--
    return oldest?.behind.shift()
  }

  /** When nobody owns the session any more: takes out the first of those that wait, which may go. */
  takeFree(session: string | undefined): Slot | undefined {
    const lane = session === undefined ? undefined : this.#all.get(session)
    if (lane === undefined || lane.held > 0) return undefined
    const first = firstOf(lane)
    if (first !== undefined) {
      this.#behind--
      lane.behind.shift()
    } else if (firstReady(lane) === undefined) this.#all.delete(session as string)
    return first
  }

  #of(session: string): Lane {
    let lane = this.#all.get(session)
    if (lane === undefined)
      this.#all.set(session, (lane = { owner: undefined, held: 0, behind: new Heap(), ready: new Heap() }))
    return lane
  }
}

function firstOf({ behind }: Lane): Slot | undefined {
  for (let top = behind.peek(); top !== undefined; top = behind.peek()) {
    if (top.state === 'behind') return top
    behind.shift()
  }
  return undefined
}

function firstReady({ ready }: Lane): Slot | undefined {
  for (let top = ready.peek(); top !== undefined; top = ready.peek()) {
    if (top.state === 'ready') return top
    ready.shift()
  }
  return undefined
}

function isOvertaking(lane: Lane, slot: Slot): boolean {
  const first = firstReady(lane)
  return first !== undefined && first.offset < slot.offset
}
