import { BusError } from '../../kit/errors.ts'
import { numberOf } from '../checks.ts'
import type { Entry, Gap, ReadOptions } from '../log.ts'
import type { Channel, Listener } from './channel.ts'
import { type RawEntry, rawEntries, storedAtOf, unpackMessage } from './codec.ts'
import { isPassing, logFault } from './faults.ts'
import { SCRIPTS } from './scripts.ts'

const PAGE = 256
const PAGE_BYTES = 1_048_576
/** Nobody waits longer than this without a look, even if a word of the server was lost. */
const LOOK_MS = 5_000
/** Who follows tries again after so long when the server did not answer, unless the connection is restored before. */
const AGAIN_MS = 500

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** What a reader needs of its log. */
export interface ReaderHost {
  readonly channel: Channel
  readonly listen: (reader: RedisReader) => Promise<void>
  readonly isClosed: () => boolean
  readonly opened: (reader: RedisReader) => void
  readonly ended: (reader: RedisReader) => void
}

/** Where a stream begins and ends. */
export interface Range {
  readonly first: number
  readonly next: number
  readonly since: number
  readonly until: number
}

/** Asks where a stream begins and ends, and where its times lie. */
export async function rangeOf(channel: Channel, stream: string, since = '', until = '', waitAt = ''): Promise<Range> {
  const reply = await channel.ask(SCRIPTS.range, [stream, since, until, waitAt])
  const [first, next, from, to] = reply as readonly number[] as [number, number, number, number]
  return { first, next, since: from, until: to }
}

/**
 * Reads a part of a stream in pages: every entry once, ascending, and every hole once. Who follows waits for a server that is away, and
 * goes on behind what was read.
 */
export class RedisReader implements AsyncIterableIterator<Entry | Gap, undefined>, Listener {
  readonly stream: string
  readonly group = ''
  readonly #host: ReaderHost
  readonly #options: ReadOptions
  #range: Promise<Range>
  readonly #ranged: () => Promise<Range>
  readonly #onAbort = (): void => this.end()
  #out: (Entry | Gap)[] = []
  #given = 0
  #gap: { from: number; to: number; readonly reason: Gap['reason'] } | undefined
  #at = 1
  #first = 1
  #end = 0
  #page = PAGE
  #begun = false
  #ended = false
  #woken = false
  #turn: Promise<unknown> = Promise.resolve()
  #wake: (() => void) | undefined

