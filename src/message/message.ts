import { copyData } from './freeze.ts'
import { type Headers, NO_HEADERS } from './headers.ts'
import type { MessageId } from './ids.ts'
import type { Priority } from './priority.ts'

// Hot path: one class with every field set in the constructor, so that all messages have one shape. What the bus notes beside a
// message lies in private fields: it neither shows nor travels.

/** What travels. Never changed after it was made; `data` is deeply frozen unless it was published with `payload: "share"`. */
export interface Message<T = unknown> {
  /** Unique; sorts by time of publishing. */
  readonly id: MessageId
  readonly topic: string
  readonly data: T
  /** The agent that sent it. */
  readonly from: string | undefined
  /** The agent it is addressed to. */
  readonly to: string | undefined
  /** The conversation it belongs to; messages of one session are handled in order. */
  readonly session: string | undefined
  readonly priority: Priority
  /** Wall-clock milliseconds of publishing. */
  readonly time: number
  /** Wall-clock milliseconds after which it is not handled any more. */
  readonly expiresAt: number | undefined
  /** Joins a request, its answer and the whole chain between them. */
  readonly correlationId: string | undefined
  /** The message in whose handler this one was published. */
  readonly causationId: MessageId | undefined
  /** The first message of the chain; its own id for a first message. */
  readonly rootId: MessageId
  /** How many messages lie between this one and the root. */
  readonly hops: number
  /** Where answers go. */
  readonly replyTo: string | undefined
  readonly headers: Headers
}

/** One step of a causal chain; steps are shared by everything published from the same handling. */
export interface Cause {
  readonly id: MessageId
  readonly topic: string
  readonly rootId: MessageId
  readonly hops: number
  readonly correlationId: string | undefined
  readonly previous: Cause | undefined
}

/** The maker of messages; outside this floor only the interface {@link Message} is used. */
export class Envelope<T = unknown> implements Message<T> {
  readonly id: MessageId
  readonly topic: string
  readonly data: T
  readonly priority: Priority
  readonly time: number
  from: string | undefined = undefined
  to: string | undefined = undefined
  session: string | undefined = undefined
  expiresAt: number | undefined = undefined
  correlationId: string | undefined = undefined
  causationId: MessageId | undefined = undefined
  rootId: MessageId
  hops = 0
  replyTo: string | undefined = undefined
  headers: Headers = NO_HEADERS
  #publishedMs: number
  #deadlineMs: number | undefined = undefined
  #cause: Cause | undefined = undefined
  #note: object | undefined = undefined
  #account: object | undefined = undefined
  #loose = false

  constructor(id: MessageId, topic: string, data: T, priority: Priority, time: number, publishedMs: number) {
    this.id = id
    this.topic = topic
    this.data = data
    this.priority = priority
    this.time = time
    this.rootId = id
    this.#publishedMs = publishedMs
  }

  /** Monotonic milliseconds of publishing. */
  static publishedMs(message: Envelope): number {
    return message.#publishedMs
  }

  /** Monotonic milliseconds of expiry; Infinity for never. */
  static deadlineMs(message: Envelope): number {
    return message.#deadlineMs ?? Number.POSITIVE_INFINITY
  }

  /** True when the message may be over before it is handled: it has a deadline, or somebody may give it up. */
  static mayBeOver(message: Envelope): boolean {
    return message.#deadlineMs !== undefined || message.#note !== undefined
  }

  /** True when there is nothing to look at before it is handled: no deadline, nobody who waits, no copies to make. */
  static isPlain(message: Envelope): boolean {
    return message.#deadlineMs === undefined && message.#note === undefined && !message.#loose
  }

  static setDeadline(message: Envelope, deadlineMs: number): void {
    message.#deadlineMs = deadlineMs
    message.expiresAt = Math.ceil(message.time + (deadlineMs - message.#publishedMs))
  }

  static causeOf(message: Envelope): Cause | undefined {
    return message.#cause
  }

  /** Makes the message a consequence of `cause`. */
  static setCause(message: Envelope, cause: Cause): void {
    message.#cause = cause
    message.causationId = cause.id
    message.rootId = cause.rootId
    message.hops = cause.hops + 1
    message.correlationId ??= cause.correlationId
  }

  /** Whatever the bus attaches: the waiting publisher or requester. */
  static noteOf(message: Envelope): object | undefined {
    return message.#note
  }

  static setNote(message: Envelope, note: object): void {
    message.#note = note
  }

  /** Where the bus counts the message. */
  static accountOf(message: Envelope): object | undefined {
    return message.#account
  }

  static setAccount(message: Envelope, account: object): void {
    message.#account = account
  }

  /** True when the data cannot be frozen, so that every recipient needs a copy of its own. */
  static isLoose(message: Envelope): boolean {
    return message.#loose
  }

  static setLoose(message: Envelope): void {
    message.#loose = true
  }

  /** Makes `answer` the answer to `request`: back to its sender, same chain, same correlation, its headers unless it has its own. */
  static asAnswer(
    answer: Envelope,
    request: Envelope,
    priority: Priority,
    from: string | undefined,
    keepHeaders: boolean,
  ): Envelope {
    const own = answer as { -readonly [Key in keyof Envelope]: Envelope[Key] }
    own.priority = priority
    answer.from = from
    answer.to = request.from
    answer.session = request.session
    answer.correlationId = request.correlationId ?? request.id
    answer.causationId = request.id
    answer.rootId = request.rootId
    answer.hops = request.hops + 1
    if (keepHeaders) answer.headers = request.headers
    return answer
  }

  /** The same message with a copy of its data, for one recipient. */
  static ownCopy(message: Envelope): Envelope {
    return Envelope.#copy(message, copyData(message.data))
  }

  /** The same message for one group of a kept channel: what the bus notes beside it is the group's own. */
  static forGroup(message: Envelope, account: object, note: object): Envelope {
    const copy = Envelope.#copy(message, message.data)
    copy.#account = account
    copy.#note = note
    copy.#loose = message.#loose
    return copy
  }

  /** The same message for one of several agents it is sent to: in the log each has its own. */
  static addressed(message: Envelope, topic: string, to: string): Envelope {
    const copy = Envelope.#copy(message, message.data, topic)
    copy.to = to
    copy.#loose = message.#loose
    return copy
  }

  static #copy(message: Envelope, data: unknown, topic: string = message.topic): Envelope {
    const copy = new Envelope(message.id, topic, data, message.priority, message.time, message.#publishedMs)
    copy.from = message.from
    copy.to = message.to
    copy.session = message.session
    copy.expiresAt = message.expiresAt
    copy.correlationId = message.correlationId
    copy.causationId = message.causationId
    copy.rootId = message.rootId
    copy.hops = message.hops
    copy.replyTo = message.replyTo
    copy.headers = message.headers
    copy.#deadlineMs = message.#deadlineMs
    copy.#cause = message.#cause
    copy.#note = message.#note
    copy.#account = message.#account
    return copy
  }
}

/** The topics of the chain that led to a message, root first, its own last. Empty steps are never left out. */
export function pathOf(message: Message): readonly string[] {
  const path = [message.topic]
  let cause = message instanceof Envelope ? Envelope.causeOf(message) : undefined
  for (; cause !== undefined; cause = cause.previous) path.push(cause.topic)
  return path.reverse()
}
