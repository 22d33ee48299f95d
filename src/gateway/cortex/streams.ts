import type { RedisLink } from '../../broker/redis/link.ts'
import {
  aFlag,
  aFunction,
  anObject,
  aText,
  checkOption,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  texts,
  whole,
  wholeOrInfinity,
} from '../../kit/check.ts'
import { type Env, systemEnv } from '../../kit/env.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'
import { PRIORITIES } from '../../message/priority.ts'
import {
  type ConsumeParts,
  type CortexConsumer,
  type CortexEvent,
  type CortexHandler,
  startConsumer,
} from './consume.ts'
import { type CortexPlace, cortexLayout } from './layout.ts'
import { type CortexNameOptions, type CortexNames, cortexNames, streamOf } from './names.ts'
import { type CortexEntry, type CortexReadOptions, readStreams } from './read.ts'
import { ADD, listOf, pairsOf } from './scripts.ts'

/** How {@link cortexStreams} works. */
export interface CortexOptions {
  /** What the streams are called. */
  readonly names?: CortexNameOptions
  /** The name of this swarm, which its entries bear; default `swarmbus`. */
  readonly name?: string
  /** Milliseconds in which an id is written once to a stream. Default 600 000; 0: as often as it is written. */
  readonly duplicateWindowMs?: number
  readonly env?: Env
}

/** Where {@link CortexStreams.write} puts a message. */
export interface CortexWriteOptions {
  /** Keys of streams instead of the one that the message's topic, receiver and level say; the first one's entry is answered. */
  readonly streams?: readonly string[]
}

/** How {@link CortexStreams.consume} works. */
export interface CortexConsumeOptions {
  readonly group: string
  /** The name of this member. After a restart under the same name it first gets what it had not acknowledged. */
  readonly consumer: string
  /** Keys of streams, the most urgent first. Default: those of the five levels. */
  readonly streams?: readonly string[]
  /** Handles only messages to this agent and to nobody; those to others are moved to their own streams. Default: handles all. */
  readonly agent?: string
  /** Where a group begins that does not exist yet. Default `first`, as Cortex does. */
  readonly from?: 'first' | 'new'
  /** Handlers at a time. Default 1. */
  readonly concurrency?: number
  /** After so long without a sign of life an entry goes to another member; it is renewed while its handler runs. Default 30 000. */
  readonly visibilityMs?: number
  /** Waits between attempts; the last one is repeated. Default 5 000 and 15 000. */
  readonly retryMs?: readonly number[]
  /** Attempts before a dead letter. Default: one more than there are waits, so 3; `Infinity` for no end. */
  readonly attempts?: number
  /** Older messages are not handled, but become dead letters (`stale`). Default: only their own ttl counts. */
  readonly maxAgeMs?: number
  readonly onEvent?: (event: CortexEvent) => void
}

/** The streams of an existing Cortex. */
export interface CortexStreams {
  /** Of this swarm. */
  readonly name: string
  readonly names: CortexNames
  /**
   * Adds the message, laid out as Cortex reads it. Resolves when Redis has stored it; the same id is stored once within the window.
   * Rejects with BROKER_UNREACHABLE or STORE_FULL when it surely was not, with PUBLISH_UNKNOWN when that is not known.
   */
  write(message: Message, options?: CortexWriteOptions): Promise<CortexPlace & { readonly isNew: boolean }>
  /** Entries in order, without a group: events for everybody, and history. Throws DATA_LOSS when a followed stream lost its end. */
  read(options: CortexReadOptions): AsyncIterable<CortexEntry>
  /** Handles entries as a member of a group: each is acknowledged after its handler, and comes again when that fails. */
  consume(options: CortexConsumeOptions, handler: CortexHandler): CortexConsumer
}

