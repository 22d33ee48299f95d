import { milliseconds, whole, wholeOrInfinity } from '../kit/check.ts'
import { systemEnv } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'
import { checkLogOptions } from './checks.ts'
import { type KeyPlace, KeyWindow } from './dedup.ts'
import { type LogOptions, logFrom } from './front.ts'
import { channelOf, type MessageLog } from './log.ts'
import { MemoryGroups } from './memory-groups.ts'
import { sizeOf } from './size.ts'
import type { AppendOp, Store, StoredAt, StoredEntry, StoredStream, StoreOp } from './store.ts'

/** How a log in memory behaves. */
export interface MemoryLogOptions extends LogOptions {
  /** Milliseconds during which a repeat of a key is stored once. Default 600 000. */
  readonly dedupMs?: number
  /** Most keys that are remembered; above it the oldest half is forgotten early. Default 1 000 000. */
  readonly dedupLimit?: number
  /** Most bytes of all messages together; what does not fit is refused with STORE_FULL. Default: no limit. */
  readonly maxBytes?: number
}

const DEDUP_MS = 600_000
const DEDUP_LIMIT = 1_000_000
/** As many removed entries at the front of a list are worth the copying that frees them. */
const COMPACT_AT = 1_024

interface Kept {
  readonly entry: StoredEntry
  readonly bytes: number
}

/** A stream in memory: entry `n` lies at `n - base`. */
interface List {
  first: number
  next: number
  base: number
  bytes: number
  newestAt: number
  entries: (Kept | undefined)[]
}

/** A log that lives and dies with the process: for tests, and for groups inside one process. Throws INVALID_OPTION. */
export function memoryLog(options: MemoryLogOptions = {}): MessageLog {
  const store = memoryStore(options)
  return logFrom(store, { streams: [], groups: [], clean: true }, options)
}

