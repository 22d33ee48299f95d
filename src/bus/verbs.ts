import { aText, checkOption, type Rule, texts } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { agentTopic } from '../message/address.ts'
import { validate } from '../message/contract.ts'
import { Envelope, type Message } from '../message/message.ts'
import type { Ack } from './ack.ts'
import type { Core } from './core.ts'
import type { Delivery } from './delivery.ts'
import type { Waiting } from './distribute.ts'
import type { FarSide } from './far/side.ts'
import { mustBeKept } from './keep.ts'
import type { Origin } from './maker.ts'
import {
  BROADCAST_RULES,
  checkCall,
  PUBLISH_RULES,
  REQUEST_MANY_RULES,
  REQUEST_RULES,
  REQUEST_STREAM_RULES,
} from './options.ts'
import type {
  BroadcastOptions,
  Capable,
  Publisher,
  PublishOptions,
  ReplyStream,
  RequestManyOptions,
  RequestOptions,
  RequestStreamOptions,
  SendOptions,
  TopicOf,
} from './publisher.ts'
import { type Pending, SingleRequest } from './request.ts'
import { ManyRequest } from './request-many.ts'
import type { Route } from './router.ts'
import type { Sender } from './sender.ts'
import { ReplyStreamView, StreamRequest } from './stream-reply.ts'

const pairs: Rule = {
  allowed: 'a list of [topic, data]',
  ok: (value) => Array.isArray(value) && value.every((one) => Array.isArray(one) && one.length > 0),
}

/** The sending verbs as seen from one origin: the root bus, a handler, an agent or a session. */
export class Verbs implements Publisher {
  readonly core: Core
  readonly sender: Sender
  protected origin: Origin | undefined

  constructor(core: Core, sender: Sender, origin: Origin | undefined) {
    this.core = core
    this.sender = sender
    this.origin = origin
  }

  /** The handling that waits for a request made here: while it does, it takes no room among the running handlers. */
  protected get frame(): Delivery | undefined {
    return this.origin?.delivery
  }

  publish<T>(topic: TopicOf<T>, data: T, options?: PublishOptions): Promise<Ack> {
    if (options !== undefined) {
      try {
        checkCall('publish', options, PUBLISH_RULES)
      } catch (error) {
        return Promise.reject(error)
      }
    }
    return this.sender.publish(topic, data, options, this.origin)
  }

  send(agent: string | readonly string[], data: unknown, options?: SendOptions): Promise<Ack> {
    if (typeof agent !== 'string' || agent === '' || !isLight(options)) return this.#sendToMany(agent, data, options)
    try {
      if (options !== undefined) checkCall('send', options, PUBLISH_RULES)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    return this.sender.sendToOne(agent, data, this.origin, options)
  }

  async #sendToMany(agent: string | readonly string[], data: unknown, options: SendOptions | undefined): Promise<Ack> {
    checkCall('send', options, PUBLISH_RULES)
    const names = typeof agent === 'string' ? [agent] : agent
    checkOption('send', 'agent', names, texts)
    return this.sender.send(names, data, options, this.origin)
  }

  async broadcast(data: unknown, options?: BroadcastOptions): Promise<Ack> {
    checkCall('broadcast', options, BROADCAST_RULES)
    return this.sender.broadcast(data, options, this.origin)
  }

  request<R = unknown, T = unknown>(
    topic: TopicOf<T> | Capable,
    data: T,
    options?: RequestOptions,
  ): Promise<Message<R>> {
    const pending = new SingleRequest(this.core.requests, this.frame)
    const promise = pending.promise() as Promise<Message<R>>
    try {
      pending.timeoutMs = this.core.options.requestTimeoutMs
      if (options !== undefined) {
        checkCall('request', options, REQUEST_RULES)
        pending.timeoutMs = options.timeoutMs ?? pending.timeoutMs
        pending.unlisten = listen(options.signal, pending)
      }
      this.#ask(pending, topic, data, options, pending.timeoutMs)
    } catch (error) {
      pending.fail(error as BusError)
    }
    return promise
  }

