import type { Headers } from '../message/headers.ts'
import type { Message } from '../message/message.ts'
import type { Priority } from '../message/priority.ts'
import type { Publisher } from './publisher.ts'

/** What a handler may return: an answer, a promise of one, or a generator whose parts are a streamed answer. */
export type HandlerResult = unknown

/**
 * Called for each message. The return value answers a request (`undefined` is no answer); an async generator answers as a stream;
 * a throw or rejection is a failure of this delivery only.
 */
export type Handler<T = unknown> = (message: Message<T>, context: Context) => HandlerResult

/** Everything that wraps a handler: retry, timing, tracing, approval are functions of this one type. */
export type Middleware = (next: Handler) => Handler

/** What a handler may do besides returning: one per delivery. */
export interface Context {
  /** Aborted when the message's deadline or the handler's time limit passes, when the requester gives up, and when the bus closes. */
  readonly signal: AbortSignal
  /** 1 for the first delivery. */
  readonly attempt: number
  /** The name of the subscription or agent that handles the message. */
  readonly name: string
  /** Milliseconds until the time limit of this handler. */
  readonly remainingMs: number
  /** Verbs whose messages carry causation, session and sender from this message. */
  readonly bus: Publisher
  /** Sends an answer now; may be called often for `requestMany`. False when nobody waits for it any more. */
  reply(data: unknown, options?: ReplyOptions): boolean
  /** Starts the handler's time limit anew, with `limitMs` if given. */
  extend(limitMs?: number): void
  /**
   * Ends this handling as failed, now: what the handler returns later counts for nothing. A message of a kept channel is tried again
   * after `delayMs` (default: as its channel retries), as long as it has attempts left.
   */
  nack(options?: NackOptions): void
}

/** How a message is given back. */
export interface NackOptions {
  /** Milliseconds until it is tried again. Default: as the retry policy of its channel says. */
  readonly delayMs?: number
  /** For the record. Default "the handler gave it back". */
  readonly reason?: string
}

/** How an answer is sent. */
export interface ReplyOptions {
  readonly headers?: Headers
  readonly priority?: Priority
}
