import { BusError } from '../kit/errors.ts'
import { numberOf } from './checks.ts'
import type { GroupState } from './groups.ts'
import type { Entry, Gap, ReadOptions } from './log.ts'
import { pageSize, readPage } from './pages.ts'
import type { BadEntry, Store, StoredEntry } from './store.ts'
import type { StreamState, Watcher } from './streams.ts'

/** As many entries are taken from memory at once. */
const MOST_AT_ONCE = 256

/** What a reader reads from. */
export interface Shelf {
  readonly store: Store
  readonly stream: StreamState
  /** The group of {@link ReadOptions.openFor}, as it is at the moment of the call. */
  readonly openFor: () => GroupState | undefined
  readonly isClosed: () => boolean
  /** Told when the reader begins, and when it ends. */
  readonly opened: (reader: Reader) => void
  readonly ended: (reader: Reader) => void
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** Reads a part of a stream in pages: every entry once, ascending, and every hole once. */
export class Reader implements AsyncIterableIterator<Entry | Gap, undefined>, Watcher {
  readonly #shelf: Shelf
  readonly #options: ReadOptions
  readonly #onAbort = (): void => this.end()
  /** What is read and not yet asked for. */
  #out: (Entry | Gap)[] = []
  #given = 0
  #gap: { from: number; to: number; readonly reason: Gap['reason'] } | undefined
  #at: number
  #end: number
  #begun = false
  #ended = false
  #turn: Promise<unknown> = Promise.resolve()
  #wake: (() => void) | undefined

  /** Reads up to the offset before `end`, or on and on with `follow`. */
  constructor(shelf: Shelf, options: ReadOptions, end: number) {
    this.#shelf = shelf
    this.#options = options
    this.#at = Math.max(
      1,
      options.from === undefined ? (numberOf(options.after ?? '0') as number) + 1 : (numberOf(options.from) as number),
    )
    this.#end = options.follow === true ? Number.POSITIVE_INFINITY : end
    const { signal } = options
    if (signal?.aborted === true) {
      this.#ended = true
      return
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    shelf.opened(this)
  }

