import type { Clock } from '../kit/clock.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import { copyData, freezeData, met } from '../message/freeze.ts'
import { freezeHeaders } from '../message/headers.ts'
import type { IdMaker, MessageId } from '../message/ids.ts'
import { type Cause, Envelope, pathOf } from '../message/message.ts'
import { announced } from './announce.ts'
import type { Delivery } from './delivery.ts'
import type { EffectiveOptions } from './options.ts'
import type { PayloadMode, PublishOptions } from './publisher.ts'

// Hot path: makes the envelope of every message.

/** From where a verb was called: the root bus, a handler, an agent or a session. */
export interface Origin {
  readonly from: string | undefined
  readonly session: string | undefined
  /** The handling that publishes; what it publishes is its consequence. */
  readonly delivery: Delivery | undefined
  readonly cause: Cause | undefined
  /** For a scope that may end: why it takes nothing more. */
  readonly ended?: () => BusError | undefined
}

/** Makes messages: id, time, frozen data, defaults of the bus, causation from the origin. */
export class Maker {
  readonly #ids: IdMaker
  readonly #clock: Clock
  #loose = false
  #options: EffectiveOptions
  /** Data above this is refused or announced. */
  #noticeBytes = 0
  /** Measured bytes of the data of the message made last; a very large number when it was not measured. */
  bytes = 0

  constructor(ids: IdMaker, clock: Clock, options: EffectiveOptions) {
    this.#ids = ids
    this.#clock = clock
    this.#options = options
    this.options = options
  }

  get options(): EffectiveOptions {
    return this.#options
  }

  set options(options: EffectiveOptions) {
    this.#options = options
    this.#noticeBytes = Math.min(options.maxPayloadBytes, options.warnPayloadBytes)
  }

  /** Throws INVALID_MESSAGE, INVALID_PAYLOAD, PAYLOAD_TOO_LARGE or HOP_LIMIT. Topic and options must have been checked. */
  make(topic: string, data: unknown, options: PublishOptions | undefined, origin: Origin | undefined): Envelope {
    const nowMs = this.#clock.nowMs()
    const wallMs = this.#clock.wallMs(nowMs)
    const own = this.#own(
      topic,
      data,
      options === undefined ? this.options.payload : (options.payload ?? this.options.payload),
    )
    const loose = this.#loose
    const priority = options === undefined ? 'normal' : (options.priority ?? 'normal')
    const id = options?.id === undefined ? this.#ids.next(wallMs) : (options.id as MessageId)
    const message = new Envelope(id, topic, own, priority, wallMs, nowMs)
    if (loose) Envelope.setLoose(message)
    if (options !== undefined) this.#apply(message, options, nowMs)
    else if (this.options.ttlMs !== Number.POSITIVE_INFINITY) Envelope.setDeadline(message, nowMs + this.options.ttlMs)
    if (origin !== undefined) this.#follow(message, origin)
    return message
  }

  /** The data as the message keeps it; leaves `bytes` and `#loose`. */
  #own(topic: string, data: unknown, mode: PayloadMode): unknown {
    if (typeof data !== 'object' || data === null) {
      this.#loose = false
      this.#measure(topic, typeof data === 'string' ? data.length : 8)
      return data
    }
    if (mode === 'freeze') {
      this.#measure(topic, this.#freeze(topic, data))
      this.#loose = met.loose
      if (!met.loose) return data
      met.loose = false
      // The publisher may go on changing what cannot be frozen: the message keeps what it was at publish.
      return copyData(data)
    }
    if (mode === 'share') {
      this.#loose = false
      this.bytes = Number.MAX_SAFE_INTEGER
      return data
    }
    const copy = copyData(data)
    this.#measure(topic, this.#freeze(topic, copy as object))
    met.loose = false
    this.#loose = true
    return copy
  }

  #freeze(topic: string, data: object): number {
    try {
      return freezeData(data, this.#options.maxPayloadBytes)
    } catch (error) {
      met.loose = false
      if (!isBusError(error, 'PAYLOAD_TOO_LARGE')) throw error
      throw new BusError('PAYLOAD_TOO_LARGE', `data for "${topic}": ${error.message}`, {
        details: { ...error.details, topic },
      })
    }
  }

  #measure(topic: string, bytes: number): void {
    this.bytes = bytes
    if (bytes > this.#noticeBytes) this.#large(topic, bytes)
  }

  #large(topic: string, bytes: number): void {
    const { maxPayloadBytes, warnPayloadBytes, name } = this.options
    if (bytes > maxPayloadBytes) {
      throw new BusError(
        'PAYLOAD_TOO_LARGE',
        `data for "${topic}" has about ${bytes} bytes; allowed: ${maxPayloadBytes}`,
        {
          details: { field: 'data', topic, bytes, allowed: maxPayloadBytes },
        },
      )
    }
    const large = announced['message.large']
    if (large.hasSubscribers) large.publish({ bus: name, topic, bytes, warnPayloadBytes })
  }

  #apply(message: Envelope, options: PublishOptions, nowMs: number): void {
    message.session = options.session
    message.from = options.from
    message.to = options.to
    message.correlationId = options.correlationId
    message.replyTo = options.replyTo
    if (options.headers !== undefined) message.headers = freezeHeaders(options.headers)
    const ttlMs = options.ttlMs ?? this.options.ttlMs
    if (ttlMs !== Number.POSITIVE_INFINITY) Envelope.setDeadline(message, nowMs + ttlMs)
  }

  #follow(message: Envelope, origin: Origin): void {
    const ended = origin.ended?.()
    if (ended !== undefined) throw ended
    message.session ??= origin.session
    message.from ??= origin.from
    const { cause } = origin
    if (cause === undefined) return
    Envelope.setCause(message, cause)
    if (message.hops <= this.options.maxHops) return
    const path = pathOf(message)
    const { hops, topic } = message
    const limit = announced['hops.exceeded']
    if (limit.hasSubscribers) limit.publish({ bus: this.options.name, topic, hops, path })
    throw new BusError('HOP_LIMIT', `"${topic}" would be hop ${hops}; allowed: ${this.options.maxHops}`, {
      details: { topic, hops, path, allowed: this.options.maxHops },
    })
  }
}
