import type { NatsLink } from '../../broker/nats/link.ts'
import { natsProof } from '../../broker/nats/proof.ts'
import { aFlag, aFunction, milliseconds, oneOf, whole } from '../../kit/check.ts'
import { type Env, systemEnv } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import {
  checkAlong,
  checkConsume,
  checkFind,
  checkFrom,
  checkGroup,
  checkItems,
  checkLogOptions,
  checkOffset,
  checkRead,
  checkSettled,
  checkStream,
  checkTrim,
  numberOf,
} from '../checks.ts'
import { Consumer } from '../consumer.ts'
import {
  type Along,
  type Appended,
  type ConsumeOptions,
  channelOf,
  type Delivery,
  type Entry,
  type Gap,
  type GroupInfo,
  type Item,
  type LogEvent,
  type LogSupports,
  type MessageLog,
  type Offset,
  type ReadOptions,
  type Settled,
  type StreamInfo,
  type TrimOptions,
} from '../log.ts'
import { Appender } from './append.ts'
import { entryOf } from './bodies.ts'
import { DESCRIPTION, streamDetails } from './bootstrap.ts'
import { Channel } from './channel.ts'
import { figuresOf } from './figures.ts'
import { Io, type StreamDetails } from './io.ts'
import { Local } from './local.ts'
import { nameOfToken, partOf } from './names.ts'
import type { Hall } from './place.ts'
import { readPart } from './reader.ts'
import type { FromOp, TrimOp } from './records.ts'
import { Reserve } from './reserve.ts'

/** How a log on NATS JetStream behaves. */
export interface JetStreamLogOptions {
  readonly env?: Env
  /** Separates swarms on one server: letters, digits, - and _. Default `swarmbus`. */
  readonly prefix?: string
  /** Milliseconds during which a repeat of a key is stored once; fixed when a channel is made. Default 600 000, at least 100. */
  readonly dedupMs?: number
  /** Milliseconds after which a publish, or whatever else is asked of the server, is given up. Default 5 000. */
  readonly publishTimeoutMs?: number
  /** What new channels are made of. Default: one copy, in files. */
  readonly replicas?: number
  readonly storage?: 'file' | 'memory'
  /** States that the servers have `sync_interval: always`, which no client can read. */
  readonly syncAlways?: boolean
  /** Milliseconds for which a process must be without a connection before what it holds goes to others. Default 1 500. */
  readonly graceMs?: number
  /** Told once of each entry that a group met and that cannot be read; the group has settled it as dropped. */
  readonly onDamage?: (gap: Gap) => void
  /** Told of the connection, and of messages that the server has lost. */
  readonly onEvent?: (event: LogEvent) => void
}

const MAX_IN_FLIGHT = 1_000
const ACK_WAIT_MS = 30_000
const CLOSE_EXTRA_MS = 250

/**
 * A log on a NATS server with JetStream, from version 2.9 on; the link stays open at its end. Throws INVALID_OPTION, BROKER_REFUSED when
 * the server cannot keep messages, BROKER_UNREACHABLE, BROKER_TIMEOUT.
 *
 * Each channel is one JetStream stream, whose order decides everything: settlements, leases and groups are records among the messages,
 * and every process that works with the channel makes the same state of them.
 */