const RULES = { names: anObject, name: aText, duplicateWindowMs: whole(0), env: anObject }
const someStreams: Rule = {
  allowed: 'a list of at least one key',
  ok: (value) => texts.ok(value) && (value as readonly string[]).length > 0,
}
const READ_RULES = {
  streams: someStreams,
  after: {
    allowed: '"first", "end" or entry ids',
    ok: (value: unknown) => value === 'first' || value === 'end' || anObject.ok(value),
  },
  follow: aFlag,
  signal: { allowed: 'an AbortSignal', ok: (value: unknown) => value instanceof AbortSignal },
}
const waits: Rule = {
  allowed: 'a list of milliseconds ≥ 0',
  ok: (value) => Array.isArray(value) && value.every((one) => milliseconds(0).ok(one)),
}
const CONSUME_RULES: Readonly<Record<keyof CortexConsumeOptions, Rule>> = {
  group: aText,
  consumer: aText,
  streams: someStreams,
  agent: aText,
  from: oneOf(['first', 'new']),
  concurrency: whole(1, 1_000),
  visibilityMs: milliseconds(1),
  retryMs: waits,
  attempts: wholeOrInfinity(1),
  maxAgeMs: milliseconds(1),
  onEvent: aFunction,
}

/**
 * The streams of an existing Cortex on a Redis, to be read and written beside it. The link stays open. Throws INVALID_OPTION; UNSUPPORTED
 * for a cluster, where the names of Cortex lie on different nodes.
 */
export function cortexStreams(link: RedisLink, options: CortexOptions = {}): CortexStreams {
  checkOptions('cortexStreams', options, RULES)
  const { name = 'swarmbus', duplicateWindowMs = 600_000, env = systemEnv() } = options
  if (link.kind === 'cluster') {
    throw new BusError('UNSUPPORTED', 'the streams of Cortex have no hash tags: they cannot be used on a Redis Cluster')
  }
  const names = cortexNames(options.names)
  const layout = cortexLayout(name, env)

  return Object.freeze({
    name,
    names,
    async write(message: Message, { streams = [streamOf(message, names)] }: CortexWriteOptions = {}) {
      checkOption('CortexStreams.write', 'streams', streams, someStreams)
      const [stream = ''] = streams
      const args = [String(duplicateWindowMs), ...pairsOf(layout.encode(message))]
      try {
        const [entryId, isNew] = listOf(await link.run(ADD, [names.own(`${stream}:${message.id}`), ...streams], args))
        return { stream, entryId: String(entryId), isNew: isNew === 1 }
      } catch (error) {
        if (!isBusError(error, 'BROKER_TIMEOUT')) throw error
        const text = `it is not known whether ${stream} has the message ${message.id}`
        throw new BusError('PUBLISH_UNKNOWN', text, { cause: error, details: { id: message.id } })
      }
    },
    read(given: CortexReadOptions) {
      checkOptions('CortexStreams.read', given, READ_RULES)
      checkOption('CortexStreams.read', 'streams', given.streams, someStreams)
      return readStreams({ link, layout, env }, given)
    },
    consume(given: CortexConsumeOptions, handler: CortexHandler) {
      checkOptions('CortexStreams.consume', given, CONSUME_RULES)
      for (const field of ['group', 'consumer'] as const)
        checkOption('CortexStreams.consume', field, given[field], aText)
      checkOption('CortexStreams.consume', 'handler', handler, aFunction)
      const { retryMs = [5_000, 15_000] } = given
      const parts: ConsumeParts = {
        ...{ link, env, layout, names, retryMs, handler },
        group: given.group,
        consumer: given.consumer,
        streams: given.streams ?? PRIORITIES.map((level) => names.levels[level]),
        agent: given.agent,
        from: given.from ?? 'first',
        concurrency: given.concurrency ?? 1,
        visibilityMs: given.visibilityMs ?? 30_000,
        attempts: given.attempts ?? retryMs.length + 1,
        maxAgeMs: given.maxAgeMs ?? Number.POSITIVE_INFINITY,
        onEvent: quiet(given.onEvent),
      }
      return startConsumer(parts)
    },
  })
}

/** An observer's fault must not keep a consumer from going on. */
function quiet(onEvent: ((event: CortexEvent) => void) | undefined): (event: CortexEvent) => void {
  return (event) => {
    try {
      onEvent?.(event)
    } catch {
      // It was told; what it makes of that is its own.
    }
  }
}
