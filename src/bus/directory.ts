import {
  aFlag,
  aFunction,
  anObject,
  aText,
  checkOption,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  texts,
  whole,
} from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { agentTopic } from '../message/address.ts'
import type { Message } from '../message/message.ts'
import { parseTopic } from '../message/topic.ts'
import { type AgentStatus, STATUSES } from './agent-status.ts'
import { type AgentInfo, type AgentRecord, agentInfo } from './agents.ts'
import type { Core } from './core.ts'
import type { Delivery } from './delivery.ts'
import type { Handler } from './handler.ts'
import { Inbox, type ReceiveOptions } from './inbox.ts'
import type { Origin } from './maker.ts'
import { Member } from './member.ts'
import { QUEUE_RULES, type QueueOptions } from './options.ts'
import type { Publisher } from './publisher.ts'
import type { Sender } from './sender.ts'
import {
  begun,
  drained,
  type LiveSubscription,
  newQueue,
  type Owner,
  type PatternOf,
  queueLimits,
  type SubscribeOptions,
  type Subscription,
  wrapHandler,
} from './subscription.ts'
import { Verbs } from './verbs.ts'

/** How an agent is registered. */
export interface RegisterOptions extends QueueOptions {
  /** What kind of agent it is. */
  readonly type?: string
  /** What it can do; requests may be addressed to a capability. */
  readonly capabilities?: readonly string[]
  /** Called for each message. Without it the agent reads its inbox itself. */
  readonly handler?: Handler
  /** As for a subscription. */
  readonly concurrency?: number
  readonly handlerTimeoutMs?: number
  /** Takes the place of an agent of the same name, with the messages that wait for it. Default false: AGENT_EXISTS. */
  readonly replace?: boolean
  /** Default `idle`. */
  readonly status?: AgentStatus
}

/** The group under which an agent reads its own kept messages. */
export const AGENT_GROUP = 'inbox'

const NONE: readonly string[] = Object.freeze([])

const RULES: Readonly<Record<string, Rule>> = {
  ...QUEUE_RULES,
  type: aText,
  capabilities: texts,
  handler: aFunction,
  concurrency: whole(1),
  handlerTimeoutMs: milliseconds(1),
  replace: aFlag,
  status: oneOf(STATUSES),
}

/** A registered agent: verbs that carry its name, an inbox, a status. Disposal drains, then unregisters. */
export interface Agent extends Publisher, AsyncIterable<Message>, AsyncDisposable {
  readonly name: string
  readonly registered: boolean
  readonly info: AgentInfo
  setStatus(status: AgentStatus): void
  /** The next message, for an agent without a handler. */
  receive(options?: ReceiveOptions): Promise<Message>
  /** Empties the inbox; returns how many messages went. */
  clear(): number
  /** Subscribes under the agent's name: it does not get its own messages, unless `echo` is true. */
  subscribe<T>(
    pattern: PatternOf<T>,
    handler: Handler<T>,
    options?: SubscribeOptions & { readonly echo?: boolean },
  ): Subscription
  /** Ends its inbox, its subscriptions and its receivers; what waits is dropped as "unregistered". False when it was not registered. */
  unregister(): boolean
}

type Subscribe = (what: PatternOf<never>, handler: Handler, options: SubscribeOptions, owner: Owner) => LiveSubscription

/** Registers agents: each is a queue under its own topic that broadcasts reach as well. */
export class Directory {
  readonly #core: Core
  readonly #sender: Sender
  readonly #subscribe: Subscribe

  constructor(core: Core, sender: Sender, subscribe: Subscribe) {
    this.#core = core
    this.#sender = sender
    this.#subscribe = subscribe
    sender.declare = (name) => this.declare(name)
  }

