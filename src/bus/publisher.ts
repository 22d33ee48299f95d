import type { TopicContract } from '../message/contract.ts'
import type { Headers } from '../message/headers.ts'
import type { Message } from '../message/message.ts'
import type { Priority } from '../message/priority.ts'
import type { Ack } from './ack.ts'

/** How the recipients are kept from changing each other's data. */
export type PayloadMode =
  /** Deeply frozen at publish (default). Bytes, Map, Set and Date cannot be frozen: those are copied for each recipient. */
  | 'freeze'
  /** Every recipient gets a copy of its own. */
  | 'copy'
  /** Handed on as it is, unmeasured and changeable: for data that nobody changes. */
  | 'share'

/** Fields of the message, and what the promise of a publish waits for. */
export interface PublishOptions {
  /** Default `normal`. */
  readonly priority?: Priority
  /** The ordered conversation the message belongs to. */
  readonly session?: string
  /** The sending agent. */
  readonly from?: string
  /** The agent it is meant for; set by `send`. */
  readonly to?: string
  /** Milliseconds after which it is not handled any more. Default: the bus's `ttlMs`. */
  readonly ttlMs?: number
  readonly headers?: Headers
  readonly correlationId?: string
  /** A topic for answers; set by `request`. */
  readonly replyTo?: string
  readonly payload?: PayloadMode
  /**
   * The message's own id, in the form of a UUID: to publish again what may have been kept already (PUBLISH_UNKNOWN). A kept channel
   * stores an id once within its duplicate window.
   */
  readonly id?: string
  /** On a kept channel: a repeat of the key within the duplicate window is accepted once, and acknowledged with the first one's id. */
  readonly idempotencyKey?: string
  /** On a kept channel: milliseconds before anybody gets the message. Throws UNSUPPORTED on a live topic. */
  readonly delayMs?: number
  /**
   * What the promise waits for: `accepted` by the queues, or kept (default); `handled`: every recipient is done, failures are in
   * `ack.deliveries`; `succeeded`: as `handled`, but rejects with the last failure.
   */
  readonly until?: 'accepted' | 'handled' | 'succeeded'
  /** Also get `ack.receipt`, which resolves when every recipient is done. */
  readonly receipt?: boolean
}

/** As for a publish. */
export interface SendOptions extends PublishOptions {}

/** As for a publish, and who is left out. */
export interface BroadcastOptions extends PublishOptions {
  /** Agents that do not get it, beside the sender. */
  readonly exclude?: readonly string[]
  /** True: the sender gets it too. */
  readonly echo?: boolean
}

/** As for a publish, and how long to wait for the answer. */
export interface RequestOptions extends PublishOptions {
  /** Milliseconds to wait for the answer. Default: the bus's `requestTimeoutMs` (5 000). */
  readonly timeoutMs?: number
  /** Gives up the request; the handler's `context.signal` is aborted too. */
  readonly signal?: AbortSignal
}

/** When {@link Publisher.requestMany} ends: whatever comes first. */
export interface RequestManyOptions extends PublishOptions {
  /** Ends after so many answers. */
  readonly count?: number
  /** Ends when so many milliseconds passed since the start. Default: the bus's `requestTimeoutMs`. */
  readonly maxWaitMs?: number
  /** Ends when so many milliseconds passed since the last answer (the first answer may take `maxWaitMs`). */
  readonly stallMs?: number
  /** Ends before the first answer for which this is true; that answer is not handed out. */
  readonly sentinel?: (answer: Message) => boolean
  readonly signal?: AbortSignal
}

/** As for a publish, and how long a stream may be silent. */
export interface RequestStreamOptions extends PublishOptions {
  /** Milliseconds without a part after which the stream fails. Default 30 000. */
  readonly stallMs?: number
  readonly signal?: AbortSignal
}

/** One part of a stream with its place. */
export interface Chunk<T = unknown> {
  readonly streamId: string
  /** 0, 1, 2 …: dense. */
  readonly index: number
  readonly data: T
  readonly final: boolean
  /** Bytes, as estimated for JSON, or the length of binary data. */
  readonly size: number
  /** CRC-32 of text or bytes, as 8 hex digits; undefined for other data. */
  readonly checksum: string | undefined
  readonly metadata: Readonly<Record<string, unknown>>
  /** Wall-clock milliseconds. */
  readonly time: number
}

/** A streamed answer. Iterate it (also several times at once: every observer gets every part), or `cancel()` it. */
export interface ReplyStream<T = unknown> extends AsyncIterable<T> {
  readonly id: string
  /**
   * The parts with their index and metadata, from the first one or from `from`. The last chunk is final: without data at the end of
   * a generator; with `metadata.error` when the stream failed, and then nothing is thrown.
   */
  chunks(from?: number): AsyncIterableIterator<Chunk<T>>
  /** Stops the producer: its `context.signal` is aborted and its generator returned. */
  cancel(reason?: unknown): void
}

/** A topic as text, or one made by `defineTopic`. */
export type TopicOf<T> = string | TopicContract<T>

/** The sending verbs. Every promise settles; nothing throws synchronously. */
export interface Publisher {
  /** Sends to every live subscription of the topic. Rejects when the message is invalid or nobody had room for it. */
  publish<T>(topic: TopicOf<T>, data: T, options?: PublishOptions): Promise<Ack>
  /** Sends to one agent, or to several as one message. Rejects with UNKNOWN_AGENT when one does not exist. */
  send(agent: string | readonly string[], data: unknown, options?: SendOptions): Promise<Ack>
  /** Sends to every agent registered now but the sender. */
  broadcast(data: unknown, options?: BroadcastOptions): Promise<Ack>
  /** Sends and waits for the first answer. Rejects with REQUEST_TIMEOUT, NO_RESPONDERS, HANDLER_FAILED or CANCELLED. */
  request<R = unknown, T = unknown>(topic: TopicOf<T> | Capable, data: T, options?: RequestOptions): Promise<Message<R>>
  /** Several requests at once; answers in the order of the list, rejects with the first failure. */
  requestAll<R = unknown>(
    requests: readonly (readonly [topic: string, data: unknown])[],
    options?: RequestOptions,
  ): Promise<Message<R>[]>
  /** Sends and iterates over the answers of many. Ends by count, stall, sentinel or timer; leaving the loop cancels. */
  requestMany<R = unknown, T = unknown>(
    topic: TopicOf<T>,
    data: T,
    options?: RequestManyOptions,
  ): AsyncIterableIterator<Message<R>>
  /** Sends and iterates over the parts of one streamed answer. Leaving the loop of the last observer cancels the producer. */
  requestStream<R = unknown, T = unknown>(
    topic: TopicOf<T> | Capable,
    data: T,
    options?: RequestStreamOptions,
  ): ReplyStream<R>
}

/** Any one agent with a capability, idle ones first. */
export interface Capable {
  readonly capability: string
}
