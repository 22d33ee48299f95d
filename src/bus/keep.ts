import { BusError } from '../kit/errors.ts'
import type { Envelope } from '../message/message.ts'
import type { Ack, Refusal } from './ack.ts'
import type { AgentRecord } from './agents.ts'
import type { Core } from './core.ts'
import { type Distributor, NOBODY_REFUSED } from './distribute.ts'
import type { KeptAck, KeptChannel } from './kept.ts'
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
  async publish(
    kept: KeptChannel,
    route: Route,
    message: Envelope,
    options: PublishOptions | undefined,
    receipt: Receipt | undefined,
  ): Promise<Ack> {
    if (route.agent !== undefined) message.to ??= route.agent
    const groups = receipt === undefined ? 0 : kept.expect(message, receipt)
    try {
      const stored = await kept.append(message, { key: options?.idempotencyKey, delayMs: options?.delayMs })
      return await this.#acknowledge(message, route, stored, groups, options, receipt)
    } catch (error) {
      if (receipt !== undefined) kept.forget(message)
      receipt?.arm(0)
      throw error
    }
  }

  /** One message to the inboxes of several agents. Rejects if one of them could not be kept; the others may be. */
  async send(
    records: readonly AgentRecord[],
    route: Route,
    message: Envelope,
    options: PublishOptions | undefined,
    receipt: Receipt | undefined,
  ): Promise<Ack> {
    const channels = records.map((record) => this.#core.keeper?.channel(record.topic) as KeptChannel)
    let groups = 0
    if (receipt !== undefined) for (const channel of channels) groups += channel.expect(message, receipt)
    const how = { key: options?.idempotencyKey, delayMs: options?.delayMs }
    const stored = await Promise.all(channels.map((channel) => channel.append(message, how)))
    const first = stored.find((one) => !one.duplicate) ?? (stored[0] as KeptAck)
    const base = await this.#acknowledge(message, route, first, groups, options, receipt)
    const held = records.some((record) => record.registeredAt === undefined)
    return {
      ...base,
      held,
      accepted: records.map((record) => record.name),
      recipients: base.recipients + records.length,
    }
  }

  async #acknowledge(
    message: Envelope,
    route: Route,
    stored: KeptAck,
    groups: number,
    options: PublishOptions | undefined,
    receipt: Receipt | undefined,
  ): Promise<Ack> {
    const { id, level, offset, duplicate } = stored
    const { topic } = message
    const delayMs = options?.delayMs ?? 0
    let accepted = 0
    let refused: readonly Refusal[] = NOBODY_REFUSED
    if (!duplicate) {
      this.#spread.begin(route, message, receipt)
      if (delayMs > 0) this.#core.env.after(delayMs, () => this.#tellListeners(message, undefined))
      else ({ accepted, refused } = this.#tellListeners(message, receipt))
    }
    const base: Ack = { id, topic, level, offset, duplicate, recipients: accepted, refused, held: false }
    if (receipt === undefined) return base
    receipt.arm(duplicate ? 0 : accepted + groups)
    if (options?.until === undefined || options.until === 'accepted') return { ...base, receipt: receipt.done }
    const deliveries = await receipt.done
    const failed = deliveries.findLast((one) => one.outcome !== 'handled')
    if (options.until === 'succeeded' && failed !== undefined) throw failed.error
    return options.receipt === true ? { ...base, deliveries, receipt: receipt.done } : { ...base, deliveries }
  }

  /** Whoever listens without reading the log. The message is kept: that one of them has no room refuses only him. */
  #tellListeners(message: Envelope, receipt: Receipt | undefined): { accepted: number; refused: readonly Refusal[] } {
    const { router, state } = this.#core
    if (state === 'stopped' || state === 'closed') return { accepted: 0, refused: NOBODY_REFUSED }
    const queues = router.listeners(router.route(message.topic), message).map((entry) => entry.queue)
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

/** Throws UNSUPPORTED for what only a kept channel can do. */
export function mustBeKept(topic: string, options: PublishOptions | undefined): void {
  const field =
    (options?.delayMs ?? 0) > 0 ? 'delayMs' : options?.idempotencyKey === undefined ? undefined : 'idempotencyKey'
  if (field === undefined) return
  throw new BusError('UNSUPPORTED', `"${field}" needs a kept channel; "${topic}" is live`, {
    details: { field, topic },
  })
}
