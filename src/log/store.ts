import type { MessageId } from '../message/ids.ts'
import type { Message } from '../message/message.ts'
import type { AckLevel, Gap } from './log.ts'

// What the embedded logs (memory, sqlite) differ in. Everything that a group knows lies in memory in `groups.ts`; a store only keeps
// records and changes, and gives them back. Offsets are whole numbers here: 1, 2, 3 … in each stream, without holes.

/** A record as it was stored. */
export interface StoredEntry {
  readonly type: 'stored'
  readonly offset: number
  readonly message: Message
  readonly storedAt: number
  /** Wall-clock milliseconds before which no group gets it. */
  readonly dueAt: number | undefined
  readonly note: string | undefined
}

/** A record that is there but cannot be trusted, or that should be there and is not. */
export interface BadEntry {
  readonly type: 'bad'
  readonly offset: number
  readonly reason: 'damaged' | 'lost'
}

/** An entry that a group tracks one by one: it was tried, waits, or lies behind the group's position. */
export interface OpenEntry {
  readonly offset: number
  /** Attempts that count so far. */
  readonly attempts: number
  /** Wall-clock milliseconds before which it waits; undefined when it may go at once. */
  readonly dueAt: number | undefined
  /** Milliseconds of that wait as it was asked for: whatever the wall clock did meanwhile, it lasts no longer. 0 without a `dueAt`. */
  readonly delayMs: number
  /** The consumer that waits keeps it: see `NackOptions.hold`. */
  readonly held: boolean
  readonly note: string | undefined
}

/** Cumulative counts of one group on one stream. */
export interface Counts {
  readonly acked: number
  readonly dead: number
  readonly expired: number
  readonly dropped: number
  readonly skipped: number
}

/** Figures of a group, exact at the moment of the call. */
export interface GroupFigures extends Counts {
  readonly published: number
  readonly pending: number
  readonly leased: number
  readonly delayed: number
  readonly stale: number
}

/** One message to store. */
export interface AppendOp {
  readonly type: 'append'
  readonly stream: string
  /** The message, or the stored entry whose bytes are copied as they are. */
  readonly message: Message | { readonly stream: string; readonly offset: number }
  /** Compared within the channel and the duplicate window; undefined: never. */
  readonly key: string | undefined
  readonly storedAt: number
  readonly dueAt: number | undefined
  readonly note: string | undefined
}

/** What a group knows from now on. Everything before `position` is settled, but for `open`; behind it, `done` is settled as well. */
export interface GroupOp {
  readonly type: 'group'
  readonly stream: string
  readonly group: string
  /** The first entry that is the group's. */
  readonly start: number
  readonly position: number
  readonly counts: Counts
  /** Offsets at or behind `position` that have been settled since the last change; those before `position` may be forgotten. */
  readonly done: readonly number[]
  /** Entries whose state is new. */
  readonly open: readonly OpenEntry[]
  /** Offsets whose state in `open` is to be forgotten. */
  readonly closed: readonly number[]
  /** All offsets whose handlers run now. */
  readonly begun: readonly number[]
}

export interface LeaveOp {
  readonly type: 'leave'
  readonly stream: string
  readonly group: string
}

export interface TrimOp {
  readonly type: 'trim'
  readonly stream: string
  /** Everything before this offset goes. */
  readonly before: number
}

export type StoreOp = AppendOp | GroupOp | LeaveOp | TrimOp

/** What became of an {@link AppendOp}. */
export interface StoredAt {
  readonly stream: string
  readonly offset: number
  readonly id: MessageId
  readonly duplicate: boolean
  /** Bytes it takes. */
  readonly bytes: number
}

export interface StoredStream {
  readonly stream: string
  /** The oldest kept offset; equal to `next` when nothing is kept. */
  readonly first: number
  readonly next: number
  readonly bytes: number
  /** `storedAt` of the newest entry: 0 for none. */
  readonly newestAt: number
  readonly gaps: readonly Gap[]
}

export interface StoredGroup {
  readonly stream: string
  readonly group: string
  readonly start: number
  readonly position: number
  readonly counts: Counts
  readonly done: readonly number[]
  readonly open: readonly OpenEntry[]
  readonly begun: readonly number[]
}

/** Everything that must be known before the first hand-out. */
export interface StoredState {
  readonly streams: readonly StoredStream[]
  readonly groups: readonly StoredGroup[]
  /** False when the last holder did not close: handlers may have died with it. */
  readonly clean: boolean
}

/** Keeps records and the changes of groups. Calls are carried out in the order in which they were made. */
export interface Store extends AsyncDisposable {
  readonly name: string
  readonly level: AckLevel
  /** Called once, first. Throws STORE_LOCKED, DATA_LOSS, STORE_FAILED, SCHEMA_TOO_NEW. */
  load(): Promise<StoredState>
  /**
   * All of it or nothing, in one atomic step; resolves once it is kept, with one answer for each append, in order.
   * Rejects with STORE_FULL or STORE_FAILED: surely nothing of it is kept.
   */
  commit(ops: readonly StoreOp[]): Promise<readonly StoredAt[]>
  /** Throws PAYLOAD_TOO_LARGE or INVALID_PAYLOAD for a message that can never be stored; nothing else is checked. */
  check(message: Message): void
  /** Up to `most` entries from `from` on, ascending; every offset from `from` up to the last one returned appears once. */
  page(stream: string, from: number, most: number): Promise<readonly (StoredEntry | BadEntry)[]>
  /** Up to `most` offsets from `from` on, ascending, of messages that expired at or before the time. */
  expired(stream: string, from: number, wallMs: number, most: number): Promise<readonly number[]>
  /** The first offset stored at or after the wall-clock time; the stream's `next` when there is none. */
  since(stream: string, wallMs: number): Promise<number>
  /** The offset before which `bytes` or more would go if all but the newest `bytes` bytes were removed. */
  newest(stream: string, bytes: number): Promise<number>
  /** Bytes that the kept entries of the stream take; 0 for a stream that does not exist. */
  bytes(stream: string): Promise<number>
  find(channel: string, key: string): Promise<{ readonly stream: string; readonly offset: number } | undefined>
}
