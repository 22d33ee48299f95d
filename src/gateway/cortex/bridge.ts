import type { Bus } from '../../bus/bus.ts'
import type { PublishOptions } from '../../bus/publisher.ts'
import { aFunction, anObject, aText, checkOptions, milliseconds, type Rule, texts, whole } from '../../kit/check.ts'
import { type Env, systemEnv } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import { agentTopic } from '../../message/address.ts'
import type { Message } from '../../message/message.ts'
import { TwoGenerations } from '../../reliability/two-generations.ts'
import type { CortexEvent } from './consume.ts'
import type { CortexStreams } from './streams.ts'

/** What {@link cortexBridge} carries. */
export interface CortexBridgeOptions {
  /** Keys of streams whose entries become messages on the bus. Default: the global events and the heartbeats. */
  readonly in?: readonly string[]
  /** Patterns of topics whose messages become entries. Default: none. */
  readonly out?: readonly string[]
  /**
   * The group that reads for the bus. Default: the swarm's name, a group of its own, which gets every entry. With a group that agents of
   * Cortex share, bus and agents compete for the entries; then nothing may go out.
   */
  readonly group?: string
  /** The name of this process in the group. Default: the group's. */
  readonly consumer?: string
  /** Where a group begins that does not exist yet. Default `new`. */
  readonly from?: 'first' | 'new'
  /** The topic on the bus for a message that came in; undefined leaves it out. Default: the message's own. */
  readonly topicOf?: (message: Message, stream: string) => string | undefined
  /** The keys of the streams for a message that goes out; an empty list leaves it out. Default: as {@link CortexStreams.write}. */
  readonly streamsOf?: (message: Message) => readonly string[] | undefined
  /** Messages under way into the bus at a time. Default 16. */
  readonly concurrency?: number
  /** Milliseconds in which an id goes into the bus once, also where its topic is not kept. Default 600 000. */
  readonly duplicateWindowMs?: number
  readonly onEvent?: (event: CortexEvent) => void
  readonly env?: Env
}

/** A running bridge. Disposal ends both ways; what is under way is finished. */
export interface CortexBridge extends AsyncDisposable {
  readonly stats: { readonly in: number; readonly out: number; readonly own: number; readonly repeated: number }
}

/** The header of messages that came in by a bridge: they do not go out again. */
export const BRIDGED_HEADER = 'bridged'

/** Ids that are known beside those in the log of a kept channel. */
const MOST_IDS = 100_000

const RULES: Readonly<Record<keyof CortexBridgeOptions, Rule>> = {
  in: texts,
  out: texts,
  group: aText,
  consumer: aText,
  from: { allowed: '"first" or "new"', ok: (value) => value === 'first' || value === 'new' },
  topicOf: aFunction,
  streamsOf: aFunction,
  concurrency: whole(1, 1_000),
  duplicateWindowMs: milliseconds(1),
  onEvent: aFunction,
  env: anObject,
}

/**
 * Joins a bus and a Cortex: entries become messages, and messages become entries, with their ids, and nothing goes round. An entry is
 * acknowledged once the bus has its message; a message on a kept topic is settled once its entry is stored. Throws INVALID_OPTION.
 */
export function cortexBridge(bus: Bus, cortex: CortexStreams, options: CortexBridgeOptions = {}): CortexBridge {
  checkOptions('cortexBridge', options, RULES)
  const { name, names } = cortex
  const { out = [], env = systemEnv(), duplicateWindowMs = 600_000 } = options
  const { group = name, in: streams = [names.events(), names.heartbeats], onEvent } = options
  if (out.length > 0 && Object.values(names.groups).includes(group)) {
    throw new BusError(
      'INVALID_OPTION',
      `cortexBridge: "group" is "${group}", which agents of Cortex share; with "out" the bridge would take from them what it wrote for them`,
      { details: { owner: 'cortexBridge', field: 'group', value: group } },
    )
  }
  const known = new TwoGenerations<true>(duplicateWindowMs, MOST_IDS, env.monotonicMs())
  const underWay = new Map<string, Promise<void>>()
  const stats = { in: 0, out: 0, own: 0, repeated: 0 }

  async function takeIn(message: Message, stream: string): Promise<void> {
    const topic = (options.topicOf ?? (({ topic }) => topic))(message, stream)
    if (topic === undefined) return
    // Two entries with one id may be under way at once: the second one shares the fate of the first.
    const first = underWay.get(message.id)
    if (first !== undefined || known.has(message.id, env.monotonicMs())) {
      await first
      stats.repeated++
      return
    }
    const going = publish(message, topic)
    underWay.set(message.id, going)
    try {
      await going
    } finally {
      underWay.delete(message.id)
    }
    known.set(message.id, true, env.monotonicMs())
    stats.in++
  }

  async function publish(message: Message, topic: string): Promise<void> {
    const fields = publishOptions(message, name, env)
    await (message.to !== undefined && topic === agentTopic(message.to)
      ? bus.send(message.to, message.data, fields)
      : bus.publish(topic, message.data, fields))
  }

  async function goOut(message: Message): Promise<void> {
    if (message.headers[BRIDGED_HEADER] === name) return
    const keys = options.streamsOf?.(message)
    if (keys?.length === 0) return
    await cortex.write(message, keys === undefined ? {} : { streams: keys })
    stats.out++
  }

  // Both ways only once everything has been checked: a fault leaves nothing running.
  const subscriptions = out.map((pattern) => bus.subscribe(pattern, goOut, { group: `bridge-${name}` }))
  const { consumer = group, from = 'new', concurrency = 16 } = options
  const reader =
    streams.length === 0
      ? undefined
      : cortex.consume(
          {
            ...{ group, consumer, streams, from, concurrency },
            // A bus that is stopped or full takes it later.
            ...{ retryMs: [50, 200, 1_000, 5_000], attempts: Number.POSITIVE_INFINITY },
            ...(onEvent === undefined ? {} : { onEvent }),
          },
          async (message, { by, stream }) => {
            if (by !== name) return takeIn(message, stream)
            stats.own++
          },
        )

  return Object.freeze({
    get stats() {
      return Object.freeze({ ...stats })
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(subscriptions.map((subscription) => subscription.drain()))
      await reader?.[Symbol.asyncDispose]()
    },
  })
}

function publishOptions(message: Message, name: string, env: Env): PublishOptions {
  const { id, priority, from, session, expiresAt, correlationId, replyTo, headers, to } = message
  return {
    id,
    priority,
    headers: { ...headers, [BRIDGED_HEADER]: name },
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(session === undefined ? {} : { session }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(expiresAt === undefined ? {} : { ttlMs: Math.max(1, expiresAt - env.wallMs()) }),
  }
}
