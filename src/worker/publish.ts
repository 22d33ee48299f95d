import type { KeepOptions, KeptAck } from '../bus/kept.ts'
import type { Env, Timer } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Appended, Item, MessageLog } from '../log/log.ts'
import type { Envelope } from '../message/message.ts'
import type { Channel } from './channel.ts'
import { writePlace } from './places.ts'
import { Room } from './room.ts'

interface Waiting {
  readonly dueMs: number
  readonly message: Envelope
  readonly reject: (error: BusError) => void
  done: boolean
}

/** Stores what is published, and answers every publisher by a deadline. */
export class PublishDesk {
  readonly #env: Env
  readonly #log: MessageLog
  readonly #timeoutMs: number
  readonly #room: Room
  /** In the order of their deadlines, which are all equally long. */
  #waiting: Waiting[] = []
  #timer: Timer | undefined

  constructor(env: Env, log: MessageLog, timeoutMs: number) {
    this.#env = env
    this.#log = log
    this.#timeoutMs = timeoutMs
    this.#room = new Room(env, log)
  }

  /** Rejects as the log does, with QUEUE_FULL, or with PUBLISH_UNKNOWN when the log does not answer in time. */
  async publish(channel: Channel, message: Envelope, options: KeepOptions): Promise<KeptAck> {
    const { limit } = channel.policy
    if (limit !== Number.POSITIVE_INFINITY) {
      const buried = await this.#room.admit(channel, message)
      if (buried !== undefined) return this.#ackOf(buried)
    }
    const { key, delayMs } = options
    const item: Item =
      key === undefined && delayMs === undefined
        ? { message }
        : { message, ...(key === undefined ? {} : { key }), ...(delayMs === undefined ? {} : { delayMs }) }
    const stream = channel.streamFor(message.priority, message.session)
    return this.#ackOf(await this.#inTime(message, this.#log.append(stream, [item])))
  }

  close(): void {
    this.#timer?.cancel()
  }

  #ackOf([stored]: readonly Appended[]): KeptAck {
    const { id, duplicate } = stored as Appended
    return { id, level: this.#log.level, offset: writePlace(stored as Appended), duplicate }
  }

  #inTime(message: Envelope, stored: Promise<readonly Appended[]>): Promise<readonly Appended[]> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { dueMs: this.#env.monotonicMs() + this.#timeoutMs, message, reject, done: false }
      this.#waiting.push(waiting)
      this.#timer ??= this.#arm(this.#timeoutMs)
      stored.then(
        (appended) => {
          waiting.done = true
          resolve(appended)
        },
        (error: unknown) => {
          waiting.done = true
          reject(error as Error)
        },
      )
    })
  }

  #arm(delayMs: number): Timer {
    return this.#env.after(delayMs, () => {
      this.#timer = undefined
      const nowMs = this.#env.monotonicMs()
      const left = this.#waiting.filter((one) => !one.done)
      for (const { dueMs, message, reject } of left) {
        if (dueMs > nowMs) break
        const { id, topic } = message
        reject(
          new BusError('PUBLISH_UNKNOWN', `the log did not answer for "${topic}" within ${this.#timeoutMs} ms`, {
            details: { id, topic },
          }),
        )
      }
      this.#waiting = left.filter((one) => one.dueMs > nowMs)
      const next = this.#waiting[0]
      if (next !== undefined) this.#timer = this.#arm(Math.max(1, next.dueMs - nowMs))
    })
  }
}
