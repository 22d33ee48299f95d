import type { AckLevel, Gap } from '../log/log.ts'
import type { Message } from '../message/message.ts'
import type { Priority } from '../message/priority.ts'

// What a log adds to a bus: types only. `worker/` does it; a bus without a log answers UNSUPPORTED.

/** The balance of one kept channel, in (message, group) pairs: published is the sum of all the others. */
export interface KeptLedger {
  readonly published: number
  readonly acked: number
  /** Ready to be handed out. */
  readonly pending: number
  readonly leased: number
  /** Waiting for their time, or for a retry. */
  readonly delayed: number
  /** Kept while no group reads their stream yet. */
  readonly held: number
  readonly dead: number
  readonly expired: number
  readonly dropped: number
}

/** A kept channel as it is. */
export interface ChannelInfo {
  readonly name: string
  readonly level: AckLevel
  /** Messages in its log, settled ones that are still kept included. */
  readonly messages: number
  readonly bytes: number
  readonly deadLetters: number
  readonly groups: readonly string[]
  readonly ledger: KeptLedger
}

/** One failed handling. */
export interface AttemptRecord {
  /** Wall-clock milliseconds of its end. */
  readonly time: number
  readonly error: string
  readonly code: string | undefined
}

/** Why a message became a dead letter. */
export type DeathReason =
  | 'handler-error'
  | 'handler-timeout'
  | 'nacked'
  | 'expired'
  | 'cancelled'
  | 'rejected'
  | 'queue-full'
  | 'agent-unresponsive'

/** A message that a group could not handle. */
export interface DeadLetter {
  /** Names this dead letter: one message may die in several groups. */
  readonly id: string
  readonly channel: string
  readonly group: string
  readonly message: Message
  readonly reason: DeathReason
  /** The last error as text; its code, if it had one. */
  readonly error: string
  readonly code: string | undefined
  /** Every failed handling, oldest first, those before a redrive included. */
  readonly attempts: readonly AttemptRecord[]
  /** Wall-clock milliseconds. */
  readonly firstAttemptAt: number | undefined
  readonly diedAt: number
  /** How often it was redriven before. */
  readonly redriven: number
}

/** Which dead letters; all that are given must fit. */
export interface DeadLetterFilter {
  readonly channel?: string
  readonly group?: string
  readonly reason?: DeathReason
  /** A pattern of topics. */
  readonly topic?: string
  /** The agent it was meant for. */
  readonly agent?: string
  readonly session?: string
  /** Wall-clock milliseconds: died before. */
  readonly before?: number
  /** Wall-clock milliseconds: died at or after. */
  readonly since?: number
}

/** As a filter, and how many. */
export interface DeadLetterList extends DeadLetterFilter {
  /** Most entries; default 100. */
  readonly limit?: number
  /** Default `newest` first. */
  readonly order?: 'newest' | 'oldest'
}

/** Changes that a redrive makes. */
export interface RedriveOptions {
  /** Other data in place of what failed. Default: its stored bytes as they are. */
  readonly data?: unknown
  readonly priority?: Priority
}

/** Of several redrives. */
export interface RedriveAllOptions extends DeadLetterFilter {
  /** At most so many a second; default: as fast as they are stored. */
  readonly perSecond?: number
  /** Most; default all that are there at the call. */
  readonly limit?: number
  /** Called after each. */
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/** The messages that groups could not handle. They survive restarts where the log does; reading them changes nothing. */
export interface DeadLetters {
  list(options?: DeadLetterList): Promise<readonly DeadLetter[]>
  /** Throws UNKNOWN_DEAD_LETTER. */
  get(id: string): Promise<DeadLetter>
  count(filter?: DeadLetterFilter): Promise<number>
  /**
   * Puts it back to its channel for the group in which it died, in one atomic step; its attempts begin anew, its history stays.
   * Throws UNKNOWN_DEAD_LETTER.
   */
  redrive(id: string, options?: RedriveOptions): Promise<void>
  /** Resolves to how many went back. */
  redriveAll(options?: RedriveAllOptions): Promise<number>
  /** Throws UNKNOWN_DEAD_LETTER. */
  discard(id: string): Promise<void>
  /** Resolves to how many went. */
  discardAll(filter?: DeadLetterFilter): Promise<number>
  /** Calls `onDead` for each message that dies from now on, in this process. Returns how to end that. */
  watch(onDead: (letter: DeadLetter) => void): () => void
}

/** Which kept messages are read again. */
export interface ReplayOptions {
  /** Begin: the first kept message (default), the place told by an ack or behind it, a wall-clock time, or a message's id. */
  readonly from?:
    | 'first'
    | { readonly offset: string }
    | { readonly after: string }
    | { readonly time: number }
    | { readonly id: string }
  /** End: a wall-clock time (excluded), or the id of the last message. Default: the end at the time of the call. */
  readonly to?: { readonly time: number } | { readonly id: string }
  /** Only the newest so many. */
  readonly last?: number
  readonly session?: string
  /** Only messages from or to this agent. */
  readonly agent?: string
  /** `fast` as can be read (default), or at the `original` pace; a number is so many times the original pace. */
  readonly pace?: 'fast' | 'original' | number
  /** Told of holes. Default: a hole that is not from retention throws DATA_LOSS. */
  readonly onGap?: (gap: Gap) => void
  readonly signal?: AbortSignal
}

/** A message that is read again: where it lies, and when it was stored. */
export interface Replayed<T = unknown> {
  readonly message: Message<T>
  /** As in an ack: give it to `from: { after }` to go on behind it. */
  readonly offset: string
  readonly channel: string
  /** Wall-clock milliseconds. */
  readonly storedAt: number
}

/** Kept messages in the order of their publishing; leaves no trace at any group. */
export interface Replay<T = unknown> extends AsyncIterable<Message<T>> {
  /** The same with the place of each. */
  entries(): AsyncIterableIterator<Replayed<T>>
}

/** The verbs that need a log. */
export interface KeptVerbs {
  readonly deadLetters: DeadLetters
  /** Reads kept messages of the pattern again. Throws UNSUPPORTED without a log, INVALID_TOPIC, INVALID_OPTION. */
  replay<T = unknown>(pattern: string, options?: ReplayOptions): Replay<T>
  /**
   * Ends a message wherever it is: one that waits is dropped, with a record among the dead letters (reason "cancelled"); one being
   * handled gets its signal aborted and is not tried again. Resolves to how many groups it was ended for.
   */
  cancel(id: string): Promise<number>
  /** The kept channels with their ledgers, exact at the time of the call. */
  channels(): Promise<readonly ChannelInfo[]>
}
