import { BusError, isBusError } from '../../kit/errors.ts'
import { INBOX_ROOT } from '../../message/address.ts'
import { packData } from '../../message/data.ts'
import { Envelope } from '../../message/message.ts'
import type { AgentRecord } from '../agents.ts'
import type { Core } from '../core.ts'
import type { Delivery } from '../delivery.ts'
import type { Delivered, Distributor } from '../distribute.ts'
import { asFailure } from '../request.ts'
import type { Route } from '../router.ts'
import { Ask, type AskHost } from './ask.ts'
import { errorOf } from './faults.ts'
import { type Frame, messageOf, pairsOf, textsOf } from './frames.ts'
import { type PlanHost, recipients } from './plan.ts'
import type { AskKind, Load } from './side.ts'

/** Most handlings that wait for each other across processes, as a frame may tell. */
const MOST_CHAIN = 64

/** What taking messages in needs around it. */
export interface IntakeHost {
  /** Says something to a process. Throws what the wire throws. */
  say(to: string, type: 'done' | 'part' | 'end', fields: object): void
  dropped(): void
  /** Makes the inbox of an agent that is not here yet, where such messages are held. */
  hold(name: string): AgentRecord | undefined
}

/** Messages of other processes: puts them into the queues of this one, and keeps what they want to hear of. */
export class Intake {
  readonly #core: Core
  readonly #spread: Distributor
  readonly #plan: PlanHost
  readonly #host: IntakeHost
  readonly #asks = new Map<string, Ask>()
  readonly #askHost: AskHost

