import type { Ack } from '../bus/ack.ts'
import type { KeepOptions, KeptAck } from '../bus/kept.ts'
import type { Env, Timer } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { Ring } from '../kit/ring.ts'
import type { AckLevel, Appended, Item, MessageLog } from '../log/log.ts'
import type { Envelope } from '../message/message.ts'
import type { Channel } from './channel.ts'
import { writePlace } from './places.ts'
import { writeStory } from './record.ts'
import { Room, type RoomHost } from './room.ts'

/** A publisher who waits for the log. */
class Waiting {
  readonly dueMs: number
  message: Envelope | undefined
  readonly #answer: (stored: KeptAck) => Ack
  readonly #level: AckLevel
  #resolve: ((ack: Ack) => void) | undefined
  #reject: ((error: unknown) => void) | undefined

  constructor(dueMs: number, message: Envelope, level: AckLevel, answer: (stored: KeptAck) => Ack) {
    this.dueMs = dueMs
    this.message = message
    this.#level = level
    this.#answer = answer
  }

  get done(): boolean {
    return this.message === undefined
  }

  promise(): Promise<Ack> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  stored(appended: readonly Appended[]): void {
    if (this.done) return
    this.message = undefined
    try {
      this.#resolve?.(this.#answer(ackOf(appended, this.#level)))
    } catch (error) {
      this.#reject?.(error)
    }
  }

  fail(error: unknown): void {
    if (this.done) return
    this.message = undefined
    this.#reject?.(error)
  }
}

/** Stores what is published, and answers every publisher by a deadline. */
export class PublishDesk {
  readonly #env: Env
  readonly #log: MessageLog
  readonly #timeoutMs: number
  readonly #room: Room
  /** In the order of their deadlines, which are all equally long; answered ones go as soon as they come to the front. */
  readonly #waiting = new Ring<Waiting>()
  #timer: Timer | undefined

  constructor(host: RoomHost, timeoutMs: number) {
    this.#env = host.env
    this.#log = host.log
    this.#timeoutMs = timeoutMs
    this.#room = new Room(host)
  }

  /**
   * Resolves with what `answer` makes of the stored message. `tell`: the process that is told by others how it ended. Rejects as the log does, with QUEUE_FULL, or with PUBLISH_UNKNOWN when
   * the log does not answer in time.
   */
  publish(
    channel: Channel,
    message: Envelope,
    options: KeepOptions | undefined,
    answer: (stored: KeptAck) => Ack,
    tell?: string,
  ): Promise<Ack> {
    if (channel.policy.limit !== Number.POSITIVE_INFINITY)
      return this.#publishLimited(channel, message, options, answer, tell)
    return this.#store(channel, message, options, answer, tell)
  }

  close(): void {
    this.#timer?.cancel()
  }

  async #publishLimited(
    channel: Channel,
    message: Envelope,
    options: KeepOptions | undefined,
    answer: (stored: KeptAck) => Ack,
    tell?: string,
  ): Promise<Ack> {
    const buried = await this.#room.admit(channel, message)
    if (buried === undefined) return this.#store(channel, message, options, answer, tell)
    const ack = answer(ackOf(buried.stored, this.#log.level))
    return { ...ack, refused: [...ack.refused, { name: channel.name, error: buried.error }] }
  }

  #store(
    channel: Channel,
    message: Envelope,
    options: KeepOptions | undefined,
    answer: (stored: KeptAck) => Ack,
    tell?: string,
  ): Promise<Ack> {
    const waiting = new Waiting(this.#env.monotonicMs() + this.#timeoutMs, message, this.#log.level, answer)
    const promise = waiting.promise()
    this.#waiting.push(waiting)
    this.#timer ??= this.#arm(this.#timeoutMs)
    const stream = channel.streamFor(message.priority, message.session)
    this.#log.append(stream, [itemOf(message, options, tell)]).then(
      (appended) => {
        waiting.stored(appended)
        this.#tidy()
      },
      (error: unknown) => {
        waiting.fail(error)
        this.#tidy()
      },
    )
    return promise
  }

  #tidy(): void {
    while (this.#waiting.peek()?.done) this.#waiting.shift()
  }

  #arm(delayMs: number): Timer {
    return this.#env.after(delayMs, () => {
      this.#timer = undefined
      this.#tidy()
      const nowMs = this.#env.monotonicMs()
      for (const one of this.#waiting) {
        if (one.dueMs > nowMs) break
        if (one.message === undefined) continue
        const { id, topic } = one.message
        const text = `the log did not answer for "${topic}" within ${this.#timeoutMs} ms`
        one.fail(new BusError('PUBLISH_UNKNOWN', text, { details: { id, topic } }))
      }
      this.#tidy()
      const next = this.#waiting.peek()
      if (next !== undefined) this.#timer = this.#arm(Math.max(1, next.dueMs - nowMs))
    })
  }
}

function itemOf(message: Envelope, options: KeepOptions | undefined, tell: string | undefined): Item {
  if (options === undefined && tell === undefined) return { message }
  const { key, delayMs } = options ?? {}
  return {
    message,
    ...(key === undefined ? {} : { key }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(tell === undefined ? {} : { note: writeStory({ attempts: [], tell }) }),
  }
}

function ackOf([stored]: readonly Appended[], level: AckLevel): KeptAck {
  const { id, duplicate } = stored as Appended
  return { id, level, offset: writePlace(stored as Appended), duplicate }
}
