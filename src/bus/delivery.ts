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
  readonly host: DeliveryHost
  /** The delivery runs on after its handler returned, or may wait for others: count it. */
  count(delivery: Delivery): void
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

/** What most deliveries never need. */
interface Extra {
  controller: AbortController | undefined
  aborted: unknown
  scope: Publisher | undefined
  waits: Set<Note> | undefined
}

/** One handling of one message; handed to the handler as its context. */
export class Delivery implements Context {
  readonly message: Envelope
  readonly member: Member
  readonly owner: DeliveryOwner
  readonly startedMs: number
  /** Neighbours in the list of what a queue has running. */
  next: Delivery | undefined = undefined
  previous: Delivery | undefined = undefined
  /** Present while the handler's promise is pending. */
  run: Run | undefined = undefined
  /** Counted among the running ones: not for a handler that returned at once and asked for nothing. */
  counted = false
  ended = false
  #extra: Extra | undefined = undefined

  constructor(owner: DeliveryOwner, member: Member, message: Envelope, startedMs: number) {
    this.message = message
    this.member = member
    this.owner = owner
    this.startedMs = startedMs
  }

  get host(): DeliveryHost {
    return this.owner.host
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
    const extra = this.#more()
    if (extra.scope === undefined) {
      // From here on it may wait for others, who must find it among the running ones.
      this.owner.count(this)
      extra.scope = this.host.scope(this)
    }
    return extra.scope
  }

  get signal(): AbortSignal {
    const extra = this.#more()
    if (extra.controller === undefined) {
      extra.controller = new AbortController()
      if (extra.aborted !== undefined) extra.controller.abort(extra.aborted)
    }
    return extra.controller.signal
  }

  get remainingMs(): number {
    const limitMs = this.run?.limitMs ?? this.startedMs + this.member.timeoutMs
    return Math.max(0, limitMs - this.host.clock.readMs())
  }

  /** What this handling waits for in turn (nested requests). */
  get waits(): ReadonlySet<Note> | undefined {
    return this.#extra?.waits
  }

  reply(data: unknown, options?: ReplyOptions): boolean {
    return this.host.answer(this, data, options)
  }

  extend(limitMs: number = this.member.timeoutMs): void {
    this.run?.extend(limitMs)
  }

  /** This handling waits for something now; while it does, it takes no room among the running handlers. */
  waitFor(note: Note): void {
    const extra = this.#more()
    extra.waits ??= new Set()
    extra.waits.add(note)
    if (extra.waits.size === 1 && !this.ended) this.host.paused()
  }

  stopWaiting(note: Note): void {
    const waits = this.#extra?.waits
    if (waits?.delete(note) && waits.size === 0 && !this.ended) this.host.resumed()
  }

  /** Aborts the handler's signal; the first reason stays. */
  abort(reason: unknown): void {
    const extra = this.#more()
    if (extra.aborted !== undefined) return
    extra.aborted = reason
    extra.controller?.abort(reason)
  }

  end(outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): void {
    if (this.ended) return
    this.ended = true
    // The owner counts it as running no more: undo the pause of a handler that did not wait for its own requests.
    if (this.#extra !== undefined && (this.#extra.waits?.size ?? 0) > 0) this.host.resumed()
    this.owner.settled(this, outcome, value, reason, error)
  }

  #more(): Extra {
    this.#extra ??= { controller: undefined, aborted: undefined, scope: undefined, waits: undefined }
    return this.#extra
  }
}