/** The store of {@link memoryLog}: keeps the messages as they are, and what groups know as a store on disk would. Throws INVALID_OPTION. */
export function memoryStore(options: MemoryLogOptions = {}): Store {
  checkLogOptions('memoryLog', options, {
    dedupMs: milliseconds(0),
    dedupLimit: whole(0),
    maxBytes: wholeOrInfinity(0),
  })
  const { env = systemEnv(), dedupMs = DEDUP_MS, dedupLimit = DEDUP_LIMIT } = options
  const { maxBytes = Number.POSITIVE_INFINITY } = options
  const lists = new Map<string, List>()
  const groups = new MemoryGroups()
  const keys = new KeyWindow(dedupMs, dedupLimit)
  let bytes = 0
  let clean = true

  function listOf(stream: string): List {
    let list = lists.get(stream)
    if (list === undefined) {
      list = { first: 1, next: 1, base: 1, bytes: 0, newestAt: 0, entries: [] }
      lists.set(stream, list)
    }
    return list
  }

  function entryAt(stream: string, offset: number): Kept | undefined {
    const list = lists.get(stream)
    return list === undefined || offset < list.first ? undefined : list.entries[offset - list.base]
  }

  function append(op: AppendOp, nowMs: number): StoredAt {
    const channel = channelOf(op.stream)
    if (op.key !== undefined) {
      const place = keys.get(channel, op.key, nowMs)
      if (place !== undefined) return { ...sameAs(place), duplicate: true, bytes: 0 }
    }
    const list = listOf(op.stream)
    const message = messageOf(op)
    const offset = list.next++
    const { storedAt, dueAt, note } = op
    const size = bytesOf(op)
    list.entries.push({ entry: { type: 'stored', offset, message, storedAt, dueAt, note }, bytes: size })
    list.bytes += size
    list.newestAt = storedAt
    bytes += size
    const place: KeyPlace = { stream: op.stream, offset, id: message.id, atMs: nowMs }
    if (op.key !== undefined) keys.set(channel, op.key, place)
    return { ...sameAs(place), duplicate: false, bytes: size }
  }

  function messageOf({ message }: AppendOp): Message {
    if ('id' in message) return message
    const kept = entryAt(message.stream, message.offset)
    if (kept === undefined) {
      throw new BusError('STORE_FAILED', `"${message.stream}" has no entry ${message.offset} to copy`)
    }
    return kept.entry.message
  }

  function bytesOf({ message, note }: AppendOp): number {
    const more = note === undefined ? 0 : note.length
    if ('id' in message) return sizeOf(message) + more
    return (entryAt(message.stream, message.offset)?.bytes ?? 0) + more
  }

  function trim(stream: string, before: number): void {
    const list = lists.get(stream)
    if (list === undefined) return
    for (; list.first < Math.min(before, list.next); list.first++) {
      const at = list.first - list.base
      const size = list.entries[at]?.bytes ?? 0
      list.entries[at] = undefined
      list.bytes -= size
      bytes -= size
    }
    const gone = list.first - list.base
    if (gone < COMPACT_AT || gone < list.entries.length / 2) return
    list.entries = list.entries.slice(gone)
    list.base = list.first
  }

  /** Throws before anything is changed: a commit is all or nothing. */
  function mustFit(ops: readonly StoreOp[]): void {
    let more = 0
    for (const op of ops) {
      if (op.type !== 'append') continue
      messageOf(op)
      if (maxBytes !== Number.POSITIVE_INFINITY) more += bytesOf(op)
    }
    if (more === 0 || bytes + more <= maxBytes) return
    throw new BusError('STORE_FULL', `the log in memory has ${bytes} bytes of ${maxBytes}; ${more} more do not fit`, {
      details: { bytes, maxBytes, needed: more },
    })
  }

  function commit(ops: readonly StoreOp[]): readonly StoredAt[] {
    mustFit(ops)
    const nowMs = env.monotonicMs()
    const answers: StoredAt[] = []
    for (const op of ops) {
      if (op.type === 'append') answers.push(append(op, nowMs))
      else if (op.type === 'trim') trim(op.stream, op.before)
      else groups.apply(op)
    }
    return answers
  }

  /** The first offset of the list for which `fits` holds; it holds for all behind it. */
  function search(list: List, fits: (kept: Kept) => boolean): number {
    let low = list.first
    let high = list.next
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (fits(list.entries[middle - list.base] as Kept)) high = middle
      else low = middle + 1
    }
    return low
  }

  return {
    name: 'memory',
    level: 'memory',

    async load() {
      const was = clean
      clean = false
      const streams: StoredStream[] = []
      for (const [stream, { first, next, bytes, newestAt }] of lists) {
        streams.push({ stream, first, next, bytes, newestAt, gaps: [] })
      }
      return { streams, groups: groups.list(), clean: was }
    },

    // Not async: a commit in memory is done before the call returns.
    commit(ops) {
      try {
        return Promise.resolve(commit(ops))
      } catch (error) {
        return Promise.reject(error)
      }
    },

    check: () => undefined,

    async page(stream, from, most) {
      const list = lists.get(stream)
      if (list === undefined) return []
      const at = Math.max(from, list.first) - list.base
      return list.entries.slice(at, at + most).map((kept) => (kept as Kept).entry)
    },

    async expired(stream, from, wallMs, most) {
      const found: number[] = []
      const list = lists.get(stream)
      if (list === undefined) return found
      for (let at = Math.max(from, list.first); at < list.next && found.length < most; at++) {
        const { expiresAt } = (list.entries[at - list.base] as Kept).entry.message
        if (expiresAt !== undefined && expiresAt <= wallMs) found.push(at)
      }
      return found
    },

    async since(stream, wallMs) {
      const list = lists.get(stream)
      return list === undefined ? 1 : search(list, ({ entry }) => entry.storedAt >= wallMs)
    },

    async newest(stream, most) {
      const list = lists.get(stream)
      if (list === undefined) return 1
      let left = most
      let at = list.next
      for (; at > list.first; at--) {
        left -= (list.entries[at - 1 - list.base] as Kept).bytes
        if (left < 0) break
      }
      return at
    },

    async bytes(stream) {
      return lists.get(stream)?.bytes ?? 0
    },

    async find(channel, key) {
      const place = keys.get(channel, key, env.monotonicMs())
      return place === undefined ? undefined : { stream: place.stream, offset: place.offset }
    },

    async [Symbol.asyncDispose]() {
      clean = true
    },
  }
}

function sameAs({ stream, offset, id }: KeyPlace): Pick<StoredAt, 'stream' | 'offset' | 'id'> {
  return { stream, offset, id }
}
