import type { Clock } from '../kit/clock.ts'
import { BusError } from '../kit/errors.ts'
import { Deadline, type TimerWheel } from '../kit/timer-wheel.ts'
import { Envelope } from '../message/message.ts'
import type { FailureReason, Outcome } from './ack.ts'
import type { Context, NackOptions, ReplyOptions } from './handler.ts'
import type { Member } from './member.ts'
import { checkCall, NACK_RULES } from './options.ts'
import type { Publisher } from './publisher.ts'

// Hot path: one of these per handled message; everything rarely used is made on demand.

/** What a delivery needs from the bus around it. */
export interface DeliveryHost {
  readonly clock: Clock
  readonly wheel: TimerWheel
  /** Finished runs, to be used again. */
  readonly runs: Run[]
  /** Calls `watchLong` in the next turn of the event loop. */
  watch(run: Run): void
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
  /** What is being handled now. */
  runs(): IterableIterator<Delivery>
  /** True when a message would be handled now, without waiting for anything that runs. */
  couldStart(session: string | undefined): boolean
  /** The delivery runs on after its handler returned, or may wait for others: count it, give it a run. */
  count(delivery: Delivery): Run
  settled(delivery: Delivery, outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): void
}

/** Somebody who waits for what becomes of a message: a requester, or a publisher that wants a receipt. */
export interface Note {
  /** The delivery in whose handler the waiting takes place. */
  readonly frame: Delivery | undefined
  /** The message that is awaited, and who got it. */
  readonly awaited: Envelope | undefined
  owners: readonly DeliveryOwner[]
  /** True when nobody needs the message handled any more. */
  readonly cancelled: boolean
  /** The message is being handled. */
  started(delivery: Delivery): void
  /** One recipient is done with the message. True when the message goes on elsewhere: then this was no end of it. */
  settled(name: string, outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): unknown
  /** For a message out of a log: it is too old for whoever would handle it now. */
  isStale?(): boolean
  /** For a message out of a log: which handling this is. */
  readonly attempt?: number
  /** For a message out of a log: called before its handler, which waits for the promise, if there is one. */
  begin?(): Promise<void> | undefined
  /** For a message out of a log that failed: true when its session waits until it is tried again. */
  hold?(delivery: Delivery, reason: FailureReason, error: unknown): boolean
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
  /** As it was when it was handed out: a handler might change its own envelope. */
  readonly session: string | undefined
  /**
   * Present while it is counted among the running ones: not for a handler that returns at once and asks for nothing, unless it goes on
   * in the place of another.
   */
  run: Run | undefined = undefined
  ended = false
  #extra: Extra | undefined = undefined

  constructor(owner: DeliveryOwner, member: Member, message: Envelope, startedMs: number) {
    this.message = message
    this.session = message.session
    this.member = member
    this.owner = owner
    this.startedMs = startedMs
  }

  get host(): DeliveryHost {
    return this.owner.host
  }

  get attempt(): number {
    return (Envelope.noteOf(this.message) as Note | undefined)?.attempt ?? 1
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
      // From here on it may wait for others, who must find it among the running ones; one that is over is none of them.
      if (!this.ended) this.owner.count(this)
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
    const limitMs = this.run?.isWaiting ? this.run.limitMs : this.startedMs + this.member.timeoutMs
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
    if (this.run?.isWaiting) this.run.extend(limitMs)
  }

  nack(options: NackOptions = {}): void {
    checkCall('nack', options, NACK_RULES)
    const { delayMs, reason = 'the handler gave it back' } = options
    const details = { name: this.name, topic: this.message.topic, ...(delayMs === undefined ? {} : { delayMs }) }
    this.end('failed', undefined, 'nacked', new BusError('HANDLER_FAILED', reason, { details }))
  }