  constructor(core: Core, spread: Distributor, plan: PlanHost, host: IntakeHost) {
    this.#core = core
    this.#spread = spread
    this.#plan = plan
    this.#host = host
    this.#askHost = {
      reply: (ask, value, name) => void core.respond(ask.awaited as Envelope, value, name, undefined),
      say: (ask, type, fields) => host.say(ask.from, type, { re: ask.re, ...fields }),
      over: (ask) => void this.#asks.delete(ask.re),
      failure: (error, topic) => asFailure(error, topic),
      pack: (part) => packData(part),
    }
  }

  /** Requests of other processes that are in hand. */
  get size(): number {
    return this.#asks.size
  }

  askOf(message: Envelope): Ask | undefined {
    return message.replyTo === undefined ? undefined : this.#asks.get(message.replyTo)
  }

  /** A message from another process. Throws DECODE_FAILED. */
  message({ from, fields }: Frame): void {
    const core = this.#core
    const message = messageOf(fields, core.env)
    if (message.topic.startsWith(`${INBOX_ROOT}.`)) {
      throw new BusError('DECODE_FAILED', 'a frame of another process: an answer is no message', {
        details: { field: 'topic', topic: message.topic },
      })
    }
    if (fields.left !== undefined) setDeadline(message, fields.left as number)
    const ask = this.#begin(from, fields, message)
    if (ask === false) return
    if (core.state !== 'running') {
      this.#host.dropped()
      ask?.fail(new BusError('NOT_RUNNING', `bus "${core.options.name}" takes no messages now`))
      return
    }
    const route = core.router.route(message.topic)
    const load = {
      groups: pairsOf(fields.groups),
      names: pairsOf(fields.names),
      everyone: fields.everyone === undefined ? undefined : new Set(textsOf(fields.everyone)),
      kept: fields.kept === true,
    }
    Envelope.setAccount(message, route.channel.account)
    if (ask !== undefined) Envelope.setNote(message, ask)
    core.maker.bytes = Number.MAX_SAFE_INTEGER
    core.history.note(message, core.maker.bytes)
    try {
      this.#follow(this.#deliver(route, message, load, ask), ask)
    } catch (error) {
      if (ask === undefined || !isBusError(error)) throw error
      ask.fail(error)
    }
  }

  /** The process that asked gives up. */
  cancel({ from, fields }: Frame): void {
    this.#askFrom(from, fields)?.cancel(errorOf(fields.error))
  }

  credit({ from, fields }: Frame): void {
    this.#askFrom(from, fields)?.grant(fields.n as number)
  }

  /** Another process reads a stream of this one. */
  read({ from, fields }: Frame): void {
    const stream = fields.stream as string
    const ask = this.#begin(from, { ...fields, ask: 'stream' }, undefined)
    if (ask === false || ask === undefined) return
    if (this.#core.streams.info(stream) === undefined) ask.nobody()
    else void this.#pour(ask, stream, fields.start as number)
  }

  /** A process is gone: nobody waits for what it asked. */
  lost(id: string): void {
    const error = new BusError('CANCELLED', `process ${id}, which asked, is gone`, { details: { process: id } })
    for (const ask of [...this.#asks.values()]) if (ask.from === id) ask.cancel(error)
  }

  /** Whoever still waits is told that nothing more comes. */
  close(error: BusError): void {
    for (const ask of [...this.#asks.values()]) ask.fail(error)
  }

  /** What the other process wants to hear of; undefined for nothing, false for a frame that must not be followed. */
  #begin(from: string, fields: Frame['fields'], message: Envelope | undefined): Ask | undefined | false {
    const re = fields.re as string | undefined
    if (re === undefined) return undefined
    const kind = fields.ask as AskKind | undefined
    if (this.#asks.has(re) || (message !== undefined && kind !== undefined && message.replyTo !== re)) {
      this.#host.dropped()
      return false
    }
    const chain = textsOf(fields.chain, MOST_CHAIN)
    const ask = new Ask(this.#askHost, from, re, kind, message, chain, this.#waiterOf(chain))
    this.#asks.set(re, ask)
    const { limit } = this.#core.options
    if (this.#asks.size <= limit) return ask
    ask.fail(
      new BusError('QUEUE_FULL', `bus "${this.#core.options.name}" has ${limit} requests of others in hand`, {
        details: { limit },
      }),
    )
    return false
  }

  /** The handling of this process that waits, through others, for a message of the chain. */
  #waiterOf(chain: readonly string[]): Delivery | undefined {
    if (chain.length === 0) return undefined
    const ids = new Set(chain)
    for (const pending of this.#core.requests) {
      if (pending.frame !== undefined && ids.has(pending.message.id)) return pending.frame
    }
    return undefined
  }

  #deliver(route: Route, message: Envelope, load: Omit<Load, 'targets'>, ask: Ask | undefined): Delivered {
    const entries = recipients(this.#plan, route, message, load)
    const inboxes = this.#inboxes(message, load)
    if (inboxes.length === 0) return this.#spread.deliverTo(route, entries, message, ask, ask?.frame)
    const queues = new Set([...inboxes.map(({ queue }) => queue), ...entries.map(({ queue }) => queue)])
    return this.#spread.offerAll([...queues], message, ask, ask?.frame)
  }

  #inboxes(message: Envelope, { names, everyone }: Omit<Load, 'targets'>): AgentRecord[] {
    const { agents } = this.#core
    const found: AgentRecord[] = []
    if (everyone !== undefined) {
      for (const one of agents.all()) if (one.registeredAt !== undefined && !everyone.has(one.name)) found.push(one)
    }
    for (const [name, id] of names) {
      if (id !== this.#plan.id) continue
      const record = agents.find(name) ?? this.#host.hold(name)
      if (record !== undefined) found.push(record)
      else {
        const error = new BusError('UNKNOWN_AGENT', `agent "${name}" left before its message came`, {
          details: { wanted: name },
        })
        this.#core.fail(name, message, 'dropped', 'unregistered', error)
      }
    }
    return found
  }

  /** Tells the ask who took the message. */
  #follow({ accepted, refused, waits }: Delivered, ask: Ask | undefined): void {
    if (ask === undefined) return
    if (accepted + refused.length === 0 && !ask.isReceipt) {
      ask.nobody()
      return
    }
    for (const { name, error } of refused) ask.refused(name, error)
    for (const { queue, outcome } of waits ?? []) {
      void outcome.then((refusal) => {
        if (refusal !== undefined) ask.refused(queue.name, refusal.error)
      })
    }
    ask.arm(accepted + refused.length)
  }

  async #pour(ask: Ask, stream: string, start: number): Promise<void> {
    try {
      for await (const chunk of this.#core.streams.read(stream, start)) await ask.pour(chunk)
      ask.finish()
    } catch (error) {
      ask.fail(asFailure(error, stream))
    }
  }

  /** Only the process that asked may steer what it asked for. */
  #askFrom(from: string, fields: Frame['fields']): Ask | undefined {
    const ask = this.#asks.get(fields.re as string)
    return ask?.from === from ? ask : undefined
  }
}

/** So many milliseconds are left, however the clocks of the two machines differ. */
function setDeadline(message: Envelope, leftMs: number): void {
  const { expiresAt } = message
  Envelope.setDeadline(message, Envelope.publishedMs(message) + leftMs)
  message.expiresAt = expiresAt
}
