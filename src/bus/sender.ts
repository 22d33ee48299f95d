import { BusError } from '../kit/errors.ts'
import { agentTopic, BROADCAST_TOPIC, INBOX_ROOT } from '../message/address.ts'
import { type TopicContract, validate } from '../message/contract.ts'
import type { Envelope } from '../message/message.ts'
import { parseTopic } from '../message/topic.ts'
import type { Ack, Refusal } from './ack.ts'
import { ack, decided, type Inbox, namesOf, receiptFor, withNames } from './acknowledge.ts'
import type { AgentRecord } from './agents.ts'
import type { Core } from './core.ts'
import { type Delivered, Distributor, NOBODY_REFUSED } from './distribute.ts'
import { EarlyPublishes } from './early.ts'
import type { FarSide, Load, Plan } from './far/side.ts'
import { KeptSender, mustBeKept } from './keep.ts'
import type { Origin } from './maker.ts'
import type { BroadcastOptions, PublishOptions, TopicOf } from './publisher.ts'
import type { Queue } from './queue.ts'
import type { Receipt } from './receipt.ts'
import type { Route } from './router.ts'

// Hot path: the way of a message from a verb into the queues, in the order in which it happens.

/** Puts messages into queues and tells the publisher what was reached. */
export class Sender {
  readonly #core: Core
  readonly spread: Distributor
  readonly #early: EarlyPublishes
  readonly #kept: KeptSender

  constructor(core: Core) {
    this.#core = core
    this.spread = new Distributor(core)
    this.#early = new EarlyPublishes(core)
    this.#kept = new KeptSender(core, this.spread)
  }