  /** Throws AGENT_EXISTS, INVALID_TOPIC or INVALID_OPTION. */
  register(name: string, options: RegisterOptions): Agent {
    checkOption('register', 'name', name, aText)
    checkOptions('register', options, RULES)
    const before = this.#core.agents.find(name)
    if (before?.registeredAt !== undefined && options.replace !== true) {
      throw new BusError('AGENT_EXISTS', `agent "${name}" is registered already`, { details: { name } })
    }
    // Before anything changes: what it refuses must leave the agent that is there in its place.
    if (options.handler !== undefined) wrapHandler(options.handler, this.#core.middleware, [])
    const limits = queueLimits(name, this.#core, options)
    before?.live?.retire(new BusError('SUBSCRIPTION_ENDED', `agent "${name}" was replaced`))
    const record = before ?? this.#newRecord(name, options)
    if (before !== undefined) before.queue.resize(limits)
    record.type = options.type
    record.capabilities = options.capabilities === undefined ? NONE : Object.freeze([...options.capabilities])
    record.status = options.status ?? 'idle'
    record.registeredAt = this.#core.clock.wallMs(this.#core.clock.readMs())
    record.generation++
    this.#bind(record)
    const agent = new LiveAgent(this.#core, this.#sender, record, options, this.#subscribe)
    record.live = agent
    this.#core.far?.agentChanged(name)
    this.#core.announce('agent.registered', { agent: agentInfo(record) })
    return agent
  }

  /** Makes the inbox of an agent that comes later: messages for it are held in order until it registers. */
  declare(name: string): AgentRecord {
    checkOption('declare', 'name', name, aText)
    return this.#core.agents.find(name) ?? this.#newRecord(name, {})
  }

  /** Puts the bus's present middleware around every agent's handler. */
  rewrap(): void {
    for (const { live } of this.#core.agents.all()) live?.rewrap()
  }

  /** Unregisters every agent, and ends the inboxes that were only declared. */
  endAll(): void {
    for (const { live } of [...this.#core.agents.all()]) live?.unregister()
    for (const { name, entry, queue } of [...this.#core.agents.all()]) {
      this.#core.router.remove(entry)
      this.#core.agents.delete(name)
      queue.end(new BusError('SUBSCRIPTION_ENDED', `the inbox of agent "${name}" has ended`))
    }
  }

  /** Serves a registered agent from the log; what is kept for one that is only declared waits there. */
  #bind({ name, queue, topic }: AgentRecord): void {
    const { agents, keeper } = this.#core
    if (!queue.backlog.holds || keeper === undefined || agents.kept.has(name)) return
    const all = { session: undefined, sender: undefined, filter: undefined, from: undefined, maxAgeMs: undefined }
    agents.kept.set(name, keeper.bind({ patterns: [topic], queue, group: AGENT_GROUP, ...all }))
  }

  #newRecord(name: string, options: RegisterOptions): AgentRecord {
    const topic = agentTopic(name)
    const pattern = parseTopic(topic)
    const { keeper } = this.#core
    const isKept = keeper?.channel(topic) !== undefined
    const queue = newQueue(this.#core, name, options, isKept)
    const entry = {
      queue,
      pattern,
      order: this.#core.order++,
      session: undefined,
      sender: undefined,
      notFrom: undefined,
      filter: undefined,
      rank: 50,
      group: undefined,
      observer: false,
    }
    const record: AgentRecord = {
      name,
      topic,
      route: undefined,
      routeVersion: -1,
      live: undefined,
      queue,
      entry,
      type: undefined,
      capabilities: NONE,
      status: 'offline',
      registeredAt: undefined,
      generation: 0,
    }
    this.#core.agents.set(record)
    this.#core.router.add(entry)
    return record
  }
}

class LiveAgent extends Verbs implements Agent, Origin {
  readonly name: string
  readonly #record: AgentRecord
  readonly #member: Member | undefined
  readonly #generation: number
  readonly #subscribe: Subscribe
  #current: Delivery | undefined
  #inbox: Inbox | undefined
  #subscriptions: Set<LiveSubscription> | undefined

  constructor(core: Core, sender: Sender, record: AgentRecord, options: RegisterOptions, subscribe: Subscribe) {
    super(core, sender, undefined)
    // Its own origin: ten thousand agents need not have an object more each.
    this.origin = this
    this.name = record.name
    this.#record = record
    this.#generation = record.generation
    this.#subscribe = subscribe
    if (options.handler === undefined) return
    const timeoutMs = options.handlerTimeoutMs ?? core.options.handlerTimeoutMs
    this.#member = new Member(
      record.name,
      this.#noted(options.handler),
      options.concurrency ?? 0,
      timeoutMs,
      record.name,
    )
    this.rewrap()
    record.queue.join(this.#member)
  }

  /** The handler, remembering which delivery it works on until it returns or first waits. */
  #noted(handler: Handler): Handler {
    return (message, context) => {
      this.#current = context as Delivery
      try {
        return handler(message, context)
      } finally {
        this.#current = undefined
      }
    }
  }

  /** Asked under the agent's name while one of its handlers runs: that handler is taken to be the one who asks. */
  protected override get frame(): Delivery | undefined {
    if (this.#current !== undefined) return this.#current
    for (const one of this.#record.queue.runs()) if (one.waits === undefined || one.waits.size === 0) return one
    return undefined
  }

  get from(): string {
    return this.name
  }

  get session(): undefined {
    return undefined
  }

  get delivery(): undefined {
    return undefined
  }

  get cause(): undefined {
    return undefined
  }

  get registered(): boolean {
    return this.#record.registeredAt !== undefined && this.#record.generation === this.#generation
  }

  get info(): AgentInfo {
    return agentInfo(this.#record)
  }

  setStatus(status: AgentStatus): void {
    checkOption('setStatus', 'status', status, oneOf(STATUSES))
    this.#mustBeRegistered()
    this.#record.status = status
    this.core.far?.agentChanged(this.name)
  }

  async receive(options?: ReceiveOptions): Promise<Message> {
    this.#mustBeRegistered()
    return this.#box().receive(options)
  }

  clear(): number {
    return this.registered ? this.#record.queue.clear('cancelled') : 0
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    this.#mustBeRegistered()
    return this.#box()[Symbol.asyncIterator]()
  }

  subscribe<T>(
    pattern: PatternOf<T>,
    handler: Handler<T>,
    options: SubscribeOptions & { readonly echo?: boolean } = {},
  ): Subscription {
    this.#mustBeRegistered()
    checkOption('subscribe', 'options', options, anObject)
    const { echo = false, ...rest } = options
    checkOption('subscribe', 'echo', echo, aFlag)
    const named = rest.name === undefined ? { ...rest, name: this.name } : rest
    const made = this.#subscribe(pattern as PatternOf<never>, handler as Handler, named, { agent: this.name, echo })
    this.#subscriptions ??= new Set()
    this.#subscriptions.add(made)
    return made
  }

  unregister(): boolean {
    if (!this.registered) return false
    const { core, name } = this
    const error = new BusError('SUBSCRIPTION_ENDED', `agent "${name}" was unregistered`)
    this.#record.registeredAt = undefined
    core.router.remove(this.#record.entry)
    core.agents.delete(name)
    core.far?.agentChanged(name)
    this.retire(error)
    void core.agents.kept.get(name)?.end()
    core.agents.kept.delete(name)
    this.#record.queue.end(error)
    this.#record.live = undefined
    core.announce('agent.unregistered', { name })
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.registered) return
    this.core.router.remove(this.#record.entry)
    this.core.agents.kept.get(this.name)?.pause()
    if (this.#member !== undefined) await drained(this.#record.queue, this.core)
    this.unregister()
  }

  /** Puts the bus's present middleware around the handler. */
  rewrap(): void {
    const member = this.#member
    if (member === undefined) return
    const wrapped = wrapHandler(member.plain, this.core.middleware, [])
    const kept = this.core.agents.kept.get(this.name)
    member.handler = kept === undefined ? wrapped : begun(kept.wrap(wrapped))
  }

  /** Takes its handler, receivers and subscriptions away; its queue stays for whoever comes next under the name. */
  retire(error: BusError): void {
    if (this.#member !== undefined) this.#record.queue.leave(this.#member)
    this.#inbox?.end(error)
    if (this.#subscriptions !== undefined) for (const one of this.#subscriptions) one.unsubscribe()
  }

  #box(): Inbox {
    this.#inbox ??= new Inbox(this.core, this.#record.queue, this.name)
    return this.#inbox
  }

  #mustBeRegistered(): void {
    if (this.registered) return
    this.core.agents.get(this.name)
    throw new BusError('SUBSCRIPTION_ENDED', `agent "${this.name}" was replaced by another one of its name`, {
      details: { wanted: this.name },
    })
  }
}
