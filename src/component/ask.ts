import type { Chunk, Publisher, RequestOptions, RequestStreamOptions } from '../bus/publisher.ts'
import { aText, checkOption, milliseconds } from '../kit/check.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import { agentTopic } from '../message/address.ts'
import { STREAM_HEADER } from './envelope.ts'
import { nearest } from './nearest.ts'

const REQUEST_MS = 5_000

/** A request in steps. Nothing is sent before {@link MessageBuilder.sendAndWait}. */
export interface MessageBuilder {
  to(target: string): MessageBuilder
  withData(data: unknown): MessageBuilder
  /** Seconds. Default 5. */
  timeout(seconds: number): MessageBuilder
  session(id: string): MessageBuilder
  /** Sends, and resolves to the answer. Rejects with INVALID_MESSAGE without a target, else as a request. */
  sendAndWait(): Promise<unknown>
}

/** Requests to one component. */
export interface RequestContext extends Disposable {
  /** Asks, and resolves to the answer; rejects with CANCELLED when the context ends first. */
  send(data: unknown): Promise<unknown>
}

/** Where requests of every form are counted. */
export interface AskCounts {
  requests: number
  requestFailures: number
}

/** The questions of one component. */
export class Asker {
  readonly #bus: Publisher
  readonly #names: () => Iterable<string>
  readonly #counts: AskCounts

  /** `names` are those of all components, for a wrong one. */
  constructor(bus: Publisher, names: () => Iterable<string>, counts: AskCounts) {
    this.#bus = bus
    this.#names = names
    this.#counts = counts
  }

  async request(target: string, data: unknown, options: RequestOptions = {}): Promise<unknown> {
    checkOption('request', 'target', target, aText)
    this.#counts.requests++
    try {
      const topic = agentTopic(target)
      return (await this.#bus.request(topic, data, { ...options, timeoutMs: options.timeoutMs ?? REQUEST_MS })).data
    } catch (error) {
      this.#counts.requestFailures++
      throw this.#asFault(target, error)
    }
  }

  async requestMultiple(
    requests: readonly (readonly [target: string, data: unknown])[],
    options?: RequestOptions,
  ): Promise<readonly unknown[]> {
    checkOption('requestMultiple', 'requests', requests, {
      allowed: 'a list of [target, data]',
      ok: (value) => Array.isArray(value) && value.every((one) => Array.isArray(one) && one.length > 0),
    })
    return Promise.all(requests.map(([target, data]) => this.request(target, data, options)))
  }

  async *requestStream(
    target: string,
    data: unknown,
    options: RequestStreamOptions = {},
  ): AsyncGenerator<Chunk, void, undefined> {
    checkOption('requestStream', 'target', target, aText)
    this.#counts.requests++
    const headers = { ...options.headers, [STREAM_HEADER]: '1' }
    for await (const chunk of this.#bus.requestStream(agentTopic(target), data, { ...options, headers }).chunks()) {
      const { error } = chunk.metadata
      if (error !== undefined) this.#counts.requestFailures++
      yield error === undefined
        ? chunk
        : { ...chunk, metadata: { ...chunk.metadata, error: this.#asFault(target, error) } }
    }
  }

  message(): MessageBuilder {
    return builder(this, {})
  }

  requestContext(target: string, options: RequestOptions = {}): RequestContext {
    checkOption('requestContext', 'target', target, aText)
    const ended = new AbortController()
    const signal = options.signal === undefined ? ended.signal : AbortSignal.any([ended.signal, options.signal])
    return {
      send: (data) => this.request(target, data, { ...options, signal }),
      [Symbol.dispose]: () => ended.abort(new BusError('CANCELLED', `the requests to "${target}" have ended`)),
    }
  }

  /** Nobody listening means that there is no such component. */
  #asFault(target: string, error: unknown): unknown {
    if (!isBusError(error, 'NO_RESPONDERS')) return error
    const known = [...this.#names()]
    const near = nearest(target, known)
    const hint = near === undefined ? '' : `; did you mean "${near}"?`
    return new BusError('UNKNOWN_AGENT', `there is no component "${target}"${hint}`, {
      cause: error,
      details: { wanted: target, nearest: near, known: known.slice(0, 20) },
    })
  }
}

interface Parts {
  readonly target?: string
  readonly data?: unknown
  readonly timeoutMs?: number
  readonly session?: string
}

function builder(asker: Asker, parts: Parts): MessageBuilder {
  return Object.freeze({
    to: (target: string) => builder(asker, { ...parts, target }),
    withData: (data: unknown) => builder(asker, { ...parts, data }),
    timeout(seconds: number) {
      checkOption('timeout', 'seconds', seconds * 1_000, milliseconds(1))
      return builder(asker, { ...parts, timeoutMs: seconds * 1_000 })
    },
    session: (session: string) => builder(asker, { ...parts, session }),
    async sendAndWait() {
      const { target, data, timeoutMs, session } = parts
      if (target === undefined) {
        throw new BusError('INVALID_MESSAGE', 'sendAndWait: there is no target; name one with `to(name)`', {
          details: { field: 'to', allowed: 'the name of a component' },
        })
      }
      return asker.request(target, data, {
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(session === undefined ? {} : { session }),
      })
    },
  })
}