  /** `range`: the stream as it was at the call; `ranged`: as it is. */
  constructor(
    host: ReaderHost,
    stream: string,
    options: ReadOptions,
    range: Promise<Range>,
    ranged: () => Promise<Range>,
  ) {
    this.#host = host
    this.stream = stream
    this.#options = options
    this.#range = range
    this.#ranged = ranged
    const { signal } = options
    if (signal?.aborted === true) {
      this.#ended = true
      return
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    host.opened(this)
  }

  next(): Promise<IteratorResult<Entry | Gap, undefined>> {
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
    this.#host.channel.listeners.delete(this)
    this.#host.ended(this)
    this.wake()
  }

  /** The log is closed: whoever follows has reached the end, whoever reads a range is told. */
  closed(): void {
    if (this.#options.follow === true) this.end()
    this.wake()
  }

  wake(): void {
    this.#woken = true
    this.#wake?.()
    this.#wake = undefined
  }

  forgotten(): void {
    // A reader belongs to no group.
  }

  renewed(): void {
    this.wake()
  }

  async #more(): Promise<IteratorResult<Entry | Gap, undefined>> {
    try {
      while (this.#given >= this.#out.length) {
        if (this.#ended) return DONE
        this.#mustBeOpen()
        this.#out = []
        this.#given = 0
        if (!(await this.#filled())) this.end()
      }
    } catch (error) {
      this.end()
      throw error
    }
    if (this.#ended) return DONE
    return { done: false, value: this.#out[this.#given++] as Entry | Gap }
  }

  /** As {@link RedisReader.#fill}, with its faults as a log says them. */
  async #filled(): Promise<boolean> {
    const { channel } = this.#host
    this.#woken = false
    try {
      return await this.#fill()
    } catch (error) {
      if (this.#options.follow !== true || !isPassing(error)) throw logFault(`"${this.stream}" was not read`, error)
    }
    channel.listeners.add(this)
    if (!this.#begun) this.#range = this.#ranged()
    this.#range.catch(() => undefined)
    await this.#woke(AGAIN_MS)
    return true
  }

  /** Reads the next piece. False when there is nothing more. */
  async #fill(): Promise<boolean> {
    if (!this.#begun) {
      await this.#limit()
      this.#begun = true
    }
    if (this.#at < this.#end) {
      await this.#piece()
      return true
    }
    this.#flush()
    if (this.#out.length > 0) return true
    if (this.#options.follow !== true) return false
    await this.#news()
    return true
  }

  /** Resolves when there is more, or a look is due. */
  async #news(): Promise<void> {
    const { channel } = this.#host
    channel.listeners.add(this)
    await this.#host.listen(this)
    this.#woken = false
    const { next } = await rangeOf(channel, this.stream, '', '', String(this.#at))
    if (next > this.#at) {
      this.#end = next
      return
    }
    await this.#woke(LOOK_MS)
  }

  /** Resolves after so long, or when something is new. */
  async #woke(ms: number): Promise<void> {
    if (this.#woken || this.#ended) return
    await new Promise<void>((resolve) => {
      const timer = this.#host.channel.env.after(ms, () => resolve())
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  /** Turns options into offsets. */
  async #limit(): Promise<void> {
    const { from, after, since, until, last, follow } = this.#options
    const { first, next, since: sinceAt, until: untilAt } = await this.#range
    this.#first = first
    this.#end = next
    this.#at = Math.max(1, from === undefined ? (numberOf(after ?? '0') as number) + 1 : (numberOf(from) as number))
    if (until !== undefined) this.#end = Math.min(this.#end, untilAt)
    // Nobody knows when entries were stored that are gone: they may be of that time.
    if (since !== undefined && sinceAt > first) this.#at = Math.max(this.#at, sinceAt)
    if (follow === true) this.#end = Math.max(this.#end, this.#at)
    if (last !== undefined) this.#at = Math.max(this.#at, await this.#lastFrom(last))
  }

  /** The offset from which on there are `last` entries that fit. */
  async #lastFrom(last: number): Promise<number> {
    if (last === 0) return this.#end
    const { openFor, expiredBy } = this.#options
    const from = Math.max(this.#at, this.#first)
    if (openFor === undefined && expiredBy === undefined) {
      // Backwards, so that holes are not counted.
      let left = last
      let end = this.#end - 1
      while (left > 0 && end >= from) {
        const count = String(Math.min(left, 1_000))
        const page = (await this.#ask(['XREVRANGE', this.#key, `${end}-0`, `${from}-0`, 'COUNT', count])) as [Buffer][]
        if (page.length === 0) break
        left -= page.length
        end = Number.parseInt(String(page.at(-1)?.[0]), 10) - 1
      }
      return Math.max(from, end + 1)
    }
    const found: number[] = []
    for (let at = from; at > 0; ) {
      const { go, offsets } = await this.#fitting(at)
      if (offsets === undefined) return Math.max(from, this.#end - last)
      found.push(...offsets)
      if (found.length > 2 * last + PAGE) found.splice(0, found.length - last)
      at = go
    }
    return found.length === 0 ? this.#end : (found.at(-last) ?? (found[0] as number))
  }

  get #key(): string {
    return `${this.#host.channel.base}s:${this.stream}`
  }

  #ask(args: string[]): Promise<unknown> {
    return this.#host.channel.link.command(this.#key, args)
  }

  /** Offsets that `openFor` and `expiredBy` leave over, and where to go on; undefined when everything is left. */
  async #fitting(from: number): Promise<{ readonly go: number; readonly offsets: readonly number[] | undefined }> {
    const { openFor = '', expiredBy } = this.#options
    const expired = expiredBy === undefined ? '' : String(Math.min(expiredBy, Number.MAX_SAFE_INTEGER))
    const args = [this.stream, openFor === '' ? '' : `${this.stream}\n${openFor}`, from, this.#end, expired, PAGE].map(
      String,
    )
    args[1] = openFor
    const [go, ...offsets] = (await this.#host.channel.ask(SCRIPTS.fitting, args)) as [number, ...number[]]
    return go === -1 ? { go: 0, offsets: undefined } : { go, offsets }
  }

  async #piece(): Promise<void> {
    const { openFor, expiredBy } = this.#options
    const some = openFor !== undefined || expiredBy !== undefined
    if (this.#at < this.#first) {
      // What was removed was settled, and whether it had expired is not known any more.
      if (!some) this.#hole(this.#at, Math.min(this.#first, this.#end) - 1, 'trimmed')
      this.#at = this.#first
      return
    }
    const fit = some ? await this.#fitting(this.#at) : undefined
    if (fit?.offsets === undefined) {
      await this.#all(this.#at, this.#end - 1)
      return
    }
    const { offsets, go } = fit
    for (let index = 0; index < offsets.length; ) {
      // A span of the stream that is not longer than a page.
      const first = offsets[index] as number
      let last = first
      while (index < offsets.length && (offsets[index] as number) < first + this.#page)
        last = offsets[index++] as number
      const wanted = new Set(offsets)
      for (const entry of await this.#load(first, last)) {
        if (wanted.has(entry.offset)) this.#put(entry)
        this.#at = entry.offset + 1
      }
      if (this.#at <= last) index = offsets.findIndex((offset) => offset >= this.#at)
      if (index < 0) break
    }
    this.#at = go === 0 ? this.#end : go
  }

  /** Everything from an offset on, some of it. */
  async #all(from: number, to: number): Promise<void> {
    const page = await this.#load(from, to)
    for (const entry of page) {
      if (entry.offset > this.#at) await this.#missing(this.#at, entry.offset - 1)
      this.#put(entry)
      this.#at = entry.offset + 1
    }
    if (page.length > 0) return
    await this.#missing(this.#at, to)
    this.#at = to + 1
  }

  /** Retention may have come between: what it removed is no loss. */
  async #missing(from: number, to: number): Promise<void> {
    const { first } = await rangeOf(this.#host.channel, this.stream)
    this.#first = first
    if (from < first) this.#hole(from, Math.min(first - 1, to), 'trimmed')
    if (to >= first) this.#hole(Math.max(from, first), to, 'lost')
  }

  async #load(from: number, to: number): Promise<RawEntry[]> {
    const count = String(Math.min(this.#page, to - from + 1))
    const page = rawEntries(await this.#ask(['XRANGE', this.#key, `${from}-0`, `${to}-0`, 'COUNT', count]))
    let bytes = 0
    for (const { message } of page) bytes += message.length
    if (page.length > 0) {
      this.#page = Math.max(1, Math.min(PAGE, Math.floor(PAGE_BYTES / (bytes / page.length + 1))))
    }
    return page
  }

  #put({ offset, head, message: bytes, note }: RawEntry): void {
    const message = unpackMessage(bytes, this.#host.channel.env)
    // Of what is read once nothing is expected; who follows is told when it is not there any more.
    if (this.#options.follow === true) this.#host.channel.saw(this.stream, offset)
    if (message === undefined) {
      this.#hole(offset, offset, 'damaged')
      return
    }
    this.#flush()
    const { stream } = this
    const storedAt = storedAtOf(head)
    this.#out.push({ type: 'entry', stream, offset: String(offset), message, storedAt, note: note?.toString() })
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
    this.#out.push({ type: 'gap', stream: this.stream, from: String(from), to: String(to), reason })
  }

  #mustBeOpen(): void {
    if (this.#host.isClosed()) throw new BusError('BUS_CLOSED', 'the log was closed while it was read')
  }
}
