import type { Env } from '../kit/env.ts'
import { channelOf, type Gap, type StreamInfo } from './log.ts'
import type { AppendOp, BadEntry, StoredAt, StoredEntry, StoredStream } from './store.ts'
import { Tail } from './tail.ts'

/** Somebody who waits for new entries of a stream. */
export interface Watcher {
  grown(next: number): void
}

/** Bounds of what is kept in memory of each stream. */
export interface TailLimits {
  readonly count: number
  readonly bytes: number
}

/** What is known of one stream: how far it reaches, and its newest entries. */
export class StreamState {
  readonly name: string
  readonly tail: Tail
  readonly watchers = new Set<Watcher>()
  /** Holes that are known, ascending. */
  readonly gaps: Gap[]
  readonly #reported = new Set<number>()
  /** The oldest kept offset, and the one behind the newest. */
  first: number
  next: number
  bytes: number
  newestAt: number

  constructor(stored: StoredStream, limits: TailLimits) {
    this.name = stored.stream
    this.first = stored.first
    this.next = stored.next
    this.bytes = stored.bytes
    this.newestAt = stored.newestAt
    this.gaps = [...stored.gaps]
    this.tail = new Tail(stored.next, limits.count, limits.bytes)
  }

  /** Entries that are kept: holes do not count. */
  count(): number {
    let count = this.next - this.first
    for (const gap of this.gaps) {
      const from = Math.max(Number(gap.from), this.first)
      const to = Math.min(Number(gap.to), this.next - 1)
      if (gap.reason === 'lost' && to >= from) count -= to - from + 1
    }
    return count
  }

  info(): StreamInfo {
    const gaps = this.gaps.filter((gap) => Number(gap.to) >= this.first)
    return {
      stream: this.name,
      first: String(this.first),
      next: String(this.next),
      count: this.count(),
      bytes: this.bytes,
      gaps,
    }
  }

  /** True for an entry that is known to be missing or damaged. */
  isHole(offset: number): boolean {
    return this.gaps.some(({ from, to }) => Number(from) <= offset && offset <= Number(to))
  }

  /** Notes an entry that cannot be read. */
  hole({ offset, reason }: BadEntry): Gap {
    const gap: Gap = { type: 'gap', stream: this.name, from: String(offset), to: String(offset), reason }
    if (!this.isHole(offset)) {
      this.gaps.push(gap)
      this.gaps.sort((a, b) => Number(a.from) - Number(b.from))
    }
    return gap
  }

  /** As {@link hole}; undefined when that was reported before. */
  report(entry: BadEntry): Gap | undefined {
    if (this.#reported.has(entry.offset)) return undefined
    this.#reported.add(entry.offset)
    return this.hole(entry)
  }
}

/** All streams of a log. */
export class Streams {
  readonly #env: Env
  readonly #limits: TailLimits
  readonly #all = new Map<string, StreamState>()
  readonly #grown = new Set<StreamState>()

  constructor(env: Env, limits: TailLimits) {
    this.#env = env
    this.#limits = limits
  }

  restore(stored: StoredStream): void {
    this.#all.set(stored.stream, new StreamState(stored, this.#limits))
  }

  get(name: string): StreamState | undefined {
    return this.#all.get(name)
  }

  /** The stream, also before its first entry. */
  ensure(name: string): StreamState {
    let stream = this.#all.get(name)
    if (stream === undefined) {
      stream = new StreamState({ stream: name, first: 1, next: 1, bytes: 0, newestAt: 0, gaps: [] }, this.#limits)
      this.#all.set(name, stream)
    }
    return stream
  }

  /** Wall-clock milliseconds for entries that are stored now: they never fall within a stream. */
  stamp(name: string): number {
    const stream = this.ensure(name)
    stream.newestAt = Math.max(stream.newestAt, Math.floor(this.#env.wallMs()))
    return stream.newestAt
  }

  /** An append is kept; `message` is known unless its bytes were copied inside the store. Groups see it at the next {@link wake}. */
  stored(op: AppendOp, answer: StoredAt, message: StoredEntry['message'] | undefined): void {
    if (answer.duplicate) return
    const stream = this.ensure(op.stream)
    const { offset } = answer
    stream.next = offset + 1
    stream.bytes += answer.bytes
    const { storedAt, dueAt, note } = op
    const entry: StoredEntry | undefined =
      message === undefined ? undefined : { type: 'stored', offset, message, storedAt, dueAt, note }
    stream.tail.push(offset, entry, answer.bytes)
    this.#grown.add(stream)
  }

  /** Tells everybody who waits about new entries. */
  wake(): void {
    if (this.#grown.size === 0) return
    for (const stream of this.#grown) for (const watcher of stream.watchers) watcher.grown(stream.next)
    this.#grown.clear()
  }

  /** Wakes everybody, without new entries. */
  wakeAll(): void {
    for (const stream of this.#all.values()) for (const watcher of stream.watchers) watcher.grown(stream.next)
  }

  /** Streams that have, or had, entries; by name. */
  list(channel: string | undefined): StreamState[] {
    return [...this.#all.values()]
      .filter(({ next, name }) => next > 1 && (channel === undefined || channelOf(name) === channel))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}
