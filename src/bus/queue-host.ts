import type { Envelope } from '../message/message.ts'
import type { FailureReason, Outcome } from './ack.ts'
import type { Delivery, DeliveryHost } from './delivery.ts'

/** What a queue needs from the bus around it. */
export interface HostOf<Queue> extends DeliveryHost {
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
    /** Messages handed out since the event loop had its turn. */
    sinceTurn: number
    /** False when as many handlers run as the bus allows; the queue is called again when there is room. */
    mayStart(queue: Queue): boolean
  }
  pressure(queue: Queue, filled: boolean, size: number): void
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
