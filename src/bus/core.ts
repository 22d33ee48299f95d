import { Clock } from '../kit/clock.ts'
import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { TimerWheel } from '../kit/timer-wheel.ts'
import { SlidingCount } from '../kit/window.ts'
import { INBOX_ROOT, SYSTEM_ROOT } from '../message/address.ts'
import type { TopicContract } from '../message/contract.ts'
import { IdMaker } from '../message/ids.ts'
import { type Cause, Envelope, type Message } from '../message/message.ts'
import { type Account, Accounts } from './account.ts'
import type { Failure, FailureReason, Outcome } from './ack.ts'
import { Agents } from './agents.ts'
import { announced, type EventName } from './announce.ts'
import type { Delivery, Note, Run } from './delivery.ts'
import { FailureLog } from './failures.ts'
import type { FarSide } from './far/side.ts'
import type { Middleware, ReplyOptions } from './handler.ts'
import { History } from './history.ts'
import type { Keeper, KeptHost } from './kept.ts'
import { Maker, type Origin } from './maker.ts'
import { checkCall, type EffectiveOptions, REPLY_RULES } from './options.ts'
import type { Publisher } from './publisher.ts'
import { Pump } from './pump.ts'
import type { Queue } from './queue.ts'
import type { QueueHost } from './queue-host.ts'
import { type RequestHost, RequestTable } from './request.ts'
import { type Limits, limitsOf } from './room.ts'
import { Router } from './router.ts'
import { pourParts } from './stream-reply.ts'
import { Streams } from './streams.ts'

// Looked at for each message: found once.
const published = announced['message.published']
const handled = announced['message.handled']

/** Makes the keeper of a bus that is being made. */
export type MakeKeeper = (host: KeptHost) => Keeper

/** The states of a bus, in the order in which they follow each other; `stopped` may become `running` again. */
export type BusState = 'idle' | 'running' | 'draining' | 'stopped' | 'closed'

/** Counters that are not deliveries. */
export interface Counters {
  messages: number
  requests: number
  timeouts: number
  overruns: number
  callbackFaults: number
}