  publish(
    topic: TopicOf<unknown>,
    data: unknown,
    options: PublishOptions | undefined,
    origin: Origin | undefined,
  ): Promise<Ack> {
    try {
      const core = this.#core
      const early = core.state !== 'running' && this.#early.mustWait(origin)
      const route = this.route(topic)
      if (options === undefined && route.only !== undefined && typeof topic === 'string' && !early) {
        return this.#publishToOne(route, route.only, core.maker.make(topic, data, undefined, origin))
      }
      const contract = typeof topic === 'string' ? route.contract : topic
      if (contract !== undefined) return this.#publishTyped(contract, route, data, options, origin, early)
      return this.#publishRoute(route, data, options, origin, early)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** One message to one agent: the common case of {@link send}, without lists in between. */
  sendToOne(
    name: string,
    data: unknown,
    origin: Origin | undefined,
    options: PublishOptions | undefined,
  ): Promise<Ack> {
    const core = this.#core
    const record = core.agents.find(name)
    if (core.state !== 'running' || record?.registeredAt === undefined) return this.send([name], data, options, origin)
    const route = this.#routeOf(record)
    if (route.only !== record.queue || record.queue.backlog.holds) return this.send([name], data, options, origin)
    let message: Envelope
    try {
      message = core.maker.make(record.topic, data, options, origin)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    return this.#publishToOne(route, record.queue, message, [name])
  }

  /** The route of an agent's inbox; kept beside the agent as long as nobody subscribes or leaves. */
  #routeOf(record: AgentRecord): Route {
    const { router } = this.#core
    if (record.route === undefined || record.routeVersion !== router.version) {
      record.route = router.route(record.topic)
      record.routeVersion = router.version
    }
    return record.route
  }

  /** One message to named agents. */
  async send(
    names: readonly string[],
    data: unknown,
    options: PublishOptions | undefined,
    origin: Origin | undefined,
  ): Promise<Ack> {
    const early = this.#core.state !== 'running' && this.#early.mustWait(origin)
    if (names.length === 0) {
      throw new BusError(
        'INVALID_MESSAGE',
        'send: the list of agents is empty; allowed: at least one name (or use broadcast)',
        {
          details: { field: 'agent', allowed: 'at least one name' },
        },
      )
    }
    const distinct = [...new Set(names)]
    const first = distinct[0] as string
    const only = distinct.length === 1 ? { ...options, to: first } : options
    const { far } = this.#core
    if (far !== undefined && !far.isReady && distinct.some((name) => !this.#isHere(name))) await far.ready
    const find = (): readonly Inbox[] => distinct.map((name) => this.#inbox(name))
    // Before the start an agent may still come; afterwards a missing one is refused before anything is made.
    const known = early ? undefined : find()
    const message = this.#core.maker.make(agentTopic(first), data, only, origin)
    const go = async (): Promise<Ack> => {
      const records = known ?? find()
      const route = this.#core.router.route(message.topic)
      if (!records.some((record) => this.#isKept(record))) mustBeKept(message.topic, options)
      else return this.#kept.send(records, route, message, options, receiptFor(message, options, origin))
      return this.#toQueues(
        message,
        records,
        options,
        origin,
        route,
        far?.planSend(route, message, distinct, undefined),
      )
    }
    return early ? this.#early.later(go) : go()
  }

  #isHere(name: string): boolean {
    return this.#core.agents.find(name)?.registeredAt !== undefined
  }

  /** The inbox of an agent: here, or in another process. Throws UNKNOWN_AGENT. */
  #inbox(name: string): Inbox {
    if (!this.#isHere(name) && this.#core.far?.agent(name) !== undefined) {
      return { name, topic: agentTopic(name), registeredAt: 0, queue: undefined }
    }
    return this.agent(name)
  }

  #isKept({ queue, topic }: Inbox): boolean {
    return queue === undefined ? this.#core.keeper?.channel(topic) !== undefined : queue.backlog.holds
  }

  /** To every agent that is there now: live, also where their inboxes are kept. */
  broadcast(data: unknown, options: BroadcastOptions | undefined, origin: Origin | undefined): Promise<Ack> {
    try {
      mustBeKept(BROADCAST_TOPIC, options)
      const early = this.#core.state !== 'running' && this.#early.mustWait(origin)
      const level = options?.priority ?? this.#core.options.broadcastPriority
      const message = this.#core.maker.make(BROADCAST_TOPIC, data, { ...options, priority: level }, origin)
      const excluded = new Set(options?.exclude)
      const go = (): Promise<Ack> => {
        const records = [...this.#core.agents.all()].filter((record) => {
          if (record.registeredAt === undefined || excluded.has(record.name)) return false
          return options?.echo === true || record.name !== message.from
        })
        const route = this.#core.router.route(BROADCAST_TOPIC)
        if (options?.echo !== true && message.from !== undefined) excluded.add(message.from)
        const plan = this.#core.far?.planSend(route, message, [], excluded)
        return this.#toQueues(message, records, options, origin, route, plan)
      }
      return early ? this.#early.later(go) : go()
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

  /** Routes a message that was made already: an answer to a topic outside of this bus's table. */
  forward(message: Envelope): void {
    if (this.#core.far?.answer(message)) return
    this.spread.deliver(this.#core.router.route(message.topic), message, undefined, undefined)
  }

  /** Everything published before the start goes out now, in order. */
  start(): void {
    this.#early.start()
  }

  #publishTyped(
    contract: TopicContract,
    route: Route,
    data: unknown,
    options: PublishOptions | undefined,
    origin: Origin | undefined,
    early: boolean,
  ): Promise<Ack> {
    const checked = validate(contract, data)
    if (!(checked instanceof Promise)) return this.#publishRoute(route, checked, options, origin, early)
    return checked.then((late) => {
      const stillEarly = this.#core.state !== 'running' && this.#early.mustWait(origin)
      return this.#publishRoute(this.#core.router.route(route.topic), late, options, origin, stillEarly)
    })
  }

  #publishRoute(
    route: Route,
    data: unknown,
    options: PublishOptions | undefined,
    origin: Origin | undefined,
    early: boolean,
  ): Promise<Ack> {
    const message = this.#core.maker.make(route.topic, data, options, origin)
    if (!early) return this.#publishMade(route, message, options, origin)
    return this.#early.later(async () =>
      this.#publishMade(this.#core.router.route(route.topic), message, options, origin),
    )
  }

  #publishMade(
    route: Route,
    message: Envelope,
    options: PublishOptions | undefined,
    origin: Origin | undefined,
  ): Promise<Ack> {
    // '_' is 95: a reply topic. Answers go to their request and nowhere else.
    if (
      route.topic.charCodeAt(0) === 95 &&
      route.topic.startsWith(`${INBOX_ROOT}.`) &&
      this.#core.requests.owns(route.topic)
    ) {
      return Promise.resolve(ack(message, this.#core.requests.deliver(message) ? 1 : 0, NOBODY_REFUSED, false))
    }
    if (this.#core.far?.answer(message)) {
      return Promise.resolve(ack(message, 1, NOBODY_REFUSED, false))
    }
    const receipt = receiptFor(message, options, origin)
    if (route.kept !== undefined) return this.#kept.publish(route.kept, route, message, options, receipt)
    if (options !== undefined) mustBeKept(route.topic, options)
    if (route.far !== undefined) return this.#publishFar(this.#core.far as FarSide, route, message, options, receipt)
    if (receipt === undefined) {
      const { plain } = route
      if (plain !== undefined && plain.length === 1) return this.#publishToOne(route, plain[0]!, message)
      return this.#acknowledge(message, this.spread.deliver(route, message, undefined, undefined), undefined, options)
    }
    const delivered = this.#armed(receipt, () => this.spread.deliver(route, message, receipt, receipt.frame))
    return this.#acknowledge(message, delivered, receipt, options)
  }

  /** To whoever listens, in this process and in others. */
  #publishFar(
    far: FarSide,
    route: Route,
    message: Envelope,
    options: PublishOptions | undefined,
    receipt: Receipt | undefined,
  ): Promise<Ack> {
    const { entries, load } = far.plan(route, message, false)
    this.spread.begin(route, message, receipt)
    const here = (): Delivered => this.spread.deliverTo(route, entries, message, receipt, receipt?.frame)
    const delivered = this.#andElsewhere(here, load, message, receipt)
    return this.#acknowledge(message, delivered, receipt, options)
  }

  /** Delivers here, then sends to other processes: each of them counts as a recipient. */
  #andElsewhere(
    here: () => Delivered,
    load: Load | undefined,
    message: Envelope,
    receipt: Receipt | undefined,
  ): Delivered {
    const add = (): Delivered => {
      const delivered = here()
      const carried = load === undefined ? undefined : this.#core.far?.carry(load, message, undefined, receipt)
      if (carried === undefined) return delivered
      const { sent, refusal } = carried
      const refused = refusal === undefined ? delivered.refused : [...delivered.refused, refusal]
      return { ...delivered, accepted: delivered.accepted + sent, refused }
    }
    return receipt === undefined ? add() : this.#armed(receipt, add)
  }

  /** Says how many recipients the receipt waits for; a delivery that throws is waited for by nobody. */
  #armed(receipt: Receipt, deliver: () => Delivered): Delivered {
    try {
      const delivered = deliver()
      receipt.arm(delivered.accepted)
      return delivered
    } catch (error) {
      receipt.arm(0)
      throw error
    }
  }

  /** The most common case, without a list in between. */
  #publishToOne(route: Route, queue: Queue, message: Envelope, names?: readonly string[]): Promise<Ack> {
    this.spread.begin(route, message, undefined)
    if (!queue.closed && queue.slowingMs === 0 && queue.offer(message)) {
      return Promise.resolve(ack(message, 1, NOBODY_REFUSED, false, names))
    }
    const delivered = this.spread.offerAll([queue], message, undefined, undefined)
    return this.#acknowledge(message, delivered, undefined, undefined, false, names)
  }

