import { type Env, systemEnv } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
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
} from './checks.ts'
import { Committer } from './committer.ts'
import { Consumer } from './consumer.ts'
import type { Desk, Office } from './desk.ts'
import { Desks } from './desks.ts'
import type {
  Along,
  Appended,
  ConsumeOptions,
  Delivery,
  Entry,
  Gap,
  GroupInfo,
  Item,
  LogSupports,
  MessageLog,
  Offset,
  ReadOptions,
  Settled,
  StreamInfo,
  TrimOptions,
} from './log.ts'
import { Reader } from './reader.ts'
import { AppendStep } from './steps.ts'
import type { Store, StoredState } from './store.ts'
import { Streams } from './streams.ts'
import { trimStream } from './trim.ts'

/** How a log over a store behaves. */
export interface LogOptions {
  readonly env?: Env
  /** The newest entries of each stream that stay in memory, so that consumers near its end read nothing. Default 4 096. */
  readonly tailCount?: number
  /** Most bytes of those. Default 16 MiB. */
  readonly tailBytes?: number
  /** Told once of each entry that a group met and that cannot be read; the group has settled it as dropped. */
  readonly onDamage?: (gap: Gap) => void
}

const TAIL_COUNT = 4_096
const TAIL_BYTES = 16 * 1_024 * 1_024
const MAX_IN_FLIGHT = 1_000
const ACK_WAIT_MS = 30_000

/** A log over a store, which is loaded first and disposed with the log. Throws INVALID_OPTION, and what `load` throws. */
export async function logOver(store: Store, options: LogOptions = {}): Promise<MessageLog> {
  checkLogOptions('logOver', options)
  return logFrom(store, await store.load(), options)
}

/** As {@link logOver}, over a store that has been loaded. */
export function logFrom(store: Store, state: StoredState, options: LogOptions = {}): MessageLog {
  const { env = systemEnv(), tailCount = TAIL_COUNT, tailBytes = TAIL_BYTES, onDamage } = options
  const persistent = store.level !== 'memory'
  const supports: LogSupports = Object.freeze({ persistent, shared: false, fencing: true, find: true })
  const streams = new Streams(env, { count: tailCount, bytes: tailBytes })
  const committer = new Committer({ env, store, afterCommit: () => streams.wake() })
  const office: Office = { env, store, streams, committer, onDamage: quiet(onDamage) }
  const desks = new Desks(office, persistent)
  const readers = new Set<Reader>()
  let closed = false
  let ending: Promise<void> | undefined

  for (const stored of state.streams) streams.restore(stored)
  for (const stored of state.groups) desks.restore(stored, state.clean)

  function mustBeOpen(): void {
    if (closed) throw new BusError('BUS_CLOSED', `the log "${store.name}" is closed`)
  }

  function join(desk: Desk | Promise<Desk>, consumer: Consumer): void {
    if (!(desk instanceof Promise)) {
      desk.join(consumer)
      return
    }
    const join = (made: Desk): void => {
      if (closed) consumer.end()
      else made.join(consumer)
    }
    desk.then(join, (error: unknown) => consumer.end({ error }))
  }

  async function close(): Promise<void> {
    desks.close()
    for (const reader of readers) reader.closed()
    await committer.close()
    await store[Symbol.asyncDispose]()
  }

  return Object.freeze({
    name: store.name,
    level: store.level,
    supports,

    append(stream: string, items: readonly Item[]): Promise<readonly Appended[]> {
      return new Promise((resolve, reject) => {
        mustBeOpen()
        checkStream('log.append', stream)
        checkItems(items, store)
        if (items.length === 0) resolve([])
        else committer.publish(new AppendStep(streams, stream, [...items], resolve, reject))
      })
    },

    read(stream: string, options: ReadOptions = {}): AsyncIterable<Entry | Gap> {
      mustBeOpen()
      checkStream('log.read', stream)
      checkRead(options)
      const { openFor } = options
      const shelf = {
        store,
        stream: streams.ensure(stream),
        openFor: () => (openFor === undefined ? undefined : desks.get(stream, openFor)?.state),
        isClosed: () => closed,
        opened: (reader: Reader) => void readers.add(reader),
        ended: (reader: Reader) => void readers.delete(reader),
      }
      const end = shelf.stream.next
      return { [Symbol.asyncIterator]: () => new Reader(shelf, options, end) }
    },

    consume(stream: string, group: string, options: ConsumeOptions = {}): AsyncIterable<Delivery> {
      mustBeOpen()
      checkGroup('log.consume', stream, group)
      checkConsume(options)
      const { from, maxInFlight = MAX_IN_FLIGHT, ackWaitMs = ACK_WAIT_MS, signal } = options
      const first = desks.ensure(stream, group, from)
      if (first instanceof Promise) first.catch(() => undefined)
      return {
        [Symbol.asyncIterator]() {
          const consumer = new Consumer({ maxInFlight, ackWaitMs, signal })
          if (closed) consumer.end()
          else join(desks.ensure(stream, group, from), consumer)
          return consumer
        },
      }
    },

    async settle(stream: string, group: string, offset: Offset, as: Settled, along?: Along): Promise<boolean> {
      mustBeOpen()
      checkGroup('log.settle', stream, group)
      checkOffset('log.settle', offset)
      checkSettled('log.settle', as)
      if (along !== undefined) checkAlong('log.settle', along, store)
      const desk = await desks.ensure(stream, group, 'first')
      return desk.settleAt(numberOf(offset) as number, as, along)
    },

    async join(stream: string, group: string, from?: ConsumeOptions['from']): Promise<void> {
      mustBeOpen()
      checkGroup('log.join', stream, group)
      checkFrom('log.join', from)
      const desk = await desks.ensure(stream, group, from)
      await desk.keep()
    },

    async leave(stream: string, group: string): Promise<boolean> {
      mustBeOpen()
      checkGroup('log.leave', stream, group)
      return desks.leave(stream, group)
    },

    async trim(stream: string, options: TrimOptions): Promise<number> {
      mustBeOpen()
      checkStream('log.trim', stream)
      checkTrim(options)
      return trimStream(office, streams.get(stream), () => desks.of(stream), options)
    },

    async find(
      channel: string,
      key: string,
    ): Promise<{ readonly stream: string; readonly offset: Offset } | undefined> {
      mustBeOpen()
      checkFind(channel, key)
      const found = await store.find(channel, key)
      return found === undefined ? undefined : { stream: found.stream, offset: String(found.offset) }
    },

    async streams(channel?: string): Promise<readonly StreamInfo[]> {
      mustBeOpen()
      if (channel !== undefined) checkStream('log.streams', channel)
      return streams.list(channel).map((stream) => stream.info())
    },

    async groups(stream?: string): Promise<readonly GroupInfo[]> {
      mustBeOpen()
      if (stream !== undefined) checkStream('log.groups', stream)
      return desks.infos(stream)
    },

    [Symbol.asyncDispose](): Promise<void> {
      closed = true
      ending ??= close()
      return ending
    },
  })
}

/** An observer whose faults reach nobody. */
function quiet(run: ((gap: Gap) => void) | undefined): (gap: Gap) => void {
  return (gap) => {
    try {
      run?.(gap)
    } catch {
      // The damage is settled already; an observer's fault must not stop the hand-out.
    }
  }
}
