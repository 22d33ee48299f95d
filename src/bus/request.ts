import type { Clock } from '../kit/clock.ts'
import { BusError, describeThrown, isBusError } from '../kit/errors.ts'
import { Deadline, type TimerWheel } from '../kit/timer-wheel.ts'
import { INBOX_ROOT } from '../message/address.ts'
import { hexOf24 } from '../message/ids.ts'
import type { Envelope, Message } from '../message/message.ts'
import type { FailureReason, Outcome } from './ack.ts'
import type { Delivery, DeliveryOwner, Note } from './delivery.ts'
import type { AskKind, FarAsked, FarPending } from './far/side.ts'
import type { ReplyOptions } from './handler.ts'

// Hot path: an open request is one object out of a table of slots; its answer finds it by the slot number in `replyTo`.

/** What the table of requests needs from the bus. */
export interface RequestHost {
  readonly clock: Clock
  readonly wheel: TimerWheel
  /** Makes the reply message for a request. Throws what a publish would. */
  makeAnswer(request: Envelope, data: unknown, from: string | undefined, options: ReplyOptions | undefined): Envelope
  stray(answer: Message): void
  timedOut(): void
}

/** An open request: waits in the table until it is answered, fails, times out or is given up. */
export abstract class Pending extends Deadline implements Note, FarPending {
  abstract readonly kind: AskKind
  readonly table: RequestTable
  /** Where the table keeps it; -1 before it is opened. */
  slot = -1
  readonly frame: Delivery | undefined
  message!: Envelope
  owners: readonly DeliveryOwner[] = []
  /** Recipients that have not settled yet; counts below zero until {@link arm}. */
  #left = 0
  #armed = false
  over = false
  cancelled = false
  /** What other processes were asked. */
  far: FarAsked | undefined = undefined
  #firstFailure: unknown = undefined
  #failed = false
  #running: Delivery[] | Delivery | undefined = undefined

  constructor(table: RequestTable, frame: Delivery | undefined) {
    super()
    this.table = table
    this.frame = frame
    frame?.waitFor(this)
  }

  get awaited(): Envelope {
    return this.message
  }