  #toQueues(
    message: Envelope,
    records: readonly Inbox[],
    options: PublishOptions | undefined,
    origin: Origin | undefined,
    route: Route,
    plan?: Plan,
  ): Promise<Ack> {
    const receipt = receiptFor(message, options, origin)
    this.spread.begin(route, message, receipt)
    const own = new Set(records.flatMap(({ queue }) => queue ?? []))
    // Whoever listens to the topic without being one of the agents hears it as well.
    const queues = new Set(own)
    for (const entry of plan?.entries ?? this.#core.router.select(route, message)) queues.add(entry.queue)
    const offer = (): Delivered => this.spread.offerAll([...queues], message, receipt, receipt?.frame)
    const delivered = this.#andElsewhere(offer, plan?.load, message, receipt)
    const held = records.some((record) => record.registeredAt === undefined)
    return this.#acknowledge(
      message,
      delivered,
      receipt,
      options,
      held,
      plan === undefined ? [...own].map((queue) => queue.name) : namesOf(records, plan.load, this.#core.far),
    )
  }

  /** The publisher's promise: at once, or when waiting queues have decided, or when the recipients are done. */
  #acknowledge(
    message: Envelope,
    delivered: Delivered,
    receipt: Receipt | undefined,
    options: PublishOptions | undefined,
    held: boolean = false,
    names?: readonly string[],
  ): Promise<Ack> {
    const { accepted, refused, waits, slowingMs } = delivered
    if (waits !== undefined || receipt !== undefined || slowingMs !== 0) {
      return this.#acknowledgeLate(message, delivered, receipt, options, held, names)
    }
    if (accepted === 0 && refused.length > 0) return Promise.reject((refused[0] as Refusal).error)
    return Promise.resolve(withNames(ack(message, accepted, refused, held), names))
  }

  async #acknowledgeLate(
    message: Envelope,
    delivered: Delivered,
    receipt: Receipt | undefined,
    options: PublishOptions | undefined,
    held: boolean,
    names: readonly string[] | undefined,
  ): Promise<Ack> {
    const { refused, accepted } = await decided(delivered, receipt)
    const { slowingMs } = delivered
    if (slowingMs > 0) await new Promise<void>((resolve) => void this.#core.env.after(slowingMs, resolve))
    if (accepted === 0 && refused.length > 0) throw (refused[0] as Refusal).error
    const base = withNames(ack(message, accepted, refused, held), names)
    if (receipt === undefined) return base
    if (options?.until === undefined || options.until === 'accepted') return { ...base, receipt: receipt.done }
    const deliveries = await receipt.done
    const failed = deliveries.findLast((one) => one.outcome !== 'handled')
    if (options.until === 'succeeded' && failed !== undefined) throw failed.error
    return options.receipt === true ? { ...base, deliveries, receipt: receipt.done } : { ...base, deliveries }
  }
}
