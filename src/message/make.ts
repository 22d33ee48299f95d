import { type Env, systemEnv } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import { agentTopic } from './address.ts'
import { copyData } from './freeze.ts'
import type { Headers } from './headers.ts'
import { IdMaker } from './ids.ts'
import { type Cause, Envelope, type Message } from './message.ts'
import type { Priority } from './priority.ts'
import { restoreMessage } from './restore.ts'

/** What may be said of a message besides topic and data. */
export interface MakeOptions {
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly session?: string | undefined
  /** Default `normal`. */
  readonly priority?: Priority | undefined
  /** Milliseconds after which it is not handled any more. Default: never. */
  readonly ttlMs?: number | undefined
  readonly correlationId?: string | undefined
  readonly replyTo?: string | undefined
  readonly headers?: Headers | undefined
}

/** Makes messages without a bus, for those who write or read them at an edge. */
export interface MessageMaker {
  /** A message with a copy of the data. Throws INVALID_MESSAGE naming the field, or INVALID_PAYLOAD. */
  make<T>(topic: string, data: T, options?: MakeOptions): Message<T>
}

/** A maker of messages; ids ascend in one maker and are unique among all. */
export function messageMaker(env: Env = systemEnv()): MessageMaker {
  const ids = new IdMaker(env)
  return {
    make<T>(topic: string, data: T, options: MakeOptions = {}): Message<T> {
      const { ttlMs, ...fields } = options
      const time = Math.floor(env.wallMs())
      const own = copyData(data)
      const expiresAt = ttlMs === undefined ? undefined : Math.ceil(time + ttlMs)
      try {
        return restoreMessage({ ...fields, id: ids.next(time), topic, data: own, time, expiresAt }, env) as Message<T>
      } catch (error) {
        if (!(error instanceof BusError)) throw error
        throw new BusError('INVALID_MESSAGE', error.message, { cause: error, details: error.details })
      }
    },
  }
}

/**
 * The answer to a request, without a bus: to its sender, on its reply topic or else the sender's inbox; same level, session and
 * correlation, a copy of its headers with those of `headers` on top; `causationId` is the request's id. Throws INVALID_MESSAGE when the request names neither a
 * reply topic nor a sender.
 */
export function createReply<T>(
  request: Message,
  data: T,
  from?: string,
  maker: MessageMaker = messageMaker(),
  headers: Headers = {},
): Message<T> {
  const topic = request.replyTo ?? (request.from === undefined ? undefined : agentTopic(request.from))
  if (topic === undefined) {
    throw new BusError(
      'INVALID_MESSAGE',
      `"${request.topic}" has neither "replyTo" nor "from": nobody can be answered`,
      {
        details: { field: 'replyTo', id: request.id },
      },
    )
  }
  const { priority, session } = request
  const reply = maker.make(topic, data, {
    from,
    to: request.from,
    session,
    priority,
    headers: { ...request.headers, ...headers },
  })
  if (reply instanceof Envelope) Envelope.setCause(reply, causeOf(request))
  return reply
}

function causeOf(request: Message): Cause {
  const { id, topic, rootId, hops } = request
  const previous = request instanceof Envelope ? Envelope.causeOf(request) : undefined
  return { id, topic, rootId, hops, correlationId: request.correlationId ?? id, previous }
}
