import type { Handler } from '../bus/handler.ts'
import type { KeptHost } from '../bus/kept.ts'
import type { MessageLog } from '../log/log.ts'
import { type DeliveryMode, deliveryModeOf, maxRetriesOf } from '../message/delivery-mode.ts'
import type { Message } from '../message/message.ts'
import { idempotent } from '../reliability/dedup.ts'
import { type IdempotencyStore, logIdempotency } from '../reliability/idempotency-store.ts'
import type { RetryPolicy } from '../reliability/retry.ts'
import type { Channel, Policy } from './channel.ts'

const ONE_ATTEMPT: RetryPolicy = { attempts: 1, delayMs: () => undefined }

/** The delivery mode of a message: its own, else that of its channel. */
export function modeOf(policy: Pick<Policy, 'mode'>, message: Message): DeliveryMode {
  return deliveryModeOf(message) ?? policy.mode
}

/** How a message is retried: as it states itself, else as its channel. */
export function retryOf(policy: Pick<Policy, 'mode' | 'retry' | 'retryUpTo'>, message: Message): RetryPolicy {
  if (modeOf(policy, message) === 'at-most-once') return ONE_ATTEMPT
  const retries = maxRetriesOf(message)
  return retries === undefined ? policy.retry : policy.retryUpTo(retries + 1)
}

/** Lets the effects of messages that are to be handled exactly once happen once, for each group. */
export class ExactlyOnce {
  readonly #host: KeptHost
  readonly #log: MessageLog
  readonly #windowMs: number
  readonly #channelOf: (topic: string) => Channel | undefined
  /** By channel: what its groups have handled. */
  readonly #stores = new Map<string, IdempotencyStore>()

  constructor(host: KeptHost, log: MessageLog, windowMs: number, channelOf: (topic: string) => Channel | undefined) {
    this.#host = host
    this.#log = log
    this.#windowMs = windowMs
    this.#channelOf = channelOf
  }

  /** What is put around the handlers of a group: members share it. */
  of(group: string): (next: Handler) => Handler {
    const scopes = new Map<string, (next: Handler) => Handler>()
    return (next) => {
      const wrapped = new Map<string, Handler>()
      return (message, context) => {
        const channel = this.#channelOf(message.topic)
        if (channel === undefined || modeOf(channel.policy, message) !== 'exactly-once') return next(message, context)
        const { name } = channel
        let scope = scopes.get(name)
        if (scope === undefined) scopes.set(name, (scope = this.#middleware(group, name)))
        let handler = wrapped.get(name)
        if (handler === undefined) wrapped.set(name, (handler = scope(next)))
        return handler(message, context)
      }
    }
  }

  #middleware(group: string, channel: string): (next: Handler) => Handler {
    const { env } = this.#host
    let store = this.#stores.get(channel)
    if (store === undefined) {
      store = logIdempotency(this.#log, channel, { windowMs: this.#windowMs, env })
      this.#stores.set(channel, store)
    }
    return idempotent({
      scope: group,
      store,
      env,
      windowMs: this.#windowMs,
      onStoreError: (error) => this.#host.announce('log.failed', { group, channel, error }),
    })
  }
}
