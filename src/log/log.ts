import type { BusError } from '../kit/errors.ts'
import type { MessageId } from '../message/ids.ts'
import type { Message } from '../message/message.ts'

/** What a stored message survives: nothing · kill -9 of a process · power loss of its machine · loss of a node. */
export type AckLevel = 'memory' | 'process' | 'disk' | 'replicated'

/** The place of an entry in its stream: opaque text, given back as it was got. */
export type Offset = string

/** What a backend can do; what it cannot is refused with UNSUPPORTED, and that is tested too. */
export interface LogSupports {
  /** Messages outlive the process. */
  readonly persistent: boolean
  /** Several processes may use the same log at once. */
  readonly shared: boolean
  /** A stale lease changes nothing (`true`), or is only counted (`false`). */
  readonly fencing: boolean
  /** {@link MessageLog.find} works within the duplicate window. */
  readonly find: boolean
}

/** One message to be kept. */
export interface Item {
  readonly message: Message
  /** A repeat of the key within the channel and the duplicate window is stored once. Default: the message's id; `false`: never compared. */
  readonly key?: string | false
  /** Milliseconds before any group gets it. Default 0. */
  readonly delayMs?: number
  /** Kept beside the message, opaque to the log. */
  readonly note?: string
}

/** What became of an {@link Item}. */
export interface Appended {
  /** The id of the stored message: for a repeat, that of the first one. */
  readonly id: MessageId
  readonly offset: Offset
  /** The stream in which it lies; for a repeat, that of the first one. */
  readonly stream: string
  readonly duplicate: boolean
}

/** A stored message. */
export interface Entry {
  readonly type: 'entry'
  readonly stream: string
  readonly offset: Offset
  readonly message: Message
  /** Wall-clock milliseconds; never falls within a stream. */
  readonly storedAt: number
  readonly note: string | undefined
}

/** Entries that are not there, and why; both ends are included. */
export interface Gap {
  readonly type: 'gap'
  readonly stream: string
  readonly from: Offset
  readonly to: Offset
  /** Removed by retention · does not fit its checksum · was there once and is not any more. */
  readonly reason: 'trimmed' | 'damaged' | 'lost'
}

/** Which part of a stream is read; by default all of it, to its end at the time of the call. */
export interface ReadOptions {
  /** Begin with this entry. */
  readonly from?: Offset
  /** Begin with the entry behind this one. */
  readonly after?: Offset
  /** Only entries stored at or after this wall-clock time. */
  readonly since?: number
  /** Only entries stored before this wall-clock time. */
  readonly until?: number
  /** Only the newest so many of those. */
  readonly last?: number
  /** Only entries that this group has not settled (a group that does not exist has settled none). */
  readonly openFor?: string
  /** Only messages whose `expiresAt` is at or before this wall-clock time. */
  readonly expiredBy?: number
  /** Go on with entries as they are stored, until `signal` is aborted. Does not go with `until` or `last`. */
  readonly follow?: boolean
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal
}

/** How a group reads a stream. */
export interface ConsumeOptions {
  /** Where a group that does not exist yet begins: `first` kept message (default), `now`, behind an entry, at a wall-clock time. */
  readonly from?: 'first' | 'now' | { readonly after: Offset } | { readonly since: number }
  /** Most deliveries this consumer holds unsettled at once. Default 1 000. */
  readonly maxInFlight?: number
  /** Milliseconds of a lease, counted from the hand-out and from each {@link Delivery.extend}. Default 30 000. */
  readonly ackWaitMs?: number
  /** Ends the iteration; what is still held goes back to the group at once, uncounted. */
  readonly signal?: AbortSignal
}

/** How a group is done with an entry. `skipped`: it was not meant for the group. */
export type Settled = 'acked' | 'dead' | 'expired' | 'dropped' | 'skipped'

/** An entry that is stored in the same atomic step as a settlement. */
export interface Along {
  readonly stream: string
  readonly note?: string
  /** Default: the settled entry's own message, its stored bytes copied as they are. */
  readonly message?: Message
}

/** How a delivery is given back. */
export interface NackOptions {
  /** Milliseconds before it is handed out again. Default 0. */
  readonly delayMs?: number
  /** Replaces the note of the group's next delivery of this entry. */
  readonly note?: string
  /** False: this was no attempt (the consumer only gives back what it did not begin). Default true. */
  readonly count?: boolean
  /**
   * True: the consumer keeps the delivery and will try again itself after `delayMs`; attempt and note are remembered, the lease runs
   * on. If the consumer dies, the next one gets it at once, marked with {@link Delivery.dueInMs}, so that it can keep order.
   */
  readonly hold?: boolean
}

/** An entry leased to one consumer of a group. Every call carries the lease: a stale one resolves to false and changes nothing. */
export interface Delivery extends Omit<Entry, 'type'> {
  readonly type: 'delivery'
  readonly group: string
  /** 1 for the first hand-out; rises with each counted nack, with each lease that ran out (of a suspect: behind `begin`), and with each crash after `begin`. */
  readonly attempt: number
  /** Milliseconds that are left of a wait its former holder had begun with `hold`; 0 when it may be handled now. */
  readonly dueInMs: number
  /** A holder of this group died before: the promise of {@link begin} must be awaited before a handler starts. */
  readonly suspect: boolean
  /**
   * Monotonic milliseconds until which the lease lasts for sure, whatever time has passed on the way or while the process stood still.
   * Undefined: for `ackWaitMs` from the hand-out on.
   */
  readonly sureUntilMs?: number
  /**
   * Says that a handler starts. A promise, awaited first, makes a crash inside the handler count as an attempt; it resolves to false where
   * the lease is not the present one any more.
   */
  begin(): Promise<boolean> | undefined
  /** Resolves once the settlement, with the entry that goes along, is kept in one atomic step. */
  settle(as: Settled, along?: Along): Promise<boolean>
  nack(options?: NackOptions): Promise<boolean>
  /** The lease runs from now on for `ms` (default `ackWaitMs`). */
  extend(ms?: number): Promise<boolean>
}

