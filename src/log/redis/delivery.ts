import type { Message } from '../../message/message.ts'
import type { Along, Delivery, NackOptions, Offset, Settled } from '../log.ts'

// Hot path: one object a delivery.

/** Where a delivery stands, as this process knows it. */
export type Standing = 'buffered' | 'out' | 'over'

/** Who leased the delivery. */
export interface RedisLessor {
  readonly stream: string
  readonly group: string
  begin(delivery: LeasedByRedis): Promise<boolean> | undefined
  settle(delivery: LeasedByRedis, as: Settled, along: Along | undefined): Promise<boolean>
  nack(delivery: LeasedByRedis, options: NackOptions | undefined): Promise<boolean>
  extend(delivery: LeasedByRedis, ms: number | undefined): Promise<boolean>
}

/** What the server said of a hand-out. */
export interface HandOut {
  readonly offset: number
  readonly token: number
  readonly attempts: number
  readonly dueInMs: number
  readonly storedAt: number
  readonly note: string | undefined
  readonly message: Message
  readonly suspect: boolean
  /** The first offset of its run; 0 for none. */
  readonly run: number
}

/** A delivery of a log on Redis. */
export class LeasedByRedis implements Delivery {
  readonly type = 'delivery'
  readonly offset: Offset
  readonly message: Message
  readonly storedAt: number
  readonly note: string | undefined
  readonly attempt: number
  readonly dueInMs: number
  readonly suspect: boolean
  readonly number: number
  readonly token: number
  readonly run: number
  readonly seat: unknown
  standing: Standing = 'buffered'
  /** The server knows that it was handed out. */
  marked = false
  /** Monotonic milliseconds after which the lease has surely run out. */
  untilMs: number
  readonly sureUntilMs: number
  /** Of a wait that it keeps. */
  waiting = false
  readonly #lessor: RedisLessor

  /** The server was asked and has answered at two times of the monotonic clock; the lease of `leaseMs` began between them. */
  constructor(
    lessor: RedisLessor,
    seat: unknown,
    lease: { readonly askedMs: number; readonly answeredMs: number; readonly leaseMs: number },
    out: HandOut,
  ) {
    this.#lessor = lessor
    this.seat = seat
    this.untilMs = lease.answeredMs + lease.leaseMs + out.dueInMs
    this.sureUntilMs = lease.askedMs + lease.leaseMs + out.dueInMs
    this.number = out.offset
    this.token = out.token
    this.run = out.run
    this.suspect = out.suspect
    this.offset = String(out.offset)
    this.message = out.message
    this.storedAt = out.storedAt
    this.note = out.note
    this.attempt = out.attempts + 1
    this.dueInMs = out.dueInMs
  }

  get stream(): string {
    return this.#lessor.stream
  }

  get group(): string {
    return this.#lessor.group
  }

  begin(): Promise<boolean> | undefined {
    return this.#lessor.begin(this)
  }

  settle(as: Settled, along?: Along): Promise<boolean> {
    return this.#lessor.settle(this, as, along)
  }

  nack(options?: NackOptions): Promise<boolean> {
    return this.#lessor.nack(this, options)
  }

  extend(ms?: number): Promise<boolean> {
    return this.#lessor.extend(this, ms)
  }
}
