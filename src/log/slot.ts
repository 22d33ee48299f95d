import type { Heap } from './heap.ts'
import type { OpenEntry, StoredEntry } from './store.ts'

/** Who holds leases: a consumer of the group. */
export interface Holder {
  /** Deliveries that are with it and not settled. The group writes it. */
  held: number
}

/**
 * Where an entry that is not settled stands: with a consumer · its settlement is being stored · may go · waits for its time · waits for
 * the consumer that owns its session.
 */
export type SlotState = 'leased' | 'settling' | 'ready' | 'delayed' | 'lined'

/** What a group knows about one entry that it has met and not settled. */
export class Slot {
  readonly offset: number
  state: SlotState = 'ready'
  /** Attempts that count so far. */
  attempts = 0
  note: string | undefined = undefined
  /** Monotonic milliseconds before which it waits; 0 for no wait. */
  dueMs = 0
  /** The same wait for the store: wall-clock milliseconds, and how long it was to last. */
  dueAt: number | undefined = undefined
  delayMs = 0
  /** The consumer that waits keeps it, or did so until it ended. */
  held = false
  /** Names the present lease; 0 for none. */
  token = 0
  /** Monotonic milliseconds at which the lease runs out. */
  untilMs = 0
  /** What `extend` counts in when it is not told. */
  ackWaitMs = 0
  holder: Holder | undefined = undefined
  /** The store has, or is to get, an {@link OpenEntry} for it: the group's position may lie behind it. */
  record = false
  /** The store was given one at least once, so it must be told to forget it. */
  stored = false
  /** The process may have died of it: that its handler starts must be kept first. */
  suspect = false
  /** Its session, while several consumers share the group's sessions and the session has an owner or is waited for. */
  lane: Lane | undefined = undefined
  /** The entry itself, while it is cheap to keep. */
  entry: StoredEntry | undefined = undefined

  constructor(offset: number) {
    this.offset = offset
  }
}

/** One session while it has an owner, or entries that wait for one. */
export class Lane {
  readonly session: string
  /** The consumer that holds entries of it. */
  owner: Holder | undefined = undefined
  held = 0
  /** Entries that others met meanwhile, oldest first. Whoever was settled by its offset is still among them. Most sessions need none. */
  lined: Heap<Slot> | undefined = undefined
  /** The oldest of them as its owner's queue knows it; 0 when it is not there. */
  offered = 0

  constructor(session: string) {
    this.session = session
  }

  /** The oldest entry that waits. */
  head(): Slot | undefined {
    const { lined } = this
    if (lined === undefined) return undefined
    for (let top = lined.peek(); top !== undefined; top = lined.peek()) {
      if (top.state === 'lined') return top
      lined.shift()
    }
    return undefined
  }
}

/** What the store keeps of an entry that is tracked one by one. */
export function openEntry(slot: Slot): OpenEntry {
  const { offset, attempts, dueAt, delayMs, held, note } = slot
  return { offset, attempts, dueAt, delayMs: dueAt === undefined ? 0 : delayMs, held, note }
}

/** The time at which something happens to a group: monotonic for what waits, wall clock for what is stored. */
export interface Now {
  readonly nowMs: number
  readonly wallMs: number
}

/** Makes the slot wait: `nowMs` monotonic, `wallMs` for the store. No wait clears it. */
export function waitFor(slot: Slot, delayMs: number, nowMs: number, wallMs: number): void {
  if (delayMs > 0) {
    slot.dueMs = nowMs + delayMs
    slot.delayMs = Math.ceil(delayMs)
    slot.dueAt = Math.ceil(wallMs + delayMs)
    return
  }
  slot.dueMs = 0
  slot.delayMs = 0
  slot.dueAt = undefined
}

/** Takes up a wait from before: by the wall clock, but never longer than it was to last. Returns the milliseconds that are left. */
export function resumeWait(slot: Slot, dueAt: number, delayMs: number, nowMs: number, wallMs: number): number {
  const leftMs = Math.max(0, Math.min(dueAt - wallMs, delayMs))
  slot.dueAt = dueAt
  slot.delayMs = delayMs
  slot.dueMs = leftMs > 0 ? nowMs + leftMs : 0
  return leftMs
}

/** The session of an entry that is leased. */
export function sessionOf(slot: Slot): string | undefined {
  return slot.entry?.message.session
}

/** Leases that have run out, those that go with them, and when the next one runs out. */
export interface Overdue {
  readonly over: readonly Slot[]
  /** Leases that are still good, of sessions in which the same consumer has an earlier one that ran out. */
  readonly behind: readonly Slot[]
  readonly soonestMs: number
}

/** Looks at all leases. */
export function overdue(leased: ReadonlyMap<number, Slot>, nowMs: number): Overdue {
  let soonestMs = Number.POSITIVE_INFINITY
  const over: Slot[] = []
  const good: Slot[] = []
  for (const slot of leased.values()) {
    if (slot.state !== 'leased') continue
    if (slot.untilMs <= nowMs) over.push(slot)
    else {
      good.push(slot)
      if (slot.untilMs < soonestMs) soonestMs = slot.untilMs
    }
  }
  const firsts = firstOf(over)
  if (firsts.size === 0) return { over, behind: [], soonestMs }
  const behind = good.filter((slot) => {
    const first = firsts.get(slot.holder)?.get(sessionOf(slot) ?? '')
    return first !== undefined && first < slot.offset
  })
  return { over, behind, soonestMs }
}

/** The oldest of each session, by holder. */
function firstOf(slots: readonly Slot[]): ReadonlyMap<Holder | undefined, Map<string, number>> {
  const firsts = new Map<Holder | undefined, Map<string, number>>()
  for (const slot of slots) {
    const session = sessionOf(slot)
    if (session === undefined) continue
    const ofHolder = firsts.get(slot.holder) ?? new Map<string, number>()
    ofHolder.set(session, Math.min(slot.offset, ofHolder.get(session) ?? slot.offset))
    firsts.set(slot.holder, ofHolder)
  }
  return firsts
}
