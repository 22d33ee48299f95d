import { aText, checkOption, checkOptions, whole } from '../kit/check.ts'
import { systemEnv } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { Envelope, type Message } from '../message/message.ts'
import type { Failure } from './ack.ts'
import { type AgentInfo, type AgentRecord, agentInfo } from './agents.ts'
import { Core, type MakeKeeper } from './core.ts'
import { type Agent, Directory, type RegisterOptions } from './directory.ts'
import type { Process } from './far/entry.ts'
import { Far } from './far/far.ts'
import type { Handler, Middleware, ReplyOptions } from './handler.ts'
import { type BusHealth, busHealth } from './health.ts'
import type { HistoryEntry } from './history.ts'
import type { Inbox } from './inbox.ts'
import type { Keeper } from './kept.ts'
import type { ChannelInfo, DeadLetters, KeptVerbs, Replay, ReplayOptions } from './kept-verbs.ts'
import { type DrainReport, Lifecycle } from './lifecycle.ts'
import { type BusOptions, changeOptions, checkCall, DRAIN_RULES, REPLY_RULES, resolveOptions } from './options.ts'
import type { Publisher } from './publisher.ts'
import { limitsOf } from './room.ts'
import { Sender } from './sender.ts'
import { disposableInbox, LiveSession, type Session } from './session.ts'
import { type StallOptions, StallWatch } from './stall.ts'
import { type BusStats, busStats, type QueueView, type Snapshot, snapshot } from './stats.ts'
import type { StreamInfo, StreamOptions, StreamWriter } from './streams.ts'
import type { PatternOf, SubscribeOptions, Subscription } from './subscription.ts'
import { NOBODY, Subscriptions } from './subscriptions.ts'
import { Verbs } from './verbs.ts'

/** Limits of a drain. */
export interface DrainOptions {
  /** Milliseconds to wait for work in hand. Default: the bus's `drainMs` (5 000). */
  readonly limitMs?: number
}

/** Explicit streams between agents, beside the streamed answers of requests. */
export interface BusStreams {
  open(options?: StreamOptions): StreamWriter
  read<T = unknown>(id: string, from?: number): AsyncIterableIterator<import('./publisher.ts').Chunk<T>>
  cancel(id: string, reason?: unknown): boolean
  info(id: string): StreamInfo | undefined
  list(): readonly StreamInfo[]
}

/** One bus. Two buses share nothing. Ends with `await using`, which drains. */
export interface Bus extends Publisher, KeptVerbs, AsyncDisposable {
  /** Calls the handler for every message of the pattern from now on; with `group`, shares them with the group's other members. */
  subscribe<T = unknown>(pattern: PatternOf<T>, handler: Handler<T>, options?: SubscribeOptions): Subscription
  /** Messages of the pattern to be taken by hand: `receive`, or `for await`. */
  inbox(pattern: PatternOf<never>, options?: SubscribeOptions): Inbox & Disposable
  /** Ends a subscription by id. Throws UNKNOWN_SUBSCRIPTION. */
  unsubscribe(id: string): void
  /** The names of those who would get a message of the topic now, in order. */
  subscribers(topic: string): readonly string[]
  /** Registers an agent under a name. Throws AGENT_EXISTS unless `replace` is true. */
  register(name: string, options?: RegisterOptions): Agent
  /** Makes the inbox of an agent that registers later; messages for it are held in order. */
  declare(name: string): void
  /** What is known of an agent; undefined for an unknown one. */
  agent(name: string): AgentInfo | undefined
  /** The agents, all or those of a type or capability. */
  agents(query?: { readonly type?: string; readonly capability?: string }): readonly AgentInfo[]
  /**
   * Resolves when the processes that were on the wire before are known: at most a second after the wire carries frames, and at most 5 s in
   * all, when it cannot yet; at once without a wire. Rejects when the wire refuses.
   */
  readonly ready: Promise<void>
  /** The other processes on the wire, with their agents. */
  processes(): readonly Process[]
  /** How many messages wait for an agent; 0 for an unknown one. */
  queueSize(name: string): number
  /** Answers a request that was taken from an inbox. False when nobody waits any more: the answer is counted as stray. */
  respond(request: Message, data: unknown, options?: ReplyOptions & { readonly from?: string }): boolean
  /** The same verbs inside one conversation. */
  session(id: string): Session
  readonly streams: BusStreams
  /** Puts a wrapper around every handler, those that exist included; the first is the outermost. Returns how to take it off. */
  use(middleware: Middleware): () => void
  /** Resolves when everything accepted before the call is settled. */
  idle(): Promise<void>
  /** The newest envelopes, oldest first. */
  history(count?: number): readonly HistoryEntry[]
  /** The newest failures, oldest first. */
  failures(count?: number): readonly Failure[]
  stats(): BusStats
  /** Rates, queues and advice at this moment, for people. */
  snapshot(): Snapshot
  health(): BusHealth
  /** Watches for agents that stall and for requests that wait for each other in a ring. Returns how to stop watching. */
  watch(options: StallOptions): () => void
  /** Changes options while running; a refused change leaves everything as it was. */
  configure(change: BusOptions): void
  /** Begins to deliver; needed only with `autoStart: false`, or after `stop`. */
  start(): void
  /** Takes nothing new, finishes what waits and runs, hands the rest to `onFailure`; `start` resumes. */
  stop(options?: DrainOptions): Promise<DrainReport>
  /** As `stop`. */
  drain(options?: DrainOptions): Promise<DrainReport>
  /** Drains, then ends everything for good: subscriptions, agents, open requests, timers. */
  close(options?: DrainOptions): Promise<DrainReport>
  /** Removes subscriptions, agents, middleware, failures and history. */
  reset(): void
}