/** Figures of a stream. */
export interface StreamInfo {
  readonly stream: string
  /** The oldest entry still kept, and the place behind the newest. */
  readonly first: Offset
  readonly next: Offset
  readonly count: number
  readonly bytes: number
  readonly gaps: readonly Gap[]
}

/** The balance of a group on a stream: published = acked + dead + expired + dropped + pending + leased + delayed. */
export interface GroupInfo {
  readonly stream: string
  readonly group: string
  /** Entries that were meant for the group: skipped ones do not count. */
  readonly published: number
  readonly acked: number
  readonly dead: number
  readonly expired: number
  readonly dropped: number
  /** Ready to be handed out. */
  readonly pending: number
  /** Held by a consumer, and not waiting for a retry. */
  readonly leased: number
  /** Waiting for their time, held or not. */
  readonly delayed: number
  readonly skipped: number
  /** Settlements and extensions that came with a stale lease. */
  readonly stale: number
}

/** What a log tells while it works. */
export type LogEvent =
  /** The connection to the broker was lost; one more try to get it back failed; it is back, and reading goes on where it was. */
  | { readonly type: 'disconnected'; readonly why: string }
  | { readonly type: 'retry'; readonly tries: number; readonly why: string; readonly nextMs: number }
  | { readonly type: 'reconnected'; readonly downMs: number; readonly tries: number }
  /** The broker lacks entries that it had acknowledged: `error` has the code DATA_LOSS and says which. Told once for each loss. */
  | { readonly type: 'data-loss'; readonly error: BusError }

/** What retention may remove; entries that some group has not settled are never removed. */
export interface TrimOptions {
  /** Entries before this one. */
  readonly before?: Offset
  /** All but the newest so many. */
  readonly maxCount?: number
  /** All but the newest so many bytes. */
  readonly maxBytes?: number
  /** Entries stored before this wall-clock time. */
  readonly storedBefore?: number
}

/**
 * Where kept messages live: streams of entries in the order of their storing, each read by any number of groups. A stream's name is
 * `channel/part`; it exists from its first entry on. The order of effects: store, then answer the publisher, then hand out.
 */
export interface MessageLog extends AsyncDisposable {
  readonly name: string
  /** What an entry survives once `append` has resolved. */
  readonly level: AckLevel
  readonly supports: LogSupports
  /**
   * Resolves once every message is kept, with their offsets in order; rejects if none is. STORE_FULL, STORE_FAILED: surely not stored;
   * PUBLISH_UNKNOWN: may be stored, append it again with the same id. PAYLOAD_TOO_LARGE, INVALID_PAYLOAD: cannot be stored.
   */
  append(stream: string, items: readonly Item[]): Promise<readonly Appended[]>
  /** Every stored entry of the range once, ascending, and a gap for each hole in it. Leaves no trace at any group. */
  read(stream: string, options?: ReadOptions): AsyncIterable<Entry | Gap>
  /**
   * Hands out what the group has not settled, oldest first, given-back ones as they fall due, then waits for more. Creates the group.
   * Entries that are damaged are settled as dropped, and reported.
   *
   * Of one session (`message.session`) a consumer gets an entry only while no other consumer of the group holds an earlier one: so the
   * order of a session has one owner at a time, whichever process it lives in. A lease that runs out takes with it the later leases of
   * the session that the same consumer holds; they go back to the group together. What waits for its time (`delayMs` of the append or of
   * a nack without `hold`) keeps nobody waiting.
   */
  consume(stream: string, group: string, options?: ConsumeOptions): AsyncIterable<Delivery>
  /**
   * Settles an entry that no consumer holds. False when the group has settled it already, or a consumer holds it. A group that does not
   * exist is created, beginning with the first entry.
   */
  settle(stream: string, group: string, offset: Offset, as: Settled, along?: Along): Promise<boolean>
  /** Creates a group without reading; nothing happens when it exists. Resolves once that is kept. */
  join(stream: string, group: string, from?: ConsumeOptions['from']): Promise<void>
  /** Forgets a group with all it had not settled. False when there was none. */
  leave(stream: string, group: string): Promise<boolean>
  /** Removes settled entries from the front of a stream, as far as the options allow. Resolves to how many went. */
  trim(stream: string, options: TrimOptions): Promise<number>
  /** Where the message of a key lies, within the duplicate window. Throws UNSUPPORTED. */
  find(channel: string, key: string): Promise<{ readonly stream: string; readonly offset: Offset } | undefined>
  /** Streams, all or those of one channel, by name. */
  streams(channel?: string): Promise<readonly StreamInfo[]>
  /** Groups of one stream, or of all, by stream and name. */
  groups(stream?: string): Promise<readonly GroupInfo[]>
}

/** The stream of one part of a channel: a lane, or its dead letters. */
export function streamOf(channel: string, part: string): string {
  return `${channel}/${part}`
}

/** The channel of a stream. */
export function channelOf(stream: string): string {
  const at = stream.lastIndexOf('/')
  return at < 0 ? stream : stream.slice(0, at)
}