/** The parts of one bus, and what happens when a delivery ends. The verbs are in `verbs.ts`, read `bus.ts` first. */
export class Core implements QueueHost<Queue>, RequestHost {
  readonly env: Env
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly accounts = new Accounts()
  readonly router: Router
  readonly agents = new Agents()
  readonly pump: Pump
  readonly maker: Maker
  readonly history: History
  readonly failures: FailureLog
  readonly requests: RequestTable
  readonly streams: Streams
  readonly runs: Run[] = []
  #young: Run[] = []
  readonly #watchYoung = (): void => {
    const young = this.#young
    this.#young = []
    for (const run of young) run.watchLong()
  }
  readonly counters: Counters = { messages: 0, requests: 0, timeouts: 0, overruns: 0, callbackFaults: 0 }
  /** Queues that have ended while some of their handlers still run. */
  readonly leaving = new Set<Queue>()
  readonly published: SlidingCount
  readonly failed: SlidingCount
  readonly succeeded: SlidingCount
  readonly startedMs: number
  /** Keeps messages; undefined for a bus without a log. */
  readonly keeper: Keeper | undefined
  /** The other processes; undefined for a bus without a wire. */
  far: FarSide | undefined = undefined
  options: EffectiveOptions
  /** The limits of queues without options of their own. */
  limits: Limits
  middleware: readonly Middleware[] = []
  state: BusState = 'idle'
  order = 0
  readonly #ids: IdMaker
  #onSettled: PromiseWithResolvers<void> | undefined = undefined
  #noted = 0
  #noteMs = 0
  #handled = 0
  #handledNoted = 0
  #handledMs = 0
  /** Makes the verbs of a handler; set by `bus.ts`, which knows them. */
  makeScope: (origin: Origin) => Publisher = () => {
    throw new BusError('NOT_RUNNING', 'the bus is being made')
  }

  constructor(
    env: Env,
    options: EffectiveOptions,
    contracts: readonly TopicContract[],
    keeper: MakeKeeper | undefined,
  ) {
    this.env = env
    this.options = options
    this.limits = limitsOf(options)
    this.clock = new Clock(env)
    this.wheel = new TimerWheel(env)
    this.startedMs = this.clock.readMs()
    this.#noteMs = this.startedMs
    this.#handledMs = this.startedMs
    this.router = new Router(
      this.accounts,
      contracts,
      (entry, message, error) => {
        this.failures.add(this.#failure(message, entry.queue.name, 'failed', 'handler-error', error))
      },
      (topic) => this.keeper?.channel(topic),
    )
    this.pump = new Pump(env, this.clock, options.maxHandlers)
    this.#ids = new IdMaker(env)
    this.maker = new Maker(this.#ids, this.clock, options)
    this.history = new History(options.history, options.historyData)
    this.failures = new FailureLog(options.failures, () => this.counters.callbackFaults++)
    this.failures.onFailure = options.onFailure
    this.requests = new RequestTable(this, this.nextId().slice(-12))
    this.streams = new Streams(this)
    this.published = new SlidingCount(60_000, 60, this.startedMs)
    this.failed = new SlidingCount(options.healthWindowMs, 60, this.startedMs)
    this.succeeded = new SlidingCount(options.healthWindowMs, 60, this.startedMs)
    this.keeper = keeper?.(this)
  }

  nextId(): string {
    return this.#ids.next(this.clock.wallMs(this.clock.lastMs))
  }

  // The pump's part of the contract of a queue.
  schedule(queue: Queue): void {
    this.pump.schedule(queue)
  }
  resume(queue: Queue): void {
    this.pump.resume(queue)
  }
  started(): void {
    this.pump.started()
  }
  ended(): void {
    this.pump.ended()
  }
  watch(run: Run): void {
    if (this.#young.push(run) === 1) this.env.nextTurn(this.#watchYoung)
  }
  paused(): void {
    this.pump.lend()
  }
  resumed(): void {
    this.pump.takeBack()
  }

  /** Notes a message that was made: counters, history, announcement. */
  note(message: Envelope): void {
    // The sliding window is written at most once a millisecond, for the messages of that millisecond.
    const nowMs = this.clock.lastMs
    if (nowMs - this.#noteMs >= 1) {
      this.flushRate()
      this.#noteMs = nowMs
    }
    this.counters.messages++
    this.history.note(message, this.maker.bytes)
    if (published.hasSubscribers) published.publish({ bus: this.options.name, message })
  }

  /** Brings the sliding counts up to date. */
  flushRate(): void {
    this.published.add(this.#noteMs, this.counters.messages - this.#noted)
    this.#noted = this.counters.messages
    this.#flushHandled()
  }

  #countHandled(): void {
    const nowMs = this.clock.lastMs
    if (nowMs - this.#handledMs >= 100) {
      this.#flushHandled()
      this.#handledMs = nowMs
    }
    this.#handled++
  }

  #flushHandled(): void {
    this.succeeded.add(this.#handledMs, this.#handled - this.#handledNoted)
    this.#handledNoted = this.#handled
  }

  get isQuiet(): boolean {
    return !handled.hasSubscribers
  }

  settlePlain(account: Account): void {
    this.#countHandled()
    account.settle('handled')
    if (this.#onSettled !== undefined) this.tellSettled()
  }

  settle(
    queue: Queue,
    message: Envelope,
    outcome: Outcome,
    value: unknown,
    reason: FailureReason | undefined,
    error: unknown,
    delivery: Delivery | undefined,
  ): void {
    const note = Envelope.noteOf(message) as Note | undefined
    if (outcome === 'handled' && note === undefined && value === undefined && !handled.hasSubscribers) {
      this.settlePlain(Envelope.accountOf(message) as Account)
      return
    }
    const name = delivery === undefined ? queue.name : delivery.name
    if (note !== undefined) {
      if (note.settled(name, outcome, value, reason, error) === true) {
        ;(Envelope.accountOf(message) as Account).withdraw()
        if (this.#onSettled !== undefined) this.tellSettled()
        return
      }
    } else if (value !== undefined && message.replyTo !== undefined)
      this.respond(message, value, delivery?.agent, undefined)
    if (outcome === 'handled') {
      this.#countHandled()
      if (handled.hasSubscribers) {
        handled.publish({ bus: this.options.name, message, name, startedMs: delivery?.startedMs })
      }
    } else {
      this.fail(name, message, outcome, reason as FailureReason, error, delivery?.startedMs)
    }
    ;(Envelope.accountOf(message) as Account).settle(outcome)
    if (this.#onSettled !== undefined) this.tellSettled()
  }

  accountOf(topic: string): object {
    return this.router.route(topic).channel.account
  }

  /** Resolves when the next delivery is settled, or something else happened that a drain should look at. */
  nextSettled(): Promise<void> {
    this.#onSettled ??= Promise.withResolvers<void>()
    return this.#onSettled.promise
  }

  /** Lets those who wait for {@link nextSettled} look again. */
  tellSettled(): void {
    this.#onSettled?.resolve()
    this.#onSettled = undefined
  }

  /** Of the deliveries settled within the health window, the share that was handled. */
  successRate(nowMs: number): number {
    this.flushRate()
    const failed = this.failed.total(nowMs)
    const settled = failed + this.succeeded.total(nowMs)
    return settled === 0 ? 1 : 1 - failed / settled
  }

  pressure(queue: Queue, filled: boolean, size: number): void {
    this.announce(filled ? 'queue.filled' : 'queue.relieved', { name: queue.name, size, limit: queue.limits.limit })
  }

  overran(delivery: Delivery, limitMs: number): void {
    this.counters.overruns++
    this.announce('handler.overran', { name: delivery.name, message: delivery.message, limitMs })
  }

  timedOut(): void {
    this.counters.timeouts++
    this.tellSettled()
  }

  announce(event: EventName, fields: object): void {
    const channel = announced[event]
    if (channel.hasSubscribers) channel.publish({ bus: this.options.name, ...fields })
  }

  /** Verbs for a handler. */
  scope(delivery: Delivery): Publisher {
    return this.makeScope(this.origin(delivery))
  }

  origin(delivery: Delivery): Origin {
    const { message } = delivery
    const cause: Cause = {
      id: message.id,
      topic: message.topic,
      rootId: message.rootId,
      hops: message.hops,
      correlationId: message.correlationId,
      previous: Envelope.causeOf(message),
    }
    return { from: delivery.agent, session: message.session, delivery, cause }
  }

  answer(delivery: Delivery, data: unknown, options: ReplyOptions | undefined): boolean {
    return this.respond(delivery.message, data, delivery.agent ?? delivery.name, options)
  }

  /** Answers a request by whatever way its requester is reached; false when nobody waits. */
  respond(request: Envelope, data: unknown, from: string | undefined, options: ReplyOptions | undefined): boolean {
    if (request.replyTo === undefined) {
      this.requests.late(request, data)
      return false
    }
    // Also a request that was handed on with its reply topic: the answer belongs to the first requester.
    if (this.requests.owns(request.replyTo)) return this.requests.answer(request, data, from, options)
    return this.#answerByTopic(request, data, from, options)
  }

  /** Throws INVALID_OPTION or INVALID_MESSAGE for wrong options, and what any publish of the data would. */
  makeAnswer(request: Envelope, data: unknown, from: string | undefined, options: ReplyOptions | undefined): Envelope {
    checkCall('reply', options, REPLY_RULES)
    const { replyPriority } = this.options
    const priority = options?.priority ?? (replyPriority === 'same' ? request.priority : replyPriority)
    const answer = this.maker.make(request.replyTo ?? `${INBOX_ROOT}.nowhere`, data, options, undefined)
    return Envelope.asAnswer(answer, request, priority, from, options?.headers === undefined)
  }

  stray(answer: Message): void {
    this.announce('answer.stray', { message: answer })
    const { onStrayAnswer } = this.options
    if (onStrayAnswer !== undefined) this.guard(() => onStrayAnswer(answer))
  }

  stream(delivery: Delivery, parts: AsyncIterable<unknown>): Promise<unknown> {
    const { message } = delivery
    return pourParts(delivery, parts, this.requests.find(message) ?? this.far?.askOf(message))
  }

  /** Runs a user's callback: whatever it throws costs nothing but a counter. */
  guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.counters.callbackFaults++
      this.announce('callback.failed', { error })
    }
  }

  fail(
    name: string,
    message: Envelope,
    outcome: Exclude<Outcome, 'handled'>,
    reason: FailureReason,
    error: unknown,
    startedMs?: number,
  ): void {
    if (outcome === 'failed') this.failed.add(this.clock.lastMs)
    const failure = this.#failure(message, name, outcome, reason, error)
    this.failures.add(failure)
    this.announce(`message.${outcome}`, startedMs === undefined ? failure : { ...failure, startedMs })
    // A failure of a handler of failures is not announced again, or it would never end.
    if (message.topic.startsWith(`${SYSTEM_ROOT}.`)) return
    const topic = `${SYSTEM_ROOT}.message.${outcome}`
    const route = this.router.route(topic)
    if (route.open.length === 0) return
    const { id, topic: about, from, session } = message
    const data = { id, topic: about, from, session, name, outcome, reason, error: this.failures.textOf(error) }
    this.publishSystem(topic, data)
  }

  /** Publishes a message of the bus itself; set by `bus.ts`. */
  publishSystem: (topic: string, data: unknown) => void = () => undefined

  #failure(
    message: Message,
    name: string,
    outcome: Exclude<Outcome, 'handled'>,
    reason: FailureReason,
    error: unknown,
  ): Failure {
    const attempt = (Envelope.noteOf(message as Envelope) as Note | undefined)?.attempt ?? 1
    return { message, name, outcome, reason, error, attempt, time: this.clock.wallMs(this.clock.lastMs) }
  }

  /** The requester is not in this table: its answer travels as a message on the topic it named. */
  #answerByTopic(message: Envelope, value: unknown, from: string | undefined, options: ReplyOptions | undefined) {
    try {
      const answer = this.makeAnswer(message, value, from, options)
      this.publishAnswer(answer)
      return true
    } catch (error) {
      if (this.far?.unanswerable(message, error) !== true) this.announce('callback.failed', { error })
      return false
    }
  }

  /** Routes an answer that was made already; set by `bus.ts`. */
  publishAnswer: (answer: Envelope) => void = () => undefined
}