  async requestAll<R = unknown>(
    requests: readonly (readonly [topic: string, data: unknown])[],
    options?: RequestOptions,
  ): Promise<Message<R>[]> {
    checkOption('requestAll', 'requests', requests, pairs)
    checkCall('requestAll', options, REQUEST_RULES)
    return Promise.all(requests.map(([topic, data]) => this.request<R>(topic, data, options)))
  }

  requestMany<R = unknown, T = unknown>(
    topic: TopicOf<T>,
    data: T,
    options: RequestManyOptions = {},
  ): AsyncIterableIterator<Message<R>> {
    const { requests } = this.core
    const pending = new ManyRequest(requests, this.frame, options)
    try {
      checkCall('requestMany', options, REQUEST_MANY_RULES)
      pending.unlisten = listen(options.signal, pending)
      this.#ask(pending, topic, data, options, options.maxWaitMs ?? this.core.options.requestTimeoutMs)
    } catch (error) {
      pending.fail(error as BusError)
    }
    return pending as AsyncIterableIterator<Message<R>>
  }

  requestStream<R = unknown, T = unknown>(
    topic: TopicOf<T> | Capable,
    data: T,
    options: RequestStreamOptions = {},
  ): ReplyStream<R> {
    const { requests, streams } = this.core
    const given: unknown = (options as RequestStreamOptions | null)?.stallMs
    const stallMs = typeof given === 'number' ? given : 30_000
    const pending = new StreamRequest(requests, this.frame, { ...streams.setup, id: this.core.nextId(), stallMs })
    try {
      checkCall('requestStream', options, REQUEST_STREAM_RULES)
      pending.unlisten = listen(options.signal, pending)
      this.#ask(pending, topic, data, options, Number.POSITIVE_INFINITY)
    } catch (error) {
      pending.fail(error as BusError)
    }
    return new ReplyStreamView<R>(pending.buffer as never)
  }