class BusImpl extends Verbs implements Bus {
  readonly #subscriptions: Subscriptions
  readonly #directory: Directory
  readonly #lifecycle: Lifecycle
  readonly #watches = new Set<StallWatch>()
  readonly streams: BusStreams

  constructor(options: BusOptions, keeper: MakeKeeper | undefined) {
    const effective = resolveOptions(options)
    const core = new Core(options.env ?? systemEnv(), effective, options.topics ?? [], keeper)
    const sender = new Sender(core)
    super(core, sender, undefined)
    this.#subscriptions = new Subscriptions(core)
    this.#directory = new Directory(core, sender, (what, handler, one, owner) =>
      this.#subscriptions.add(what, handler, one, owner),
    )
    this.#lifecycle = new Lifecycle(core, sender, this.#subscriptions, this.#directory)
    this.streams = core.streams
    core.makeScope = (origin): Publisher => new Verbs(core, sender, origin)
    core.publishSystem = (topic, data) => {
      sender
        .publish(topic, data, undefined, undefined)
        .catch((error: unknown) => core.announce('callback.failed', { error }))
    }
    core.publishAnswer = (answer) => sender.forward(answer)
    if (options.wire !== undefined) {
      const hold = (name: string): AgentRecord | undefined =>
        core.options.unknownAgent === 'hold' ? this.#directory.declare(name) : undefined
      core.far = new Far(core, { wire: options.wire, spread: sender.spread, hold })
    }
    if (effective.autoStart) this.start()
    else core.pump.paused = true
  }

  get deadLetters(): DeadLetters {
    return this.#keeper('deadLetters').deadLetters
  }

  replay<T = unknown>(pattern: string, options?: ReplayOptions): Replay<T> {
    return this.#keeper('replay').replay<T>(pattern, options)
  }

  async cancel(id: string): Promise<number> {
    return this.#keeper('cancel').cancel(id)
  }

  async channels(): Promise<readonly ChannelInfo[]> {
    return this.#keeper('channels').channels()
  }

  #keeper(verb: string): Keeper {
    const { keeper } = this.core
    if (keeper !== undefined) return keeper
    throw new BusError('UNSUPPORTED', `${verb}: bus "${this.core.options.name}" has no log; open it with openBus(…)`, {
      details: { verb },
    })
  }

  subscribe<T = unknown>(pattern: PatternOf<T>, handler: Handler<T>, options: SubscribeOptions = {}): Subscription {
    this.#mustBeUsable()
    return this.#subscriptions.add(pattern as PatternOf<never>, handler as Handler, options, NOBODY)
  }

  inbox(pattern: PatternOf<never>, options: SubscribeOptions = {}): Inbox & Disposable {
    this.#mustBeUsable()
    return disposableInbox(this.core, this.#subscriptions.addInbox(pattern, options))
  }

  unsubscribe(id: string): void {
    this.#subscriptions.end(id)
  }

  subscribers(topic: string): readonly string[] {
    return this.core.router.route(topic).open.map((entry) => entry.queue.name)
  }

  register(name: string, options: RegisterOptions = {}): Agent {
    this.#mustBeUsable()
    return this.#directory.register(name, options)
  }

  declare(name: string): void {
    this.#mustBeUsable()
    this.#directory.declare(name)
  }

  agent(name: string): AgentInfo | undefined {
    const record = this.core.agents.find(name)
    return record === undefined ? undefined : agentInfo(record)
  }

  agents(query: { readonly type?: string; readonly capability?: string } = {}): readonly AgentInfo[] {
    const { type, capability } = query
    return [...this.core.agents.all()]
      .filter((one) => type === undefined || one.type === type)
      .filter((one) => capability === undefined || one.capabilities.includes(capability))
      .map(agentInfo)
  }

  get ready(): Promise<void> {
    return this.core.far?.ready ?? Promise.resolve()
  }

  processes(): readonly Process[] {
    return this.core.far?.processes() ?? []
  }

  queueSize(name: string): number {
    return this.core.agents.find(name)?.queue.size ?? 0
  }

  respond(request: Message, data: unknown, options: ReplyOptions & { readonly from?: string } = {}): boolean {
    if (!(request instanceof Envelope)) {
      throw new BusError('INVALID_MESSAGE', 'respond: "request" must be a message that this bus delivered', {
        details: { field: 'request' },
      })
    }
    checkCall('respond', options, REPLY_RULES)
    return this.core.respond(request, data, options.from, options)
  }

  session(id: string): Session {
    this.#mustBeUsable()
    checkOption('session', 'id', id, aText)
    return new LiveSession(this.core, this.sender, this.#subscriptions, id)
  }

  use(middleware: Middleware): () => void {
    checkOption('use', 'middleware', middleware, { allowed: 'a function', ok: (value) => typeof value === 'function' })
    const { core } = this
    const one: Middleware = (next) => middleware(next)
    this.#setMiddleware([...core.middleware, one])
    return () => this.#setMiddleware(core.middleware.filter((other) => other !== one))
  }

  idle(): Promise<void> {
    return this.core.accounts.idle()
  }

  history(count?: number): readonly HistoryEntry[] {
    if (count !== undefined) checkOption('history', 'count', count, whole(0))
    return this.core.history.list(count)
  }

  failures(count?: number): readonly Failure[] {
    if (count !== undefined) checkOption('failures', 'count', count, whole(0))
    return this.core.failures.list(count)
  }

  stats(): BusStats {
    return busStats(this.core, this.#views(), this.#subscriptions)
  }

  snapshot(): Snapshot {
    return snapshot(this.core, this.#views())
  }

  health(): BusHealth {
    const full = [...this.#views()].filter((one) => one.size >= one.limit).map((one) => one.name)
    return busHealth(this.core, full)
  }

  watch(options: StallOptions): () => void {
    const watch = new StallWatch(this.core, () => this.#lifecycle.queues(), options)
    this.#watches.add(watch)
    return () => {
      watch.pause()
      this.#watches.delete(watch)
    }
  }

  configure(change: BusOptions): void {
    const { core } = this
    core.options = changeOptions(core.options, change)
    core.maker.options = core.options
    core.limits = limitsOf(core.options)
    core.pump.limit = core.options.maxHandlers
    core.failures.onFailure = core.options.onFailure
  }

  start(): void {
    this.#lifecycle.start()
    for (const watch of this.#watches) watch.resume()
  }

  async stop(options: DrainOptions = {}): Promise<DrainReport> {
    return this.#halt(this.#limitMs('stop', options))
  }

  async drain(options: DrainOptions = {}): Promise<DrainReport> {
    return this.#halt(this.#limitMs('drain', options))
  }

  async #halt(limitMs: number): Promise<DrainReport> {
    const report = await this.#lifecycle.stop(limitMs)
    for (const watch of this.#watches) watch.pause()
    return report
  }

  async close(options: DrainOptions = {}): Promise<DrainReport> {
    const limitMs = this.#limitMs('close', options)
    const report = await this.#lifecycle.close(limitMs)
    for (const watch of this.#watches) watch.pause()
    return report
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  reset(): void {
    this.#directory.endAll()
    this.#subscriptions.endAll()
    this.#setMiddleware([])
    this.core.failures.clear()
    this.core.history.clear()
  }

  *#views(): IterableIterator<QueueView> {
    for (const { name, size, limits, maxSize } of this.#lifecycle.queues()) {
      yield { name, size, limit: limits.limit, maxSize }
    }
  }

  #limitMs(verb: string, options: DrainOptions): number {
    checkOptions(verb, options, DRAIN_RULES)
    return options.limitMs ?? this.core.options.drainMs
  }

  #setMiddleware(middleware: readonly Middleware[]): void {
    const before = this.core.middleware
    this.core.middleware = middleware
    try {
      this.#subscriptions.rewrap()
      this.#directory.rewrap()
    } catch (error) {
      this.core.middleware = before
      this.#subscriptions.rewrap()
      this.#directory.rewrap()
      throw error
    }
  }

  #mustBeUsable(): void {
    if (this.core.state === 'closed') throw new BusError('BUS_CLOSED', `bus "${this.core.options.name}" is closed`)
  }
}

/**
 * Makes a bus in this process; nothing to configure, no server. Throws INVALID_OPTION, naming field, value and allowed range.
 *
 * @example
 * await using bus = createBus()
 * bus.subscribe('tasks.*', (message) => `done: ${message.topic}`)
 * const answer = await bus.request('tasks.coding', { title: 'fix auth' })
 */
export function createBus(options: BusOptions = {}): Bus {
  return new BusImpl(options, undefined)
}

/** A bus whose messages are kept by what `keeper` makes; `node/node.ts` knows how. Throws INVALID_OPTION. */
export function keptBus(options: BusOptions, keeper: MakeKeeper): Bus {
  return new BusImpl(options, keeper)
}
