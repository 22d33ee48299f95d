import type { RedisLink } from '../../broker/redis/link.ts'
import { redisProof } from '../../broker/redis/proof.ts'
import { aFunction, anObject, checkOption, checkOptions, milliseconds, type Rule, whole } from '../../kit/check.ts'
import { type Env, systemEnv } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'
import {
  checkConsume,
  checkFind,
  checkFrom,
  checkGroup,
  checkItems,
  checkOffset,
  checkRead,
  checkSettled,
  checkStream,
  checkTrim,
  numberOf,
} from '../checks.ts'
import { Consumer } from '../consumer.ts'
import type {
  AckLevel,
  Along,
  Appended,
  ConsumeOptions,
  Delivery,
  Entry,
  Gap,
  GroupInfo,
  Item,
  LogEvent,
  LogSupports,
  MessageLog,
  Offset,
  ReadOptions,
  Settled,
  StreamInfo,
  TrimOptions,
} from '../log.ts'
import { channelOf } from '../log.ts'
import { placeOf } from './appender.ts'
import { type Packed, packItem } from './codec.ts'
import { logFault } from './faults.ts'
import { type Range, RedisReader, rangeOf } from './reader.ts'
import { type Room, Rooms } from './rooms.ts'
import { SCRIPTS } from './scripts.ts'

/** How a log on Redis behaves. */
export interface RedisLogOptions {
  /** Separates swarms on one server: letters, digits, `-` and `_`. Default `swarmbus`. */
  readonly prefix?: string
  readonly env?: Env
  /** Milliseconds during which a repeat of a key is stored once, at least. Default 600 000. */
  readonly dedupMs?: number
  /** Most keys that are remembered in each channel; above it the oldest half is forgotten early. Default 1 000 000. */
  readonly dedupLimit?: number
  /** Told once of each entry that a group met and that cannot be read; the group has settled it as dropped. */
  readonly onDamage?: (gap: Gap) => void
  readonly onEvent?: (event: LogEvent) => void
  /** Milliseconds to wait for the answer to a publish. Default: as the link. */
  readonly publishTimeoutMs?: number
  /** As many replicas must have a message before its publish is acknowledged. Default 0. */
  readonly replicas?: number
  /** Milliseconds after which a process without a connection counts as dead. Default 3 000. */
  readonly deadAfterMs?: number
}

const DEDUP_MS = 600_000
const DEDUP_LIMIT = 1_000_000
const MAX_IN_FLIGHT = 1_000
const ACK_WAIT_MS = 30_000
const DEAD_AFTER_MS = 3_000

const aPrefix: Rule = {
  allowed: 'letters, digits, - and _',
  ok: (value) => typeof value === 'string' && /^[\w-]{1,64}$/.test(value),
}
const RULES = {
  prefix: aPrefix,
  env: anObject,
  dedupMs: milliseconds(1),
  dedupLimit: whole(2),
  onDamage: aFunction,
  onEvent: aFunction,
  publishTimeoutMs: milliseconds(1),
  replicas: whole(0, 100),
  deadAfterMs: milliseconds(1),
}

/**
 * A log on Redis Streams that any number of processes may use at once. The link stays open when the log ends. Rejects with
 * INVALID_OPTION, with BROKER_REFUSED when the server may evict messages, and with BROKER_UNREACHABLE.
 */
