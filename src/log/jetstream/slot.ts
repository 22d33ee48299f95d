/** Time as a machine has it. */
export interface MachineTime {
  /** Milliseconds that have passed for the machine: moved on by records, never by much at once, whatever the server's clock does. */
  readonly now: number
  /** As `now`, without the times in which nobody could be heard of: those between records that are far from each other. */
  readonly lively: number
  /** Wall-clock milliseconds of the newest record; never falls. */
  readonly wall: number
  /** A name for a lease that was never given before. */
  token(): number
}

/**
 * Where an entry stands that a group has met and not settled: set aside for a consumer · leased by it · may go · waits for its time ·
 * waits until the consumer that holds earlier entries of its session has room.
 */
export type SlotState = 'reserved' | 'leased' | 'ready' | 'delayed' | 'behind' | 'settled'

/** What a group knows of one entry that it has met and not settled. */
export class Slot {
  readonly offset: number
  readonly bytes: number
  readonly session: string | undefined
  state: SlotState = 'ready'
  attempts = 0
  note: string | undefined = undefined
  /** Names the present reservation or lease; 0 for none. */
  token = 0
  holder: Holder | undefined = undefined
  /** When the lease runs out. */
  untilMs = 0
  /** When the reservation was made, in lively time. */
  sinceMs = 0
  /** When its wait ends, by the time of the machine and by the wall clock, and how long it was to last; 0 for no wait. */
  dueMs = 0
  dueAt = 0
  delayMs = 0
  /** The consumer that waits keeps it, or did so until it ended. */
  held = false
  /** Its handler has started. */
  begun = false
  /** A holder may have died of it. */
  suspect = false

  constructor(offset: number, bytes: number, session: string | undefined) {
    this.offset = offset
    this.bytes = bytes
    this.session = session
  }
}

/** A consumer of a group, in whichever process. */
export class Holder {
  readonly id: string
  readonly instance: string
  readonly most: number
  readonly waitMs: number
  readonly slots = new Set<Slot>()
  /** Sessions that it owns and of which entries wait until it has room. */
  readonly behind = new Set<string>()
  reserved = 0
  reservedBytes = 0
  /** It waits, and others may have more than they need. */
  wants = false
  /** Nothing was heard of its instance while something was reserved for it. */
  silent = false

  constructor(id: string, instance: string, most: number, waitMs: number) {
    this.id = id
    this.instance = instance
    this.most = most
    this.waitMs = waitMs
  }

  /** There is room for one more. */
  get hasRoom(): boolean {
    if (this.silent || this.slots.size >= this.most) return false
    return this.reserved === 0 || (this.reserved < MOST_RESERVED && this.reservedBytes < MOST_RESERVED_BYTES)
  }
}

/** As much is set aside for a consumer that has not asked for it yet. */
const MOST_RESERVED = 1_024
const MOST_RESERVED_BYTES = 2 * 1_024 * 1_024
