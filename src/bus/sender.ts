import { BusError } from '../kit/errors.ts'
import { agentTopic, BROADCAST_TOPIC, INBOX_ROOT } from '../message/address.ts'
import { type TopicContract, validate } from '../message/contract.ts'
import { Envelope } from '../message/message.ts'
import { parseTopic } from '../message/topic.ts'
import type { Account } from './account.ts'
import type { AgentRecord } from './agents.ts'
import type { Core } from './core.ts'
import type { Note } from './delivery.ts'
import type { Ack, Refusal } from './ack.ts'
import type { Origin } from './maker.ts'
import type { BroadcastOptions, PublishOptions, TopicOf } from './publisher.ts'
import type { Queue } from './queue.ts'
import { Ranks, Receipt } from './receipt.ts'
import type { Entry, Route } from './router.ts'

// Hot path: the way of a message from a verb into the queues, in the order in which it happens.

const NOBODY_REFUSED: readonly Refusal[] = Object.freeze([])

/** Puts messages into queues and tells the publisher what was reached. */
export class Sender {
  readonly #core: Core
  /** Publishes from before the start. */
  #early: (() => void)[] = []

  constructor(core: Core) {
    this.#core = core
  }

  publish(topic: TopicOf<unknown>, data: unknown, options: PublishOptions | undefined, origin: Origin | undefined): Promise<Ack> {
    try {
      const core = this.#core
      if (core.state !== 'running') {
        const early = this.#notRunning(origin, () => this.publish(topic, data, options, origin))
        if (early !== undefined) return early
      }
      const route = this.route(topic)
      if (options === undefined && route.only !== undefined && typeof topic === 'string') {
        return this.#publishToOne(route, route.only, core.maker.make(topic, data, undefined, origin))
      }
      const contract = typeof topic === 'string' ? route.contract : topic
      if (contract !== undefined) return this.#publishTyped(contract, route, data, options, origin)
      return this.#publishRoute(route, data, options, origin)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** One message to named agents. */
  async send(names: readonly string[], data: unknown, options: PublishOptions | undefined, origin: Origin | undefined): Promise<Ack> {
    if (this.#core.state !== 'running') {
      const early = this.#notRunning(origin, () => this.send(names, data, options, origin))
      if (early !== undefined) return early
    }
    if (names.length === 0) {
      throw new BusError('INVALID_MESSAGE', 'send: the list of agents is empty; allowed: at least one name (or use broadcast)', {
        details: { field: 'agent', allowed: 'at least one name' },
      })
    }
    const records = [...new Set(names)].map((name) => this.agent(name))
    const [first] = records as [AgentRecord]
    const only = records.length === 1 ? { ...options, to: first.name } : options
    const message = this.#core.maker.make(agentTopic(first.name), data, only, origin)
    return this.#toQueues(message, records, options, undefined)
  }

  broadcast(data: unknown, options: BroadcastOptions | undefined, origin: Origin | undefined): Promise<Ack> {
    try {
      if (this.#core.state !== 'running') {
        const early = this.#notRunning(origin, () => this.broadcast(data, options, origin))
        if (early !== undefined) return early
      }
      const level = options?.priority ?? this.#core.options.broadcastPriority
      const message = this.#core.maker.make(BROADCAST_TOPIC, data, { ...options, priority: level }, origin)
      const excluded = new Set(options?.exclude)
      const records = [...this.#core.agents.all()].filter((record) => {
        if (record.registeredAt === undefined || excluded.has(record.name)) return false
        return options?.echo === true || record.name !== message.from
      })
      return this.#toQueues(message, records, options, this.#core.router.route(BROADCAST_TOPIC))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The agent, declared on the spot where unknown ones are held. Throws UNKNOWN_AGENT. */
  agent(name: string): AgentRecord {
    const { agents, options } = this.#core
    if (options.unknownAgent === 'hold' && agents.find(name) === undefined) return this.declare(name)
    return agents.get(name)
  }

  /** Makes the inbox of an agent that will register later; set by `bus.ts`. */
  declare: (name: string) => AgentRecord = (name) => this.#core.agents.get(name)

  /** The route of a topic given as text or contract. Throws INVALID_TOPIC. */
  route(topic: TopicOf<unknown>): Route {
    const text = typeof topic === 'string' ? topic : topic?.topic
    if (typeof text !== 'string') parseTopic(text as unknown as string)
    return this.#core.router.route(text)
  }

  /** Puts a made message into every queue that should have it. Returns how many took it, and who did not. */
  deliver(route: Route, message: Envelope, note: Note | undefined): Delivered {
    Envelope.setAccount(message, route.channel.account)
    route.channel.messages++
    this.#core.note(message)
    if (note !== undefined) Envelope.setNote(message, note)
    const { plain } = route
    if (plain !== undefined) return this.#offerAll(plain, message)
    const entries = this.#core.router.select(route, message)
    if (route.ranked) {
      const ranks = new Ranks(message, entries, note, (wave) => this.#sendWave(wave, message, ranks))
      Envelope.setNote(message, ranks)
      ranks.nextWave()
      return { accepted: entries.length, refused: NOBODY_REFUSED, waits: undefined, slowingMs: 0 }
    }
    return this.#offerAll(
      entries.map((entry) => entry.queue),
      message,
    )
  }

  /** Hands a message to one queue past everything that waits there. */
  urge(queue: Queue, message: Envelope, note: Note): void {
    const { channel } = this.#core.router.route(message.topic)
    Envelope.setAccount(message, channel.account)
    channel.messages++
    this.#core.note(message)
    Envelope.setNote(message, note)
    queue.urge(message)
  }

  /** Routes a message that was made already: an answer to a topic outside of this bus's table. */
  forward(message: Envelope): void {
    this.deliver(this.#core.router.route(message.topic), message, undefined)
  }

  /** Everything published before the start goes out now, in order. */
  start(): void {
    const early = this.#early
    this.#early = []
    for (const publish of early) publish()
  }

  #publishTyped(
    contract: TopicContract,
    route: Route,
    data: unknown,
    options: PublishOptions | undefined,
    origin: Origin | undefined,
  ): Promise<Ack> {
    const checked = validate(contract, data)
    if (!(checked instanceof Promise)) return this.#publishRoute(route, checked, options, origin)
    return checked.then((late) => this.#publishRoute(route, late, options, origin))
  }

  #publishRoute(route: Route, data: unknown, options: PublishOptions | undefined, origin: Origin | undefined): Promise<Ack> {
    const message = this.#core.maker.make(route.topic, data, options, origin)
    // '_' is 95: a reply topic. Answers go to their request and nowhere else.
    if (route.topic.charCodeAt(0) === 95 && route.topic.startsWith(`${INBOX_ROOT}.`) && this.#core.requests.owns(route.topic)) {
      return Promise.resolve(ack(message, this.#core.requests.deliver(message) ? 1 : 0, NOBODY_REFUSED, false))
    }
    if (options?.until === undefined && options?.receipt !== true) {
      const { plain } = route
      if (plain !== undefined && plain.length === 1) return this.#publishToOne(route, plain[0]!, message)
      return this.#acknowledge(message, this.deliver(route, message, undefined), undefined, options)
    }
    const receipt = new Receipt(origin?.delivery, undefined)
    const delivered = this.deliver(route, message, receipt)
    receipt.arm(delivered.accepted)
    return this.#acknowledge(message, delivered, receipt, options)
  }

  /** The most common case, without a list in between. */
  #publishToOne(route: Route, queue: Queue, message: Envelope): Promise<Ack> {
    Envelope.setAccount(message, route.channel.account)
    route.channel.messages++
    this.#core.note(message)
    if (!queue.closed && queue.room.slowingMs === 0 && queue.offer(message)) return Promise.resolve(ack(message, 1, NOBODY_REFUSED, false))
    return this.#acknowledge(message, this.#offerAll([queue], message), undefined, undefined)
  }

  #toQueues(
    message: Envelope,
    records: readonly AgentRecord[],
    options: PublishOptions | undefined,
    watched: Route | undefined,
  ): Promise<Ack> {
    const route = watched ?? this.#core.router.route(message.topic)
    Envelope.setAccount(message, route.channel.account)
    route.channel.messages++
    this.#core.note(message)
    const tracked = options?.until !== undefined || options?.receipt === true
    const receipt = tracked ? new Receipt(undefined, undefined) : undefined
    if (receipt !== undefined) Envelope.setNote(message, receipt)
    const queues = new Set(records.map((record) => record.queue))
    // Whoever listens to the topic without being one of the agents hears it as well.
    for (const entry of this.#core.router.select(route, message)) queues.add(entry.queue)
    const delivered = this.#offerAll([...queues], message)
    receipt?.arm(delivered.accepted)
    const held = records.some((record) => record.registeredAt === undefined)
    return this.#acknowledge(message, delivered, receipt, options, held)
  }

  #offerAll(queues: readonly Queue[], message: Envelope): Delivered {
    // One envelope for several recipients must not be changed by any of them.
    if (queues.length > 1) Object.freeze(message)
    let accepted = 0
    let refused: Refusal[] | undefined
    let waits: Waiting[] | undefined
    let slowingMs = 0
    for (let index = 0; index < queues.length; index++) {
      const queue = queues[index]!
      if (queue.closed) continue
      if (queue.room.slowingMs > slowingMs) slowingMs = queue.room.slowingMs
      if (queue.offer(message)) {
        accepted++
        continue
      }
      const decided = queue.overflow(message)
      switch (decided.type) {
        case 'refused':
          refused ??= []
          refused.push(this.#refuse(queue, message, decided.error))
          break
        case 'waits':
          accepted++
          waits ??= []
          waits.push({ queue, outcome: decided.outcome })
          break
        case 'dropped':
        case 'made-room':
          accepted++
          break
        default:
          decided satisfies never
      }
    }
    return { accepted, refused: refused ?? NOBODY_REFUSED, waits, slowingMs }
  }

  #refuse(queue: Queue, message: Envelope, error: BusError): Refusal {
    const account = Envelope.accountOf(message) as Account
    account.channel.refused++
    this.#core.announce('message.refused', { name: queue.name, message, error })
    return { name: queue.name, error }
  }

  #sendWave(wave: readonly Entry[], message: Envelope, ranks: Ranks): void {
    for (const { queue } of wave) {
      const { accepted, refused, waits } = this.#offerAll([queue], message)
      if (accepted === 0) {
        const error = refused[0]?.error ?? new BusError('SUBSCRIPTION_ENDED', `"${queue.name}" has ended`)
        ranks.settled(queue.name, 'dropped', undefined, 'queue-full', error)
      }
      for (const { outcome } of waits ?? []) {
        void outcome.then((error) => {
          if (error !== undefined) ranks.settled(queue.name, 'dropped', undefined, 'queue-full', error)
        })
      }
    }
  }

  /** The publisher's promise: at once, or when waiting queues have decided, or when the recipients are done. */
  #acknowledge(
    message: Envelope,
    delivered: Delivered,
    receipt: Receipt | undefined,
    options: PublishOptions | undefined,
    held: boolean = false,
  ): Promise<Ack> {
    if (delivered.waits === undefined && receipt === undefined && delivered.slowingMs === 0) {
      return delivered.accepted === 0 && delivered.refused.length > 0
        ? Promise.reject(delivered.refused[0]?.error)
        : Promise.resolve(ack(message, delivered.accepted, delivered.refused, held))
    }
    return this.#acknowledgeLate(message, delivered, receipt, options, held)
  }

  async #acknowledgeLate(
    message: Envelope,
    delivered: Delivered,
    receipt: Receipt | undefined,
    options: PublishOptions | undefined,
    held: boolean,
  ): Promise<Ack> {
    const { refused, accepted } = await this.#decided(message, delivered, receipt)
    const { slowingMs } = delivered
    if (slowingMs > 0) await new Promise<void>((resolve) => void this.#core.env.after(slowingMs, resolve))
    if (accepted === 0 && refused.length > 0) throw (refused[0] as Refusal).error
    const base = ack(message, accepted, refused, held)
    if (receipt === undefined) return base
    if (options?.until === undefined || options.until === 'accepted') return { ...base, receipt: receipt.done }
    const deliveries = await receipt.done
    const failed = deliveries.findLast((one) => one.outcome !== 'handled')
    if (options.until === 'succeeded' && failed !== undefined) throw failed.error
    return options.receipt === true ? { ...base, deliveries, receipt: receipt.done } : { ...base, deliveries }
  }

  /** Waits until every queue has accepted or refused. */
  async #decided(message: Envelope, delivered: Delivered, receipt: Receipt | undefined): Promise<Decided> {
    const refused = [...delivered.refused]
    let { accepted } = delivered
    for (const { name, error } of refused) receipt?.reports.push({ name, outcome: 'refused', reason: 'queue-full', error })
    await Promise.all(
      (delivered.waits ?? []).map(async ({ queue, outcome }) => {
        const error = await outcome
        if (error === undefined) return
        accepted--
        refused.push(this.#refuse(queue, message, error))
        receipt?.refused(queue.name, error)
      }),
    )
    return { accepted, refused }
  }

  /** Decides about a publish outside of "running"; undefined lets it pass. */
  #notRunning(origin: Origin | undefined, again: () => Promise<Ack>): Promise<Ack> | undefined {
    const { state, options } = this.#core
    if (state === 'closed') throw new BusError('BUS_CLOSED', `bus "${options.name}" is closed`)
    // What is in hand may finish, with all that it causes.
    if (state === 'draining' && origin?.delivery !== undefined) return undefined
    if (state !== 'idle' || options.beforeStart === 'refuse') {
      throw new BusError('NOT_RUNNING', `bus "${options.name}" is ${state}; it takes no messages now`, { details: { state } })
    }
    if (this.#early.length >= options.limit) {
      throw new BusError('QUEUE_FULL', `${options.limit} messages wait for the start of bus "${options.name}" already`)
    }
    return new Promise((resolve, reject) => {
      this.#early.push(() => void again().then(resolve, reject))
    })
  }
}

interface Waiting {
  readonly queue: Queue
  readonly outcome: Promise<BusError | undefined>
}

interface Delivered {
  readonly accepted: number
  readonly refused: readonly Refusal[]
  readonly waits: readonly Waiting[] | undefined
  /** Milliseconds by which an adaptive queue slows its publishers now. */
  readonly slowingMs: number
}

interface Decided {
  readonly accepted: number
  readonly refused: readonly Refusal[]
}

function ack(message: Envelope, recipients: number, refused: readonly Refusal[], held: boolean): Ack {
  return { id: message.id, topic: message.topic, level: 'memory', duplicate: false, recipients, refused, held }
}