  started(delivery: Delivery): void {
    if (this.#running === undefined) this.#running = delivery
    else if (Array.isArray(this.#running)) this.#running.push(delivery)
    else this.#running = [this.#running, delivery]
  }

  settled(name: string, outcome: Outcome, value: unknown, _reason: FailureReason | undefined, error: unknown): void {
    if (this.over) {
      if (value !== undefined) this.table.late(this.message, value)
      return
    }
    if (outcome === 'handled') {
      if (value !== undefined) this.table.answer(this.message, value, name, undefined, this)
    } else if (!this.#failed) {
      this.#failed = true
      this.#firstFailure = error
    }
    this.#left--
    if (this.#failed) this.#check()
  }

  /** Says how many recipients there are; some may be done already. */
  arm(recipients: number): void {
    this.#left += recipients
    this.#armed = true
    this.#check()
  }

  /** A recipient that refused the message can not answer it. */
  refused(error: Error): void {
    // That somebody was not there says less than what went wrong where somebody was.
    if (this.#firstFailure === undefined || isBusError(this.#firstFailure, 'NO_RESPONDERS')) this.#firstFailure = error
    this.#failed = true
    this.#left--
    this.#check()
  }

  /** A recipient that was done, but might still have answered, is gone. */
  lost(error: Error): void {
    this.#left++
    this.refused(error)
  }

  /** Takes a part of a streamed answer; only a request for a stream has a place for it. */
  pour(_part: unknown): Promise<void> {
    return Promise.resolve()
  }

  complete(): void {}

  /** When all recipients are done and one failed, nobody is left to wait for. */
  #check(): void {
    if (!this.#armed || this.#left > 0 || this.over || !this.#failed) return
    this.fail(asFailure(this.#firstFailure, this.message.topic))
  }

  /** Ends the waiting; handlers still at work hear it through their signal. */
  close(reason: BusError | undefined): void {
    if (this.over) return
    this.over = true
    this.table.free(this)
    this.frame?.stopWaiting(this)
    this.far?.closed(reason)
    if (reason === undefined) return
    this.cancelled = true
    const running = this.#running
    if (Array.isArray(running)) for (const one of running) one.abort(reason)
    else running?.abort(reason)
  }

  override onDue(): void {
    if (!this.over) this.timeUp()
  }

  abstract answered(answer: Message): void
  abstract fail(error: BusError): void
  abstract timeUp(): void
}

/** What a handler's failure is for whoever asked. */
export function asFailure(error: unknown, topic: string): BusError {
  if (isBusError(error)) return error
  return new BusError('HANDLER_FAILED', `the handler of "${topic}" failed: ${describeThrown(error)}`, {
    cause: error,
    details: { topic },
  })
}

/** What the requester is told when the answer of a handler cannot be sent. */
export function unanswerable(topic: string, error: unknown): BusError {
  return new BusError('HANDLER_FAILED', `the answer to "${topic}" cannot be sent: ${describeThrown(error)}`, {
    cause: error,
    details: { topic },
  })
}

/** Waits for the first answer. */
export class SingleRequest extends Pending {
  readonly kind = 'one'
  #resolve!: (answer: Message) => void
  #reject!: (error: BusError) => void
  timeoutMs = 0
  /** Takes the listener off the caller's abort signal. */
  unlisten: (() => void) | undefined = undefined

  promise(): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  answered(answer: Message): void {
    this.unlisten?.()
    this.close(undefined)
    this.#resolve(answer)
  }

  fail(error: BusError): void {
    this.unlisten?.()
    this.close(error)
    this.#reject(error)
  }

  timeUp(): void {
    const { topic } = this.message
    this.table.host.timedOut()
    this.fail(
      new BusError('REQUEST_TIMEOUT', `no answer from "${topic}" within ${this.timeoutMs} ms`, {
        details: { topic, timeoutMs: this.timeoutMs, id: this.message.id },
      }),
    )
  }
}

/** All open requests of a bus. An answer goes only to its own request; late, doubled and unknown ones are counted. */
export class RequestTable {
  readonly host: RequestHost
  #prefix: string
  #secret: (() => string) | undefined
  readonly #slots: (Pending | undefined)[] = []
  /** How often each slot was used: part of the reply topic, so that a late answer never meets the slot's next request. */
  readonly #uses: number[] = []
  readonly #free: number[] = []
  /** The beginnings of the reply topics by slot: made once, used again. */
  readonly #topics: string[] = []
  #open = 0
  /** Answers that came late, twice, or for nothing. */
  strays = 0

  constructor(host: RequestHost, busId: string) {
    this.host = host
    this.#prefix = `${INBOX_ROOT}.${busId}.`
  }

  get size(): number {
    return this.#open
  }

  /** From now on answers may come from other processes: under this id, on topics that nobody can guess. Before the first request. */
  shareWith(id: string, secret: () => string): void {
    this.#prefix = `${INBOX_ROOT}.${id}.`
    this.#secret = secret
    this.#topics.length = 0
  }

  /** Puts an open request into its slot, with its deadline. */
  open(pending: Pending, message: Envelope, dueMs: number, nowMs: number): void {
    pending.message = message
    pending.slot = this.#free.pop() ?? this.#slots.length
    this.#slots[pending.slot] = pending
    message.replyTo = this.#replyTopic(pending.slot)
    message.correlationId ??= message.id
    this.#open++
    if (dueMs !== Number.POSITIVE_INFINITY) this.host.wheel.add(pending, dueMs, nowMs)
  }

  free(pending: Pending): void {
    if (this.#slots[pending.slot] !== pending) return
    this.#slots[pending.slot] = undefined
    this.#free.push(pending.slot)
    this.#open--
    this.host.wheel.remove(pending)
  }

  #replyTopic(slot: number): string {
    const use = (this.#uses[slot] ?? 0) + 1
    this.#uses[slot] = use
    this.#topics[slot] ??= `${this.#prefix}${slot}.`
    const topic = this.#topics[slot] + hexOf24(use)
    return this.#secret === undefined ? topic : topic + this.#secret()
  }

  *[Symbol.iterator](): IterableIterator<Pending> {
    for (const pending of this.#slots) if (pending !== undefined) yield pending
  }

  /** True for a reply topic of this table, open or not. */
  owns(topic: string): boolean {
    return topic.startsWith(this.#prefix)
  }

  /** The open request whose message this is. */
  find(request: Message): Pending | undefined {
    return request.replyTo === undefined ? undefined : this.at(request.replyTo)
  }

  /** The open request of a reply topic. */
  at(topic: string): Pending | undefined {
    if (!this.owns(topic)) return undefined
    const pending = this.#slots[Number.parseInt(topic.slice(this.#prefix.length), 10)]
    return pending?.message.replyTo === topic ? pending : undefined
  }

  /** Answers a request; false when nobody waits for it any more. A wrong answer fails the request instead. */
  answer(
    request: Envelope,
    data: unknown,
    from: string | undefined,
    options: ReplyOptions | undefined,
    pending: Pending | undefined = this.find(request),
  ): boolean {
    let answer: Envelope
    try {
      answer = this.host.makeAnswer(request, data, from, options)
    } catch (error) {
      pending?.fail(unanswerable(request.topic, error))
      return false
    }
    if (pending === undefined) {
      this.#stray(answer)
      return false
    }
    pending.answered(answer)
    return true
  }

  /** An answer that arrived as a message on a reply topic. */
  deliver(answer: Envelope): boolean {
    const pending = this.at(answer.topic)
    if (pending === undefined) {
      this.#stray(answer)
      return false
    }
    pending.answered(answer)
    return true
  }

  /** An answer to a request that is over already. */
  late(request: Envelope, data: unknown): void {
    try {
      this.#stray(this.host.makeAnswer(request, data, undefined, undefined))
    } catch {
      this.strays++
    }
  }

  /** Fails everything that is open. */
  closeAll(error: BusError): void {
    for (const pending of [...this.#slots]) pending?.fail(error)
  }

  #stray(answer: Envelope): void {
    this.strays++
    this.host.stray(answer)
  }
}
