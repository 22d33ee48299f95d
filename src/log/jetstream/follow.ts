import type { Timer } from '../../kit/env.ts'
import { isBusError } from '../../kit/errors.ts'
import type { Io } from './io.ts'
import { originOf } from './origin.ts'

/** A record as it lies in the stream. */
export interface StreamRecord {
  readonly seq: number
  /** Milliseconds of the server's clock. */
  readonly at: number
  /** Behind the root of the channel. */
  readonly subject: string
  readonly data: Uint8Array
  header(name: string): string | undefined
}

/** What a {@link Follower} is told. */
export interface FollowOptions {
  readonly stream: string
  readonly root: string
  /** The first sequence wanted. */
  readonly from: number
  /** Only records with such a subject. Default: all. */
  readonly filter?: string
  readonly headersOnly?: boolean
  /** `pending`: how many more there are behind it. */
  readonly record: (record: StreamRecord, pending: number) => void
  /** Records may have been missed, or none come any more: it has ended, and is to be made again. */
  readonly broken: () => void
}

/** Of a consumer whose server is gone nothing is heard. */
const HEARTBEAT_MS = 1_000
const MOST_TRIES = 3

/**
 * Receives the records of a stream in order, each once, as fast as they can be taken. The consumer on the server has no state that
 * counts: whoever loses the thread makes another one.
 */
export class Follower {
  readonly #io: Io
  readonly #options: FollowOptions
  #subscription: { unsubscribe(): void } | undefined
  #name: string | undefined
  #count = 0
  #heardMs = 0
  #timer: Timer | undefined
  #ended = false

  constructor(io: Io, options: FollowOptions) {
    this.#io = io
    this.#options = options
  }

  /** Resolves to how many records wait. Rejects when the server refuses. */
  async start(): Promise<number> {
    try {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#begin()
        } catch (error) {
          // A cluster whose servers choose their leader answers nobody, for longer than a question waits.
          const { link } = this.#io
          const isCluster = link.connection.info?.cluster !== undefined
          if (!isCluster || tries === MOST_TRIES || !isBusError(error, 'BROKER_TIMEOUT') || !link.watch.isUp)
            throw error
          this.#subscription?.unsubscribe()
        }
      }
    } catch (error) {
      this.end()
      throw error
    }
  }

  async #begin(): Promise<number> {
    const { stream, from, filter, headersOnly = false } = this.#options
    const inbox = this.#io.inbox()
    this.#subscription = this.#io.link.connection.subscribe(inbox, {
      callback: (error, message) => {
        if (!error && !this.#ended) this.#take(message)
      },
    })
    const config = {
      deliver_subject: inbox,
      deliver_policy: 'by_start_sequence',
      opt_start_seq: from,
      ack_policy: 'none',
      replay_policy: 'instant',
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: HEARTBEAT_MS * 1e6,
      inactive_threshold: 5e9,
      mem_storage: true,
      num_replicas: 1,
      ...(filter !== undefined && { filter_subject: filter }),
      ...(headersOnly && { headers_only: true }),
    }
    const made = await this.#io.must<{ readonly name: string; readonly num_pending: number }>(
      `CONSUMER.CREATE.${stream}`,
      { stream_name: stream, config },
    )
    this.#name = made.name
    if (this.#ended) this.#remove()
    this.#heardMs = this.#io.env.monotonicMs()
    this.#watch()
    return made.num_pending
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#timer?.cancel()
    this.#subscription?.unsubscribe()
    this.#remove()
  }

  #remove(): void {
    const { link } = this.#io
    if (this.#name === undefined || !link.watch.isUp || link.connection.isClosed()) return
    // Without interest the server removes it by itself, later.
    link.connection.publish(`$JS.API.CONSUMER.DELETE.${this.#options.stream}.${this.#name}`)
    this.#name = undefined
  }

  #take(
    message: Parameters<NonNullable<Parameters<Io['link']['connection']['subscribe']>[1]>['callback'] & object>[1],
  ): void {
    this.#heardMs = this.#io.env.monotonicMs()
    const { reply } = message
    const origin = originOf(reply)
    if (origin === undefined) {
      // A question whether there is room for more, or a sign of life, which may say that such a question was lost.
      const stalled = message.headers?.get('Nats-Consumer-Stalled')
      if (reply) this.#io.link.connection.publish(reply)
      else if (stalled) this.#io.link.connection.publish(stalled)
      return
    }
    const { seq, at, count, pending } = origin
    if (count !== ++this.#count) {
      this.#broken()
      return
    }
    const { root, record } = this.#options
    record(
      {
        seq,
        at,
        subject: message.subject.slice(root.length),
        data: message.data,
        header: (name) => message.headers?.get(name) || undefined,
      },
      pending,
    )
  }

  #watch(): void {
    this.#timer = this.#io.env.after(HEARTBEAT_MS, () => {
      const silentMs = this.#io.env.monotonicMs() - this.#heardMs
      if (silentMs > 3 * HEARTBEAT_MS) this.#broken()
      else if (!this.#ended) this.#watch()
    })
  }

  #broken(): void {
    if (this.#ended) return
    this.end()
    this.#options.broken()
  }
}