  /** Sends the message of an open request. Throws what refuses it. */
  #ask(
    pending: Pending,
    target: TopicOf<unknown> | Capable,
    data: unknown,
    options: PublishOptions | undefined,
    timeoutMs: number,
  ): void {
    const { core, sender, origin } = this
    if (options !== undefined) mustBeKept('a request', options)
    core.counters.requests++
    if (core.state !== 'running' && !(core.state === 'draining' && origin?.delivery !== undefined)) {
      const code = core.state === 'closed' ? 'BUS_CLOSED' : 'NOT_RUNNING'
      throw new BusError(code, `bus "${core.options.name}" is ${core.state}; it takes no requests now`, {
        details: { state: core.state },
      })
    }
    const topic =
      typeof target === 'object' && target !== null && 'capability' in target ? this.#capable(target) : target
    const route = sender.route(topic)
    const contract = typeof topic === 'string' ? route.contract : topic
    const checked = contract === undefined ? data : validate(contract, data)
    if (checked instanceof Promise && contract !== undefined) {
      checked.then(
        (late) => this.#askRoute(pending, route.topic, late, options, timeoutMs),
        (error: unknown) => pending.fail(error as BusError),
      )
    } else this.#askRoute(pending, route.topic, checked, options, timeoutMs)
  }

  #askRoute(
    pending: Pending,
    topic: string,
    data: unknown,
    options: PublishOptions | undefined,
    timeoutMs: number,
  ): void {
    if (pending.over) return
    const { core, sender, origin } = this
    try {
      const route = core.router.route(topic)
      const message = core.maker.make(topic, data, options, origin)
      const nowMs = Envelope.publishedMs(message)
      const dueMs = nowMs + timeoutMs
      // The message lives as long as somebody waits for its answer.
      if (dueMs < Envelope.deadlineMs(message)) Envelope.setDeadline(message, dueMs)
      core.requests.open(pending, message, dueMs, nowMs)
      if (route.far !== undefined) {
        this.#askFar(route, pending, message)
        return
      }
      const someone =
        route.plain === undefined
          ? core.router.select(route, message).some((one) => !one.observer)
          : route.responders > 0
      if (!someone) {
        this.#askLater(pending, topic, message)
        return
      }
      const delivered = sender.spread.deliver(route, message, pending, origin?.delivery)
      const { accepted, refused, waits } = delivered
      pending.arm(accepted + refused.length)
      if (refused.length > 0) for (const { error } of refused) pending.refused(error)
      if (waits !== undefined) awaitRoom(waits, pending)
    } catch (error) {
      pending.fail(error as BusError)
    }
  }

  /** Asks whoever listens, in this process and in others. */
  #askFar(route: Route, pending: Pending, message: Envelope): void {
    const { core, sender } = this
    const far = core.far as FarSide
    const { entries, load, responder } = far.plan(route, message, false)
    if (!responder && entries.every((one) => one.observer)) throw nobodyListens(message.topic)
    sender.spread.begin(route, message, pending)
    const { accepted, refused, waits } = sender.spread.deliverTo(
      route,
      entries,
      message,
      pending,
      this.origin?.delivery,
    )
    const { sent, refusal } = far.carry(load, message, pending, undefined)
    const all = refusal === undefined ? refused : [...refused, refusal]
    pending.arm(accepted + sent + all.length)
    for (const { error } of all) pending.refused(error)
    if (waits !== undefined) awaitRoom(waits, pending)
  }

  /** Nobody listens: a bus that has just joined others asks once more as soon as it knows them. */
  #askLater(pending: Pending, topic: string, message: Envelope): void {
    const { far } = this.core
    if (far === undefined || far.isReady) throw nobodyListens(topic)
    const again = (): void => {
      if (pending.over) return
      try {
        const route = this.core.router.route(topic)
        if (route.far === undefined) throw nobodyListens(topic)
        this.#askFar(route, pending, message)
      } catch (error) {
        pending.fail(error as BusError)
      }
    }
    far.ready.then(again, again)
  }

  #capable({ capability }: Capable): string {
    checkOption('request', 'capability', capability, aText)
    const { agents, far } = this.core
    return agentTopic(far === undefined ? agents.choose(capability).name : agents.chooseOf(capability, far.agents()))
  }
}

function nobodyListens(topic: string): BusError {
  return new BusError('NO_RESPONDERS', `nobody listens on "${topic}"`, { details: { topic } })
}

/** A queue that lets the request wait may refuse it later. */
function awaitRoom(waits: readonly Waiting[], pending: Pending): void {
  for (const { outcome } of waits) {
    void outcome.then((refusal) => {
      if (refusal !== undefined) pending.refused(refusal.error)
    })
  }
}

/** Gives the request up when the caller's signal is aborted; returns how to take the listener off. */
function listen(signal: AbortSignal | undefined, pending: Pending): (() => void) | undefined {
  if (signal === undefined) return undefined
  const onAbort = (): void => {
    pending.fail(new BusError('CANCELLED', 'the request was given up by its caller', { cause: signal.reason }))
  }
  if (signal.aborted)
    throw new BusError('CANCELLED', 'the request was given up before it was sent', { cause: signal.reason })
  signal.addEventListener('abort', onAbort, { once: true })
  return () => signal.removeEventListener('abort', onAbort)
}

/** True when nothing is asked of the way to the inbox: no receipt, no wait, no key, no delay. */
function isLight(options: SendOptions | undefined): boolean {
  if (options === undefined) return true
  if (typeof options !== 'object' || options === null) return false
  const { receipt, until, idempotencyKey, delayMs, to } = options
  return (
    receipt === undefined &&
    until === undefined &&
    idempotencyKey === undefined &&
    delayMs === undefined &&
    to === undefined
  )
}
