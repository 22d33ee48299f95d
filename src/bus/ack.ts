import type { AckLevel } from '../log/log.ts'
import type { MessageId } from '../message/ids.ts'
import type { Message } from '../message/message.ts'

/** How a delivery ended. */
export type Outcome = 'handled' | 'failed' | 'expired' | 'dropped'

/** Why a delivery did not end as handled. */
export type FailureReason =
  | 'handler-error'
  | 'handler-timeout'
  | 'nacked'
  | 'expired'
  | 'queue-full'
  | 'unregistered'
  | 'cancelled'
  | 'shutdown'

/** One delivery that failed, expired or was dropped: what leaves the bus through `onFailure` (dead letters attach there). */
export interface Failure {
  readonly message: Message
  /** The subscription or agent it was meant for. */
  readonly name: string
  readonly outcome: Exclude<Outcome, 'handled'>
  readonly reason: FailureReason
  readonly error: unknown
  readonly attempt: number
  /** Wall-clock milliseconds. */
  readonly time: number
}

/** What happened to a message at one recipient. */
export interface DeliveryReport {
  readonly name: string
  readonly outcome: Outcome | 'refused'
  readonly reason?: FailureReason
  readonly error?: unknown
}

/** A recipient that did not accept a message, and why. */
export interface Refusal {
  readonly name: string
  readonly error: Error
}

/** The bus's answer to a publish: what was reached when the promise resolved. */
export interface Ack {
  readonly id: MessageId
  readonly topic: string
  /** What the message now survives. In one process: `memory`, which survives nothing. */
  readonly level: AckLevel
  /** True when a message of this id, or idempotency key, had been kept before: then `id` is that of the first one. */
  readonly duplicate: boolean
  /** Where a kept message lies: give it to `replay` or `subscribe` as `from: { offset }`. */
  readonly offset?: string
  /** How many queues accepted it; 0 when nobody listens. */
  readonly recipients: number
  /** Queues that did not accept it. Only a message that nobody accepted makes the publish reject. */
  readonly refused: readonly Refusal[]
  /** For `send` and `broadcast`: the agents that took it, in order. */
  readonly accepted?: readonly string[]
  /** True when it waits for an agent that is declared but not registered yet. */
  readonly held: boolean
  /** With `until: "handled"`: what happened at each recipient. */
  readonly deliveries?: readonly DeliveryReport[]
  /** With `receipt: true`: resolves when every recipient is done with it. Never rejects. */
  readonly receipt?: Promise<readonly DeliveryReport[]>
}
