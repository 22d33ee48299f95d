import type { Envelope } from '../message/message.ts'
import type { Account } from './account.ts'
import type { FailureReason, Outcome } from './ack.ts'
import type { Delivery, DeliveryHost } from './delivery.ts'

/** What a queue needs from the bus around it; the queue's own type is handed in, so that neither file needs the other. */
export interface QueueHost<Queue> extends DeliveryHost {
  /** Calls `dispatch` soon. */
  schedule(queue: Queue): void
  /** Calls `dispatch` now, or soon when the event loop has waited long enough. */
  resume(queue: Queue): void
  started(): void
  ended(): void
  /** Queues that have ended while some of their handlers still run. */
  readonly leaving: Set<Queue>
  readonly pump: {
    /** True while one more handler may run. */
    readonly hasRoom: boolean
    /** True when the next message may be handed out at once, in the place of one that has ended. */
    readonly mayGoOn: boolean
    wentOn(): void
    /** Messages handed out since the event loop had its turn. */
    sinceTurn: number
    /** False when as many handlers run as the bus allows; the queue is called again when there is room. */
    mayStart(queue: Queue): boolean
  }
  pressure(queue: Queue, filled: boolean, size: number): void
  /** True when nobody listens to the announcements of what was handled. */
  readonly isQuiet: boolean
  /** As `settle`, in a quiet bus, for a message that was handled without a word and for which nobody waits. */
  settlePlain(account: Account): void
  /** One delivery is over: balance, receipts, announcements. */
  settle(
    queue: Queue,
    message: Envelope,
    outcome: Outcome,
    value: unknown,
    reason: FailureReason | undefined,
    error: unknown,
    delivery: Delivery | undefined,
  ): void
}
