import type { OpenEntry, StoredEntry } from './store.ts'

/** Who holds leases: a consumer of the group. */
export interface Holder {
  /** Deliveries that are with it and not settled. The group writes it. */
  held: number
}

/** Where an entry that is not settled stands: with a consumer · its settlement is being stored · may go · waits for its time. */
export type SlotState = 'leased' | 'settling' | 'ready' | 'delayed'

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
  /** The entry itself, while it is cheap to keep. */
  entry: StoredEntry | undefined = undefined

  constructor(offset: number) {
    this.offset = offset
  }
}

/** What the store keeps of an entry that is tracked one by one. */
export function openEntry(slot: Slot): OpenEntry {
  const { offset, attempts, dueAt, delayMs, held, note } = slot
  return { offset, attempts, dueAt, delayMs: dueAt === undefined ? 0 : delayMs, held, note }
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
