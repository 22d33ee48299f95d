import type { FailureReason } from '../bus/ack.ts'
import type { DeathReason } from '../bus/kept-verbs.ts'
import type { Entry } from '../log/log.ts'
import type { MessageId } from '../message/ids.ts'
import type { Priority } from '../message/priority.ts'

/** What can happen to a message. */
export type StepEvent =
  | 'published'
  /** A handler came to its end. */
  | 'handled'
  /** The acknowledgement is in the log. */
  | 'acked'
  /** A handler failed; it is not tried again. */
  | 'failed'
  /** A handler failed; it is tried again after `delayMs`. */
  | 'retried'
  | 'expired'
  | 'dropped'
  /** A queue did not accept it. */
  | 'refused'
  /** It became a dead letter. */
  | 'died'
  /** Its dead letter went back, was thrown away, or made room for newer ones. */
  | 'redriven'
  | 'discarded'
  | 'evicted'
  /** It was handed out again, out of the log. */
  | 'replayed'

/** One thing that happened to one message. */
export interface Step {
  readonly event: StepEvent
  /** Wall-clock milliseconds; of a handling: its end. */
  readonly time: number
  /** Wall-clock milliseconds at which the handling began. */
  readonly startedAt?: number
  /** The message's. */
  readonly id: MessageId
  readonly topic: string
  readonly rootId: MessageId
  readonly causationId?: MessageId
  readonly from?: string
  readonly to?: string
  readonly session?: string
  readonly priority: Priority
  /** The subscription or agent that handled, refused or replayed it. */
  readonly name?: string
  /** The group that acknowledged it, or in which it died. */
  readonly group?: string
  /** Which handling it was; 1 for the first. */
  readonly attempt?: number
  /** Milliseconds until the next try. */
  readonly delayMs?: number
  readonly reason?: FailureReason | DeathReason
  readonly error?: string
  readonly code?: string
  /** With the journal's option `data`: what was published. */
  readonly data?: unknown
}

/** Steps that a journal had no room for. */
export interface Missing {
  readonly event: 'missing'
  readonly time: number
  readonly count: number
}

/** Reads a record of a journal; undefined for an entry that is none. */
export function readRecord(entry: Entry): Step | Missing | undefined {
  const record = entry.message.data as Partial<Step | Missing> | null
  if (typeof record !== 'object' || record === null) return undefined
  const { event, time } = record
  if (typeof event !== 'string' || typeof time !== 'number') return undefined
  if (event === 'missing') return typeof record.count === 'number' ? (record as Missing) : undefined
  return typeof (record as Step).id === 'string' ? (record as Step) : undefined
}