  next(): Promise<IteratorResult<Entry | Gap, undefined>> {
    if (this.#given < this.#out.length && !this.#ended) {
      return Promise.resolve({ done: false, value: this.#out[this.#given++] as Entry | Gap })
    }
    const turn = this.#turn.then(() => this.#more())
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.end()
    return DONE
  }

  async throw(error: unknown): Promise<never> {
    this.end()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Ends the iteration without an error. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#out = []
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#shelf.stream.watchers.delete(this)
    this.#shelf.ended(this)
    this.grown()
  }

  /** The log is closed: whoever follows has reached the end, whoever reads a range is told. */
  closed(): void {
    if (this.#options.follow === true) this.end()
    this.grown()
  }

  grown(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  async #more(): Promise<IteratorResult<Entry | Gap, undefined>> {
    try {
      while (this.#given >= this.#out.length) {
        if (this.#ended) return DONE
        this.#mustBeOpen()
        this.#out = []
        this.#given = 0
        if (!(await this.#fill())) this.end()
      }
    } catch (error) {
      this.end()
      throw error
    }
    return { done: false, value: this.#out[this.#given++] as Entry | Gap }
  }

  /** Reads the next piece. False when there is nothing more. */
  async #fill(): Promise<boolean> {
    if (!this.#begun) {
      this.#begun = true
      await this.#limit()
    }
    const { stream } = this.#shelf
    const end = Math.min(this.#end, stream.next)
    if (this.#at < end) {
      await this.#piece(end)
      return true
    }
    this.#flush()
    if (this.#out.length > 0) return true
    if (this.#options.follow !== true) return false
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      stream.watchers.add(this)
    })
    return true
  }

  /** Turns times and `last` into offsets. */
  async #limit(): Promise<void> {
    const { store, stream } = this.#shelf
    const { since, until, last } = this.#options
    if (until !== undefined) this.#end = Math.min(this.#end, await store.since(stream.name, until))
    if (since !== undefined) {
      const from = await store.since(stream.name, since)
      // Nobody knows when entries were stored that are gone: they may be of that time.
      if (from > stream.first) this.#at = Math.max(this.#at, from)
    }
    if (last !== undefined) this.#at = Math.max(this.#at, await this.#lastFrom(last))
  }

  /** The offset from which on there are `last` entries that fit. */
  async #lastFrom(last: number): Promise<number> {
    if (last === 0) return this.#end
    const { store, stream } = this.#shelf
    const { openFor, expiredBy } = this.#options
    const from = Math.max(this.#at, stream.first)
    if ((openFor === undefined || this.#shelf.openFor() === undefined) && expiredBy === undefined) {
      let at = this.#end
      for (let left = last; left > 0 && at > from; at--) if (!stream.isHole(at - 1)) left--
      return at
    }
    const found: number[] = []
    for (let at = from; at < this.#end; ) {
      const some = await this.#fitting(at, this.#end, store)
      if (some.length === 0) break
      for (const offset of some) found.push(offset)
      if (found.length > 2 * last + MOST_AT_ONCE) found.splice(0, found.length - last)
      at = (some.at(-1) as number) + 1
    }
    return found.length === 0 ? this.#end : (found.at(-last) ?? (found[0] as number))
  }

  /** Offsets from `from` on that `openFor` and `expiredBy` leave over, some of them; none when there are none. */
  async #fitting(from: number, end: number, store: Store): Promise<number[]> {
    const { openFor, expiredBy } = this.#options
    const group = openFor === undefined ? undefined : this.#shelf.openFor()
    if (expiredBy === undefined) {
      return (group as GroupState).openFrom(from, MOST_AT_ONCE).filter((offset) => offset < end)
    }
    const begin = group === undefined ? from : Math.max(from, group.oldestOpen())
    for (let at = begin; at < end; ) {
      const some = await store.expired(this.#shelf.stream.name, at, expiredBy, MOST_AT_ONCE)
      const fit = some.filter((offset) => offset < end && (group === undefined || group.isOpen(offset)))
      if (fit.length > 0 || some.length === 0) return fit
      at = (some.at(-1) as number) + 1
    }
    return []
  }

  async #piece(end: number): Promise<void> {
    const { store, stream } = this.#shelf
    const { openFor, expiredBy } = this.#options
    const some = (openFor !== undefined && this.#shelf.openFor() !== undefined) || expiredBy !== undefined
    if (this.#at < stream.first) {
      // What was removed was settled, and whether it had expired is not known any more.
      if (!some) this.#hole(this.#at, Math.min(stream.first, end) - 1, 'trimmed')
      this.#at = stream.first
      return
    }
    if (!some) {
      const page =
        this.#fromTail(end) ??
        (await readPage(store, stream.name, this.#at, Math.min(pageSize(stream), end - this.#at)))
      for (const entry of page) this.#put(entry)
      return
    }
    const offsets = await this.#fitting(this.#at, end, store)
    if (offsets.length === 0) {
      this.#at = end
      return
    }
    // A span of the stream that is not longer than a page.
    const first = offsets[0] as number
    const span = offsets.filter((offset) => offset < first + pageSize(stream))
    const last = span.at(-1) as number
    const wanted = new Set(span)
    for (let at = first; at <= last; ) {
      const page = await readPage(store, stream.name, at, last - at + 1)
      for (const entry of page) if (wanted.has(entry.offset)) this.#put(entry)
      at = (page.at(-1) as StoredEntry).offset + 1
    }
    this.#at = last + 1
  }

  #fromTail(end: number): StoredEntry[] | undefined {
    const { tail } = this.#shelf.stream
    const found: StoredEntry[] = []
    for (let at = this.#at; at < end && found.length < MOST_AT_ONCE; at++) {
      const entry = tail.get(at)
      if (entry === undefined) break
      found.push(entry)
    }
    return found.length > 0 ? found : undefined
  }

  #put(entry: StoredEntry | BadEntry): void {
    const { offset } = entry
    this.#at = offset + 1
    if (entry.type === 'bad') {
      this.#shelf.stream.hole(entry)
      this.#hole(offset, offset, entry.reason)
      return
    }
    this.#flush()
    const { message, storedAt, note } = entry
    const stream = this.#shelf.stream.name
    this.#out.push({ type: 'entry', stream, offset: String(offset), message, storedAt, note })
  }

  /** Holes that touch, of one reason, are one gap. */
  #hole(from: number, to: number, reason: Gap['reason']): void {
    if (this.#gap?.reason === reason && this.#gap.to === from - 1) {
      this.#gap.to = to
      return
    }
    this.#flush()
    this.#gap = { from, to, reason }
  }

  #flush(): void {
    if (this.#gap === undefined) return
    const { from, to, reason } = this.#gap
    this.#gap = undefined
    this.#out.push({ type: 'gap', stream: this.#shelf.stream.name, from: String(from), to: String(to), reason })
  }

  #mustBeOpen(): void {
    if (this.#shelf.isClosed()) throw new BusError('BUS_CLOSED', 'the log was closed while it was read')
  }
}
