import type { Ack } from '../bus/ack.ts'
import type { Bus } from '../bus/bus.ts'
import type {
  BroadcastOptions,
  Capable,
  Publisher,
  PublishOptions,
  ReplyStream,
  RequestManyOptions,
  RequestOptions,
  RequestStreamOptions,
  SendOptions,
  TopicOf,
} from '../bus/publisher.ts'
import type { Message } from '../message/message.ts'
import { type Frame, frameOf, verbsAt } from './frame.ts'

/** The verbs of one component: its name as the sender, session and cause from the message in hand wherever they are called. */
export class ScopedBus implements Publisher {
  readonly #bus: Bus
  readonly #name: string

  constructor(bus: Bus, name: string) {
    this.#bus = bus
    this.#name = name
  }

  publish<T>(topic: TopicOf<T>, data: T, options?: PublishOptions): Promise<Ack> {
    const frame = frameOf(this.#bus)
    return verbsAt(this.#bus, frame).publish(topic, data, this.#own(options, frame))
  }

  send(agent: string | readonly string[], data: unknown, options?: SendOptions): Promise<Ack> {
    const frame = frameOf(this.#bus)
    return verbsAt(this.#bus, frame).send(agent, data, this.#own(options, frame))
  }

  broadcast(data: unknown, options?: BroadcastOptions): Promise<Ack> {
    const frame = frameOf(this.#bus)
    return verbsAt(this.#bus, frame).broadcast(data, this.#own(options, frame))
  }

  request<R = unknown, T = unknown>(
    topic: TopicOf<T> | Capable,
    data: T,
    options?: RequestOptions,
  ): Promise<Message<R>> {
    const frame = frameOf(this.#bus)
    return verbsAt(this.#bus, frame).request<R, T>(topic, data, this.#own(options, frame))
  }

  requestAll<R = unknown>(
    requests: readonly (readonly [topic: string, data: unknown])[],
    options?: RequestOptions,
  ): Promise<Message<R>[]> {
    const frame = frameOf(this.#bus)
    return verbsAt(this.#bus, frame).requestAll<R>(requests, this.#own(options, frame))
  }

  requestMany<R = unknown, T = unknown>(
    topic: TopicOf<T>,
    data: T,
    options?: RequestManyOptions,
  ): AsyncIterableIterator<Message<R>> {
    const frame = frameOf(this.#bus)
    return verbsAt(this.#bus, frame).requestMany<R, T>(topic, data, this.#own(options, frame))
  }

  requestStream<R = unknown, T = unknown>(
    topic: TopicOf<T> | Capable,
    data: T,
    options?: RequestStreamOptions,
  ): ReplyStream<R> {
    const frame = frameOf(this.#bus)
    return verbsAt(this.#bus, frame).requestStream<R, T>(topic, data, this.#own(options, frame))
  }

  #own<O extends PublishOptions>(options: O | undefined, frame: Frame | undefined): O {
    const session = options?.session ?? frame?.session
    return (session === undefined ? { ...options, from: this.#name } : { ...options, from: this.#name, session }) as O
  }
}
