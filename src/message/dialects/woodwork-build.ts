import { agentTopic } from '../address.ts'
import { DELIVERY_MODE_HEADER, type DeliveryMode, MAX_RETRIES_HEADER } from '../delivery-mode.ts'
import { type MakeOptions, type MessageMaker, messageMaker } from '../make.ts'
import type { Message } from '../message.ts'
import { WOODWORK_TTL_S } from './woodwork.ts'

/** What may be said of a built message besides what its kind fixes. */
export interface WoodworkBuildOptions extends Pick<MakeOptions, 'priority' | 'correlationId' | 'headers'> {
  /** The sending component. */
  readonly from?: string
  /** Seconds that it lives; null for ever. Default 300. */
  readonly ttlSeconds?: number | null
  /** Default: as the channel retries. */
  readonly maxRetries?: number
}

/** Builders for the kinds of messages of Woodwork. Both throw INVALID_MESSAGE and INVALID_TOPIC; session and event are required. */
export interface WoodworkBuilder {
  /** To one component, at least once; written with an id `msg-…`. */
  componentMessage<T extends object>(
    session: string,
    event: string,
    to: string,
    payload: T,
    options?: WoodworkBuildOptions,
  ): Message<T>
  /** To whoever listens to the event, at most once; written with an id `hook-…`. */
  hookMessage<T extends object>(
    session: string,
    event: string,
    payload: T,
    options?: Omit<WoodworkBuildOptions, 'maxRetries'>,
  ): Message<T>
}

/** Makes a builder. */
export function woodworkBuilder(maker: MessageMaker = messageMaker()): WoodworkBuilder {
  const build = <T>(
    mode: DeliveryMode,
    event: string,
    topic: string,
    data: T,
    fixed: MakeOptions,
    { ttlSeconds = WOODWORK_TTL_S, maxRetries, headers, ...rest }: WoodworkBuildOptions = {},
  ): Message<T> =>
    maker.make(topic, data, {
      ...rest,
      ...fixed,
      ttlMs: ttlSeconds === null ? undefined : ttlSeconds * 1_000,
      headers: {
        ...headers,
        type: event,
        [DELIVERY_MODE_HEADER]: mode,
        ...(maxRetries === undefined ? {} : { [MAX_RETRIES_HEADER]: String(maxRetries) }),
      },
    })
  return {
    componentMessage: (session, event, to, payload, options) =>
      build('at-least-once', event, agentTopic(to), payload, { session, to }, options),
    hookMessage: (session, event, payload, options) =>
      build('at-most-once', event, event, payload, { session }, options),
  }
}
