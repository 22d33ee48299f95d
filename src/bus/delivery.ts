import type { Clock } from '../kit/clock.ts'
import type { TimerWheel } from '../kit/timer-wheel.ts'
import type { Envelope } from '../message/message.ts'
import type { Context, FailureReason, Handler, Outcome, ReplyOptions } from './handler.ts'
import type { Run } from './invoke.ts'
import type { Publisher } from './publisher.ts'

// Hot path: one of these per handled message; everything rarely used is made on demand.

/** What a delivery needs from the bus around it. */
export interface DeliveryHost {
  readonly clock: Clock
  readonly wheel: TimerWheel
  /** Finished runs, to be used again. */
  readonly runs: Run[]
  /** Verbs that carry causation from the delivery. */
  scope(delivery: Delivery): Publisher
  answer(delivery: Delivery, data: unknown, options: ReplyOptions | undefined): boolean
  /** Parts of a streamed answer; resolves when the generator has ended. */
  stream(delivery: Delivery, parts: AsyncIterable<unknown>): Promise<unknown>
  overran(delivery: Delivery, limitMs: number): void
  /** A running handler begins to wait for others. */
  paused(): void
  resumed(): void
}

/** Who is told how a delivery ended: the queue it came from, or later the worker that settles kept deliveries. */
export interface DeliveryOwner {
  settled(delivery: Delivery, outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): void
}

/** Somebody who waits for what becomes of a message: a requester, or a publisher that wants a receipt. */
export interface Note {
  /** The delivery in whose handler the waiting takes place. */
  readonly frame: Delivery | undefined
  /** True when nobody needs the message handled any more. */
  readonly cancelled: boolean
  /** The message is being handled. */
  started(delivery: Delivery): void
  /** One recipient is done with the message. */
  settled(name: string, outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): void
}

/** A handler with its room. */
export class Member {
  readonly name: string
  readonly plain: Handler
  /** The handler inside its middleware. */
  handler: Handler
  /** Most at once; 0 for the default: one for each session, and one for all messages without a session. */
  readonly concurrency: number
  readonly timeoutMs: number
  /** The agent that handles; what its handler publishes comes from it. */
  readonly agent: string | undefined
  running = 0
  /** Running messages without a session. */
  loose = 0

  constructor(name: string, handler: Handler, concurrency: number, timeoutMs: number, agent?: string) {
    this.name = name
    this.agent = agent
    this.plain = handler
    this.handler = handler
    this.concurrency = concurrency
    this.timeoutMs = timeoutMs
  }

  hasRoom(inSession: boolean): boolean {
    return this.concurrency === 0 ? inSession || this.loose === 0 : this.running < this.concurrency
  }
}

/** One handling of one message; handed to the handler as its context. */
export class Delivery implements Context {
  readonly message: Envelope
  readonly member: Member
  readonly startedMs: number
  /** Neighbours in the list of what a queue has running. */
  next: Delivery | undefined = undefined
  previous: Delivery | undefined = undefined
  /** Present while the handler's promise is pending. */
  run: Run | undefined = undefined
  /** What this handling waits for in turn (nested requests). */
  waits: Set<Note> | undefined = undefined
  ended = false
  readonly #host: DeliveryHost
  readonly #owner: DeliveryOwner
  #controller: AbortController | undefined = undefined
  #aborted: unknown = undefined
  #scope: Publisher | undefined = undefined

  constructor(host: DeliveryHost, owner: DeliveryOwner, member: Member, message: Envelope, startedMs: number) {
    this.#host = host
    this.#owner = owner
    this.member = member
    this.message = message
    this.startedMs = startedMs
  }

  get host(): DeliveryHost {
    return this.#host
  }

  get owner(): DeliveryOwner {
    return this.#owner
  }

  get attempt(): number {
    return 1
  }

  get name(): string {
    return this.member.name
  }

  get agent(): string | undefined {
    return this.member.agent
  }

  get bus(): Publisher {
    this.#scope ??= this.#host.scope(this)
    return this.#scope
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted)
    }
    return this.#controller.signal
  }

  get remainingMs(): number {
    const limitMs = this.run?.limitMs ?? this.startedMs + this.member.timeoutMs
    return Math.max(0, limitMs - this.#host.clock.readMs())
  }

  reply(data: unknown, options?: ReplyOptions): boolean {
    return this.#host.answer(this, data, options)
  }

  extend(limitMs: number = this.member.timeoutMs): void {
    this.run?.extend(limitMs)
  }

  /** This handling waits for something now; while it does, it takes no room among the running handlers. */
  waitFor(note: Note): void {
    this.waits ??= new Set()
    this.waits.add(note)
    if (this.waits.size === 1 && !this.ended) this.#host.paused()
  }

  stopWaiting(note: Note): void {
    if (this.waits?.delete(note) && this.waits.size === 0 && !this.ended) this.#host.resumed()
  }

  /** Aborts the handler's signal; the first reason stays. */
  abort(reason: unknown): void {
    if (this.#aborted !== undefined) return
    this.#aborted = reason
    this.#controller?.abort(reason)
  }

  end(outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): void {
    if (this.ended) return
    this.ended = true
    // The owner counts it as running no more: undo the pause of a handler that did not wait for its own requests.
    if (this.waits !== undefined && this.waits.size > 0) this.#host.resumed()
    this.#owner.settled(this, outcome, value, reason, error)
  }
}