export async function jetStreamLog(link: NatsLink, options: JetStreamLogOptions = {}): Promise<MessageLog> {
  checkLogOptions('jetStreamLog', options, {
    prefix: {
      allowed: 'letters, digits, - and _',
      ok: (value) => typeof value === 'string' && /^[a-zA-Z0-9_-]{1,64}$/.test(value),
    },
    dedupMs: milliseconds(0),
    publishTimeoutMs: milliseconds(1),
    replicas: whole(1, 5),
    storage: oneOf(['file', 'memory']),
    syncAlways: aFlag,
    graceMs: milliseconds(0),
    onEvent: aFunction,
  })
  const { env = systemEnv(), prefix = 'swarmbus', dedupMs = 600_000, publishTimeoutMs = 5_000 } = options
  const { replicas = 1, storage = 'file', syncAlways = false, graceMs = 1_500 } = options
  const proof = await natsProof(link, { replicas, storage, syncAlways })
  if (proof.refused !== undefined) throw proof.refused
  const { level } = proof
  const supports: LogSupports = Object.freeze({
    persistent: level !== 'memory',
    shared: true,
    fencing: true,
    find: true,
  })
  const io = new Io(link, env, publishTimeoutMs)
  const instance = io.inbox().slice('_INBOX.'.length, '_INBOX.'.length + 12)
  const channels = new Map<string, Channel>()
  const settings = { dedupMs, storage, replicas }
  const reserve = new Reserve(io, prefix, settings)
  const appender = new Appender(io, settings, reserve, (channel) => channelFor(channel))
  const consumers = new Set<Consumer>()
  const onEvent = quiet(options.onEvent)
  let closed = false
  let ending: Promise<void> | undefined

  const hall: Hall = {
    ...{ io, env, prefix, graceMs, reserve, settings, onEvent },
    onDamage: quiet(options.onDamage),
    forward: (stream, id, body) => appender.forward(stream, id, body),
  }

  const watching = link.watch.on((event) => {
    if (event.type === 'lost') {
      onEvent({ type: 'disconnected', why: event.why })
      for (const channel of channels.values()) channel.cutOff()
    } else if (event.type === 'retry') onEvent(event)
    else {
      onEvent({ type: 'reconnected', downMs: event.downMs, tries: event.tries })
      for (const channel of channels.values()) void channel.restored()
    }
  })

  function mustBeOpen(): void {
    if (closed) throw new BusError('BUS_CLOSED', 'the log "jetstream" is closed')
  }

  function channelFor(name: string): Channel {
    let channel = channels.get(name)
    if (channel === undefined) channels.set(name, (channel = new Channel(hall, name, instance)))
    return channel
  }

  async function isThere(name: string): Promise<boolean> {
    if (channels.get(name)?.isOpen === true) return true
    return (await streamDetails(io, channelFor(name).names)) !== undefined
  }

  /** The channel whose name is too long to be that of its stream. */
  async function describedAs(stream: string): Promise<string | undefined> {
    const { description = '' } = (await io.must<StreamDetails>(`STREAM.INFO.${stream}`)).config
    return description.startsWith(DESCRIPTION) ? description.slice(DESCRIPTION.length) : undefined
  }

  /** The channels that exist on the server, or the one that was asked for. */
  async function existing(only: string | undefined): Promise<Channel[]> {
    if (only !== undefined) return (await isThere(only)) ? [channelFor(only)] : []
    const names: (string | undefined)[] = []
    for (let offset = 0; ; ) {
      // Names alone: for more, a cluster asks the leader of each.
      const question = { subject: `${prefix}.log.>`, offset }
      const page = await io.must<{ streams?: string[] | null; total: number }>('STREAM.NAMES', question)
      for (const stream of page.streams ?? []) {
        if (!stream.startsWith(`${prefix}_log_`)) continue
        names.push(nameOfToken(stream.slice(`${prefix}_log_`.length)) ?? (await describedAs(stream)))
      }
      offset += page.streams?.length ?? 0
      if ((page.streams?.length ?? 0) === 0 || offset >= page.total) break
    }
    return names.filter((name) => name !== undefined).map(channelFor)
  }

  async function synced(only: string | undefined, gather: boolean): Promise<Channel[]> {
    const list = await existing(only)
    await Promise.all(
      list.map(async (channel) => {
        await channel.open()
        await channel.sync()
        if (gather && (await channel.presence.gather())) await channel.sync()
      }),
    )
    return list
  }

  async function close(): Promise<void> {
    for (const consumer of [...consumers]) consumer.end()
    await appender.close()
    const late = Promise.withResolvers<void>()
    const timer = env.after(publishTimeoutMs + CLOSE_EXTRA_MS, late.resolve)
    try {
      await Promise.race([Promise.all([...channels.values()].map((channel) => channel.close())), late.promise])
    } finally {
      timer.cancel()
    }
    for (const channel of channels.values()) channel.abandon()
    watching[Symbol.dispose]()
    reserve.close()
    io.close()
  }

  return Object.freeze({
    name: 'jetstream',
    level,
    supports,

    async append(stream: string, items: readonly Item[]): Promise<readonly Appended[]> {
      mustBeOpen()
      checkStream('log.append', stream)
      const texts: Uint8Array[] = []
      checkItems(items, { check: (message) => void texts.push(appender.encode(message)) })
      return items.length === 0 ? [] : appender.append(stream, [...items], texts)
    },

    read(stream: string, options: ReadOptions = {}): AsyncIterable<Entry | Gap> {
      mustBeOpen()
      checkStream('log.read', stream)
      checkRead(options)
      const name = channelOf(stream)
      return readPart(channelFor(name), partOf(stream), options)
    },

    consume(stream: string, group: string, options: ConsumeOptions = {}): AsyncIterable<Delivery> {
      mustBeOpen()
      checkGroup('log.consume', stream, group)
      checkConsume(options)
      const { from, maxInFlight = MAX_IN_FLIGHT, ackWaitMs = ACK_WAIT_MS, signal } = options
      return {
        [Symbol.asyncIterator]() {
          const consumer = new Consumer({ maxInFlight, ackWaitMs, signal })
          const channel = channelFor(channelOf(stream))
          const place = { stream, part: partOf(stream), group, from: fromOp(from) }
          if (closed) consumer.end()
          else {
            consumers.add(consumer)
            channel.open().then(
              () => {
                consumers.delete(consumer)
                if (closed) consumer.end()
                else if (consumer.ended) channel.sender.post({ t: 'join', p: place.part, g: group, f: place.from })
                else channel.join(new Local(channel, place, consumer))
              },
              (error: unknown) => {
                consumers.delete(consumer)
                consumer.end({ error })
              },
            )
          }
          return consumer
        },
      }
    },

    async settle(stream: string, group: string, offset: Offset, as: Settled, along?: Along): Promise<boolean> {
      mustBeOpen()
      checkGroup('log.settle', stream, group)
      checkOffset('log.settle', offset)
      checkSettled('log.settle', as)
      const channel = channelFor(channelOf(stream))
      if (along !== undefined) checkAlong('log.settle', along, channel)
      await channel.open()
      const o = numberOf(offset) as number
      const op = { t: 'settleAt', p: partOf(stream), g: group, o, as } as const
      if (along === undefined) return (await channel.sender.submit(op)) as boolean
      const body =
        along.message === undefined ? await channel.bodies.load(o) : { bytes: new Uint8Array(0), note: undefined }
      // What is not there cannot go along: only the machine knows why, and says no.
      if (body === undefined) return (await channel.sender.submit(op)) as boolean
      const entry = entryOf(o, 0, body, env)
      return channel.settleAlong(op, along, body.bytes, entry.type === 'stored' ? entry.message : undefined)
    },

    async join(stream: string, group: string, from?: ConsumeOptions['from']): Promise<void> {
      mustBeOpen()
      checkGroup('log.join', stream, group)
      checkFrom('log.join', from)
      const channel = channelFor(channelOf(stream))
      await channel.open()
      await channel.sender.submit({ t: 'join', p: partOf(stream), g: group, f: fromOp(from) })
    },

    async leave(stream: string, group: string): Promise<boolean> {
      mustBeOpen()
      checkGroup('log.leave', stream, group)
      const channel = channelFor(channelOf(stream))
      await channel.open()
      return (await channel.sender.submit({ t: 'leave', p: partOf(stream), g: group })) as boolean
    },

    async trim(stream: string, options: TrimOptions): Promise<number> {
      mustBeOpen()
      checkStream('log.trim', stream)
      checkTrim(options)
      if (!(await isThere(channelOf(stream)))) return 0
      const channel = channelFor(channelOf(stream))
      await channel.open()
      const { before, ...rest } = options
      const op: TrimOp = { ...rest, ...(before !== undefined && { before: numberOf(before) as number }) }
      return channel.trim({ t: 'trim', p: partOf(stream), ...op })
    },

    async find(
      channel: string,
      key: string,
    ): Promise<{ readonly stream: string; readonly offset: Offset } | undefined> {
      mustBeOpen()
      checkFind(channel, key)
      return appender.find(channel, key)
    },

    async streams(channel?: string): Promise<readonly StreamInfo[]> {
      mustBeOpen()
      if (channel !== undefined) checkStream('log.streams', channel)
      const list = await synced(channel, false)
      return list
        .flatMap(({ machine, losses }) => [...machine.parts.values()].map((part) => ({ part, losses })))
        .filter(({ part }) => part.next > 0)
        .map(({ part: { name, stream, first, next, count, bytes, gaps }, losses }) => ({
          ...{ stream, first: String(first), next: String(next), count, bytes },
          gaps: [...losses.of(name), ...gaps.filter(({ to }) => Number(to) >= first)],
        }))
        .sort((a, b) => (a.stream < b.stream ? -1 : 1))
    },

    async groups(stream?: string): Promise<readonly GroupInfo[]> {
      mustBeOpen()
      if (stream !== undefined) checkStream('log.groups', stream)
      const list = await synced(stream === undefined ? undefined : channelOf(stream), true)
      return list
        .flatMap((channel) =>
          [...channel.machine.groups.values()].map((group) => figuresOf(group, channel.nowMs(), channel.wallMs())),
        )
        .filter((info) => stream === undefined || info.stream === stream)
        .sort((a, b) => (a.stream === b.stream ? (a.group < b.group ? -1 : 1) : a.stream < b.stream ? -1 : 1))
    },

    [Symbol.asyncDispose](): Promise<void> {
      closed = true
      ending ??= close()
      return ending
    },
  })
}

function fromOp(from: ConsumeOptions['from'] = 'first'): FromOp {
  if (typeof from === 'string') return from
  if ('after' in from && from.after !== undefined) return { after: numberOf(from.after) as number }
  return { since: (from as { readonly since: number }).since }
}

/** An observer whose faults reach nobody. */
function quiet<T>(run: ((what: T) => void) | undefined): (what: T) => void {
  return (what) => {
    try {
      run?.(what)
    } catch {
      // An observer's fault must not stop the log.
    }
  }
}
