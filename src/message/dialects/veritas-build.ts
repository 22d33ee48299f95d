import { agentTopic, BROADCAST_TOPIC } from '../address.ts'
import { createReply, type MakeOptions, type MessageMaker, messageMaker } from '../make.ts'
import type { Message } from '../message.ts'
import type { VeritasType } from './veritas.ts'

const TTL_MS = 300_000

/** What may be said of a built message besides what its kind fixes. */
export type BuildOptions = Pick<MakeOptions, 'priority' | 'ttlMs' | 'correlationId' | 'session' | 'headers'>

/** Builders for the kinds of messages of Veritas; each lives 300 s unless said otherwise. All throw INVALID_MESSAGE or INVALID_TOPIC. */
export interface VeritasBuilder {
  /** To one agent, normal level. */
  request<T extends object>(from: string, to: string, payload: T, options?: BuildOptions): Message<T>
  /** The answer: level, correlation and headers of the request, addressed to its sender, caused by it. */
  response<T extends object>(request: Message, from: string, payload: T): Message<T>
  /** To the subscribers of a topic; the data is `{topic, data}`. */
  event<T>(from: string, topic: string, data: T, options?: BuildOptions): Message<{ topic: string; data: T }>
  /** To every agent, high level. */
  broadcast<T extends object>(from: string, payload: T, options?: BuildOptions): Message<T>
  /** Context for one agent; the data is `{context_type, context_data}`. */
  contextShare<T>(
    from: string,
    to: string,
    data: T,
    type?: string,
    options?: BuildOptions,
  ): Message<{ context_type: string; context_data: T }>
}

/** Makes a builder. */
export function veritasBuilder(maker: MessageMaker = messageMaker()): VeritasBuilder {
  const build = <T>(
    type: VeritasType,
    topic: string,
    data: T,
    fixed: MakeOptions,
    options: BuildOptions = {},
  ): Message<T> =>
    maker.make(topic, data, { ttlMs: TTL_MS, ...fixed, ...options, headers: { ...options.headers, type } })
  return {
    request: (from, to, payload, options) => build('request', agentTopic(to), payload, { from, to }, options),
    response: (request, from, payload) => createReply(request, payload, from, maker, { type: 'response' }),
    event: (from, topic, data, options) => build('event', topic, { topic, data }, { from }, options),
    broadcast: (from, payload, options) =>
      build('broadcast', BROADCAST_TOPIC, payload, { from, priority: 'high' }, options),
    contextShare(from, to, context_data, context_type = 'rag_context', options) {
      return build('context_share', agentTopic(to), { context_type, context_data }, { from, to }, options)
    },
  }
}
