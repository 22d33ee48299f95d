import { BusError } from '../kit/errors.ts'
import { Envelope } from '../message/message.ts'
import type { Ack, Refusal } from './ack.ts'
import type { AgentRecord } from './agents.ts'
import type { Core } from './core.ts'
import { type Distributor, NOBODY_REFUSED } from './distribute.ts'
import type { KeepOptions, KeptAck, KeptChannel } from './kept.ts'
import type { PublishOptions } from './publisher.ts'
import type { Receipt } from './receipt.ts'
import type { Route } from './router.ts'

/** The way of a kept message: stored first, then the publisher is answered and whoever listens live is told. Groups read the log. */
export class KeptSender {
  readonly #core: Core
  readonly #spread: Distributor

  constructor(core: Core, spread: Distributor) {
    this.#core = core
    this.#spread = spread
  }

  /** One message to the channel of its topic. */
  publish(
    kept: KeptChannel,
    route: Route,
    message: Envelope,
    options: PublishOptions | undefined,
    receipt: Receipt | undefined,
  ): Promise<Ack> {
    if (route.agent !== undefined) message.to ??= route.agent
    if (receipt !== undefined) return this.#publishAndFollow(kept, route, message, options, receipt)
    const delayMs = options?.delayMs ?? 0
    return kept.append(message, keepOptions(options), (stored) =>
      this.#answer(message, route, stored, delayMs, undefined),
    )
  }

  /** One message to the inboxes of several agents. Rejects if one of them could not be kept; the others may be. */
  async send(
    records: readonly Pick<AgentRecord, 'name' | 'topic' | 'registeredAt'>[],
    route: Route,
    message: Envelope,
    options: PublishOptions | undefined,
    receipt: Receipt | undefined,
  ): Promise<Ack> {
    const channels = records.map((record) => this.#core.keeper?.channel(record.topic) as KeptChannel)
    const own = records.map(({ topic, name }) => Envelope.addressed(message, topic, name))
    let groups = 0
    if (receipt !== undefined) {
      for (const [index, channel] of channels.entries()) groups += channel.expect(own[index] as Envelope, receipt)
    }
    const how = keepOptions(options)
    const plain = (stored: KeptAck): Ack => ackOf(message, stored, 0, NOBODY_REFUSED)
    try {
      const acks = await Promise.all(
        channels.map((channel, index) => channel.append(own[index] as Envelope, how, plain)),
      )
      const first = acks.find((one) => !one.duplicate) ?? (acks[0] as Ack)
      const told = this.#answer(message, route, first as Ack & KeptAck, options?.delayMs ?? 0, receipt)
      const held = records.some((record) => record.registeredAt === undefined)
      const accepted = records.map((record) => record.name)
      const ack = { ...told, held, accepted, recipients: told.recipients + records.length }
      return receipt === undefined ? ack : await follow(ack, told.recipients + groups, options, receipt)
    } catch (error) {
      for (const channel of channels) channel.forget(message)
      receipt?.arm(0)
      throw error
    }
  }

  async #publishAndFollow(
    kept: KeptChannel,
    route: Route,
    message: Envelope,
    options: PublishOptions | undefined,
    receipt: Receipt,
  ): Promise<Ack> {
    const groups = kept.expect(message, receipt)
    let ack: Ack
    try {
      ack = await kept.append(message, keepOptions(options), (stored) =>
        this.#answer(message, route, stored, options?.delayMs ?? 0, receipt),
      )
    } catch (error) {
      kept.forget(message)
      receipt.arm(0)
      throw error
    }
    if (ack.duplicate) kept.forget(message)
    return follow(ack, ack.recipients + groups, options, receipt)
  }

  /** The message is kept: whoever listens hears of it, and the publisher is answered. */
  #answer(message: Envelope, route: Route, stored: KeptAck, delayMs: number, receipt: Receipt | undefined): Ack {
    if (stored.duplicate) return ackOf(message, stored, 0, NOBODY_REFUSED)
    this.#spread.begin(route, message, receipt)
    if (delayMs > 0) {
      this.#core.env.after(delayMs, () => this.#tellListeners(message, undefined))
      return ackOf(message, stored, 0, NOBODY_REFUSED)
    }
    const { accepted, refused } = this.#tellListeners(message, receipt)
    return ackOf(message, stored, accepted, refused)
  }

  /** Whoever listens without reading the log. The message is kept: that one of them has no room refuses only him. */
  #tellListeners(message: Envelope, receipt: Receipt | undefined): { accepted: number; refused: readonly Refusal[] } {
    const { router, state } = this.#core
    if (state === 'stopped' || state === 'closed') return { accepted: 0, refused: NOBODY_REFUSED }
    const route = router.route(message.topic)
    // Live listeners of other processes hear of it too; whoever reads the log gets it from there.
    const plan = route.far === undefined ? undefined : this.#core.far?.plan(route, message, true)
    if (plan !== undefined) this.#core.far?.carry(plan.load, message, undefined, undefined)
    const queues = (plan?.entries ?? router.listeners(route, message)).map((entry) => entry.queue)
    if (queues.length === 0) return { accepted: 0, refused: NOBODY_REFUSED }
    const { accepted, refused, waits } = this.#spread.offerAll(queues, message, receipt, receipt?.frame)
    for (const { name, error } of refused)
      receipt?.reports.push({ name, outcome: 'refused', reason: 'queue-full', error })
    for (const { queue, outcome } of waits ?? []) {
      void outcome.then((refusal) => {
        if (refusal !== undefined) receipt?.refused(queue.name, refusal.error)
      })
    }
    return { accepted, refused }
  }
}

function ackOf(
  { topic }: Envelope,
  { id, level, offset, duplicate }: KeptAck,
  recipients: number,
  refused: readonly Refusal[],
): Ack {
  return { id, topic, level, offset, duplicate, recipients, refused, held: false }
}

function keepOptions(options: PublishOptions | undefined): KeepOptions | undefined {
  if (options === undefined || (options.idempotencyKey === undefined && options.delayMs === undefined)) return undefined
  return { key: options.idempotencyKey, delayMs: options.delayMs }
}

/** What the publisher asked to be told besides: how the recipients ended. */
async function follow(
  ack: Ack,
  recipients: number,
  options: PublishOptions | undefined,
  receipt: Receipt,
): Promise<Ack> {
  receipt.arm(ack.duplicate ? 0 : recipients)
  if (options?.until === undefined || options.until === 'accepted') return { ...ack, receipt: receipt.done }
  const deliveries = await receipt.done
  const failed = deliveries.findLast((one) => one.outcome !== 'handled')
  if (options.until === 'succeeded' && failed !== undefined) throw failed.error
  return options.receipt === true ? { ...ack, deliveries, receipt: receipt.done } : { ...ack, deliveries }
}

/** Throws UNSUPPORTED for what only a kept channel can do. */
export function mustBeKept(topic: string, options: PublishOptions | undefined): void {
  const field =
    (options?.delayMs ?? 0) > 0 ? 'delayMs' : options?.idempotencyKey === undefined ? undefined : 'idempotencyKey'
  if (field === undefined) return
  throw new BusError('UNSUPPORTED', `"${field}" needs a kept channel; "${topic}" is live`, {
    details: { field, topic },
  })
}