export async function redisLog(link: RedisLink, options: RedisLogOptions = {}): Promise<MessageLog> {
  checkOptions('redisLog', options, RULES)
  const { prefix = 'swarmbus', env = systemEnv(), replicas = 0, onDamage, onEvent } = options
  const proof = await redisProof(link)
  if (proof.refused !== undefined) throw proof.refused
  await Promise.all(Object.values(SCRIPTS).map(({ lua }) => link.everywhere(['SCRIPT', 'LOAD', lua])))
  const level: AckLevel = replicas > 0 ? 'replicated' : proof.level
  const supports: LogSupports = Object.freeze({
    persistent: level !== 'memory',
    shared: true,
    fencing: true,
    find: true,
  })
  const tell = quiet(onEvent)
  const dedupMs = Math.ceil(options.dedupMs ?? DEDUP_MS)
  const rooms = new Rooms({
    ...{ env, link, prefix, replicas, dedupMs, dedupLimit: Math.floor((options.dedupLimit ?? DEDUP_LIMIT) / 2) },
    deadAfterMs: Math.ceil(options.deadAfterMs ?? DEAD_AFTER_MS),
    timeoutMs: options.publishTimeoutMs,
    onDamage: quiet(onDamage),
    tellLoss: (error) => tell({ type: 'data-loss', error }),
  })
  const watching = link.watch.on((event) => {
    if (event.type === 'lost') tell({ type: 'disconnected', why: event.why })
    else if (event.type === 'retry') tell(event)
    else tell({ type: 'reconnected', downMs: event.downMs, tries: event.tries })
    if (event.type === 'restored') rooms.restored()
  })
  const readers = new Set<RedisReader>()
  const name = `${link.url} ${prefix}`
  let closed = false
  let ending: Promise<void> | undefined

  function mustBeOpen(): void {
    if (closed) throw new BusError('BUS_CLOSED', `the log "${name}" is closed`)
  }

  /** A call that is no publish, with its faults as a log says them. */
  async function asked<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      throw logFault(what, error)
    }
  }

  async function close(): Promise<void> {
    watching[Symbol.dispose]()
    for (const reader of [...readers]) reader.closed()
    await rooms.close()
  }

  return Object.freeze({
    name,
    level,
    supports,

    append(stream: string, items: readonly Item[]): Promise<readonly Appended[]> {
      return new Promise((resolve, reject) => {
        mustBeOpen()
        checkStream('log.append', stream)
        const packed: Packed[] = []
        checkItems(items, {
          check: (message: Message) => void packed.push(packItem(itemOf(items, packed.length, message))),
        })
        if (items.length === 0) resolve([])
        else rooms.of(channelOf(stream)).append(stream, packed).then(resolve, reject)
      })
    },

    read(stream: string, options: ReadOptions = {}): AsyncIterable<Entry | Gap> {
      mustBeOpen()
      checkStream('log.read', stream)
      checkRead(options)
      const room = rooms.of(channelOf(stream))
      const time = (value: number | undefined): string =>
        value === undefined ? '' : String(Math.max(0, Math.min(value, Number.MAX_SAFE_INTEGER)))
      // What was settled before is settled.
      const ranged = async (): Promise<Range> => {
        await room.calm(stream)
        return rangeOf(room.channel, stream, time(options.since), time(options.until))
      }
      const range = ranged()
      range.catch(() => undefined)
      const host = {
        channel: room.channel,
        listen: (reader: RedisReader) => room.listen(reader),
        isClosed: () => closed,
        opened: (reader: RedisReader) => void readers.add(reader),
        ended(reader: RedisReader) {
          readers.delete(reader)
          room.unlisten(reader)
        },
      }
      return { [Symbol.asyncIterator]: () => new RedisReader(host, stream, options, range, ranged) }
    },

    consume(stream: string, group: string, options: ConsumeOptions = {}): AsyncIterable<Delivery> {
      mustBeOpen()
      checkGroup('log.consume', stream, group)
      checkConsume(options)
      const { from, maxInFlight = MAX_IN_FLIGHT, ackWaitMs = ACK_WAIT_MS, signal } = options
      const room = rooms.of(channelOf(stream))
      room.desk(stream, group, from)
      return {
        [Symbol.asyncIterator]() {
          const consumer = new Consumer({ maxInFlight, ackWaitMs, signal })
          if (closed) consumer.end()
          else room.seat(stream, group, from, consumer)
          return consumer
        },
      }
    },

    async settle(stream: string, group: string, offset: Offset, as: Settled, along?: Along): Promise<boolean> {
      mustBeOpen()
      checkGroup('log.settle', stream, group)
      checkOffset('log.settle', offset)
      checkSettled('log.settle', as)
      const room = rooms.of(channelOf(stream))
      const args = along === undefined ? undefined : room.along('log.settle', along)
      return room.settleAt(stream, group, numberOf(offset) as number, as, args)
    },

    async join(stream: string, group: string, from?: ConsumeOptions['from']): Promise<void> {
      mustBeOpen()
      checkGroup('log.join', stream, group)
      checkFrom('log.join', from)
      const room = rooms.of(channelOf(stream))
      await asked(`the group "${group}" was not made`, () => room.join(stream, group, from))
    },

    async leave(stream: string, group: string): Promise<boolean> {
      mustBeOpen()
      checkGroup('log.leave', stream, group)
      const room = rooms.of(channelOf(stream))
      return asked(`the group "${group}" was not forgotten`, () => room.leave(stream, group))
    },

    async trim(stream: string, options: TrimOptions): Promise<number> {
      mustBeOpen()
      checkStream('log.trim', stream)
      checkTrim(options)
      const { before, maxCount, maxBytes, storedBefore } = options
      const room = rooms.of(channelOf(stream))
      return asked(`nothing was removed from "${stream}"`, async () => {
        await room.calm(stream)
        const args = [stream, ...[before, maxCount, maxBytes, storedBefore].map((value) => String(value ?? ''))]
        return (await room.channel.ask(SCRIPTS.trim, args)) as number
      })
    },

    async find(
      channel: string,
      key: string,
    ): Promise<{ readonly stream: string; readonly offset: Offset } | undefined> {
      mustBeOpen()
      checkFind(channel, key)
      return asked(`the key was not looked for`, async () => {
        const mark = await rooms.of(channel).channel.ask(SCRIPTS.find, [key, String(dedupMs)])
        if (mark === null) return undefined
        const { stream, offset } = placeOf(String(mark), key)
        return { stream, offset }
      })
    },

    async streams(channel?: string): Promise<readonly StreamInfo[]> {
      mustBeOpen()
      if (channel !== undefined) checkStream('log.streams', channel)
      return asked('the streams were not listed', async () => {
        const names = channel === undefined ? await rooms.names() : [channel]
        const lists = await Promise.all(names.map((one) => rooms.of(one).streams()))
        return lists.flat().sort((a, b) => (a.stream < b.stream ? -1 : 1))
      })
    },

    async groups(stream?: string): Promise<readonly GroupInfo[]> {
      mustBeOpen()
      if (stream !== undefined) checkStream('log.groups', stream)
      return asked('the groups were not listed', async () => {
        const some: readonly Room[] =
          stream === undefined ? (await rooms.names()).map((one) => rooms.of(one)) : [rooms.of(channelOf(stream))]
        const lists = await Promise.all(some.map((room) => room.groups(stream)))
        return lists.flat().sort((a, b) => compare(a.stream, b.stream) || compare(a.group, b.group))
      })
    },

    [Symbol.asyncDispose](): Promise<void> {
      closed = true
      ending ??= close()
      return ending
    },
  })
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The item whose message is being checked. Throws INVALID_OPTION. */
function itemOf(items: readonly Item[], index: number, message: Message): Item {
  const item = items[index] as Item
  checkOption('log.append', 'message', message, anObject)
  return item
}

/** An observer whose faults reach nobody. */
function quiet<T>(run: ((told: T) => void) | undefined): (told: T) => void {
  return (told) => {
    try {
      run?.(told)
    } catch {
      // What is told has happened; an observer's fault must not stop the log.
    }
  }
}