  /** This handling waits for something now; while it does, it takes no room among the running handlers. */
  waitFor(note: Note): void {
    if (!this.ended) this.owner.count(this)
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

const MOST_SPARE_RUNS = 1_024

/** True for an async generator, or what can be iterated like one. Never throws. */
function isStream(value: object): value is AsyncIterable<unknown> {
  try {
    return typeof (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === 'function'
  } catch {
    // A revoked Proxy throws at every question.
    return false
  }
}

/**
 * A running handler: its place in the queue's list, its time limit, the two callbacks for its promise. Runs are used again, so that
 * waiting for a promise makes no closures; one that overran its limit is left behind, because its promise may still call it.
 */
export class Run extends Deadline {
  delivery: Delivery | undefined = undefined
  next: Run | undefined = undefined
  previous: Run | undefined = undefined
  /** Monotonic milliseconds at which the handler has used up its time. */
  limitMs = 0
  /** The handler's promise is pending. */
  isWaiting = false
  /** Will be looked at in the next turn of the event loop: most handlers have ended by then and need no deadline. */
  #isYoung = false
  readonly onDone = (value: unknown): void => {
    this.isWaiting = false
    const { delivery } = this
    if (delivery === undefined) return
    if (typeof value === 'object' && value !== null && isStream(value)) this.#stream(delivery, value)
    else delivery.end('handled', value, undefined, undefined)
  }
  readonly onFail = (error: unknown): void => {
    this.isWaiting = false
    const { delivery } = this
    if (delivery !== undefined) delivery.end('failed', undefined, 'handler-error', error)
  }

  /** Serves the next delivery in the place of the one that has ended. */
  serve(delivery: Delivery): void {
    this.delivery = delivery
    delivery.run = this
  }

  /** The handler returned a promise: its time runs. */
  begin(delivery: Delivery): void {
    this.isWaiting = true
    this.limitMs = delivery.startedMs + delivery.member.timeoutMs
    if (this.#isYoung) return
    this.#isYoung = true
    delivery.host.watch(this)
  }

  /** The promise resolved to a generator: its parts are the answer, within the same time limit. */
  #stream(delivery: Delivery, parts: AsyncIterable<unknown>): void {
    this.isWaiting = true
    delivery.host.stream(delivery, parts).then(this.onDone, this.onFail)
  }

  /** Still running in the next turn: from now on the wheel watches it. */
  watchLong(): void {
    this.#isYoung = false
    const { delivery } = this
    if (delivery === undefined || !this.isWaiting || this.wheelSlot >= 0) return
    const deadlineMs = Envelope.deadlineMs(delivery.message)
    const { wheel, clock } = delivery.host
    wheel.add(this, this.limitMs < deadlineMs ? this.limitMs : deadlineMs, clock.readMs())
  }

  extend(limitMs: number): void {
    const { delivery } = this
    if (delivery === undefined) return
    const nowMs = delivery.host.clock.readMs()
    this.limitMs = nowMs + limitMs
    delivery.host.wheel.add(this, this.limitMs, nowMs)
  }

  override onDue(): void {
    const { delivery } = this
    if (delivery === undefined) return
    const { host } = delivery
    if (this.dueMs < this.limitMs) {
      // The message's own deadline: its sender has given up, the handler may still finish what it began.
      delivery.abort(
        new BusError('MESSAGE_EXPIRED', `the deadline of "${delivery.message.topic}" passed while it was handled`),
      )
      host.wheel.add(this, this.limitMs, host.clock.readMs())
      return
    }
    const limitMs = this.limitMs - delivery.startedMs
    const error = new BusError(
      'HANDLER_TIMEOUT',
      `handler "${delivery.name}" ran longer than ${Math.round(limitMs)} ms on "${delivery.message.topic}"`,
      { details: { name: delivery.name, topic: delivery.message.topic, limitMs } },
    )
    host.overran(delivery, limitMs)
    delivery.abort(error)
    delivery.end('failed', undefined, 'handler-timeout', error)
  }

  /** The delivery is over: the run may serve another one, unless its promise is still out. */
  release(host: DeliveryHost): void {
    this.delivery = undefined
    if (this.wheelSlot >= 0) host.wheel.remove(this)
    if (!this.isWaiting && host.runs.length < MOST_SPARE_RUNS) host.runs.push(this)
  }
}

/** True when the failed message stays in the hands of its queue, and its session waits for it. */
export function isHeld(delivery: Delivery, reason: FailureReason | undefined, error: unknown): boolean {
  if (delivery.session === undefined) return false
  const note = Envelope.noteOf(delivery.message) as Note | undefined
  return note?.hold?.(delivery, reason as FailureReason, error) === true
}
