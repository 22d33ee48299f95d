import { BusError } from '../../kit/errors.ts'
import { numberOf } from '../checks.ts'
import type { Entry, Gap, ReadOptions } from '../log.ts'
import { entryOf } from './bodies.ts'
import type { Channel } from './channel.ts'
import type { Loss } from './losses.ts'
import type { Part } from './part.ts'
import { offsetOf } from './records.ts'

const PAGE = 256
const PAGE_BYTES = 4 * 1_024 * 1_024

/** Reads a part of a channel. */
export function readPart(channel: Channel, partName: string, options: ReadOptions): AsyncIterable<Entry | Gap> {
  // What is there at the time of the call is the end of the read.
  const synced =
    options.follow === true
      ? undefined
      : channel.mark().then(async (seq) => {
          if (seq === undefined) return undefined
          await channel.open()
          await channel.reached(seq)
          return Math.min(channel.machine.part(partName).next, offsetOf(seq, 0))
        })
  synced?.catch(() => undefined)
  return {
    [Symbol.asyncIterator]() {
      const stop = new AbortController()
      const { signal } = options
      const abort = (): void => stop.abort()
      if (signal?.aborted === true) stop.abort()
      else signal?.addEventListener('abort', abort, { once: true })
      const reader = new PartReader(channel, partName, options, stop.signal)
      const inner = reader.run(synced)
      const over = (): void => signal?.removeEventListener('abort', abort)
      const iterator: AsyncIterableIterator<Entry | Gap, undefined> = {
        async next() {
          try {
            const result = await inner.next()
            if (result.done === true) over()
            return result
          } catch (error) {
            over()
            throw error
          }
        },
        async return() {
          stop.abort()
          over()
          await inner.return(undefined)
          return { done: true, value: undefined }
        },
        async throw(error: unknown) {
          stop.abort()
          over()
          await inner.return(undefined)
          throw error
        },
        [Symbol.asyncIterator]: () => iterator,
      }
      return iterator
    },
  }
}

class PartReader {
  readonly #channel: Channel
  readonly #name: string
  readonly #options: ReadOptions
  readonly #stop: AbortSignal
  /** The offset from which on it goes on. */
  #at: number
  #end = Number.POSITIVE_INFINITY
  /** Holes before this offset were told of, or were not asked for. */
  #toldTo = 0
  /** Losses from before this read that it has not come to, and how many there are that it knows of. */
  #losses: readonly Loss[]
  #known: number

  constructor(channel: Channel, name: string, options: ReadOptions, stop: AbortSignal) {
    this.#channel = channel
    this.#name = name
    this.#options = options
    this.#stop = stop
    this.#losses = channel.losses.all
    this.#known = this.#losses.length
    const { from, after } = options
    this.#at = Math.max(1, from === undefined ? (numberOf(after ?? '0') as number) + 1 : (numberOf(from) as number))
  }

  async *run(synced: Promise<number | undefined> | undefined): AsyncGenerator<Entry | Gap, undefined> {
    if (this.#stop.aborted) return
    this.#mustBeOpen()
    if (synced !== undefined) {
      const end = await synced
      if (end === undefined) {
        yield* this.#lost(Number.POSITIVE_INFINITY)
        return
      }
      this.#end = end
    } else await this.#channel.sync()
    this.#limit()
    this.#toldTo = this.#at
    for (;;) {
      yield* this.#rewind()
      if (this.#stop.aborted) return
      if (this.#channel.closed && this.#options.follow === true) return
      this.#mustBeOpen()
      let any = false
      for await (const one of this.#page()) {
        any = true
        yield one
        if (this.#stop.aborted) return
      }
      if (any || this.#at < Math.min(this.#end, this.#part.next)) continue
      if (this.#options.follow !== true) {
        yield* this.#lost(Number.POSITIVE_INFINITY)
        return
      }
      await this.#grown()
    }
  }

  get #part(): Part {
    return this.#channel.machine.part(this.#name)
  }

  #mustBeOpen(): void {
    if (this.#channel.closed) throw new BusError('BUS_CLOSED', 'the log was closed while it was read')
  }

  get #selects(): boolean {
    const { openFor, expiredBy } = this.#options
    return (
      (openFor !== undefined && this.#channel.machine.group(this.#name, openFor) !== undefined) ||
      expiredBy !== undefined
    )
  }

  /** Turns times and `last` into offsets. */
  #limit(): void {
    const part = this.#part
    const { since, until, last } = this.#options
    if (until !== undefined) {
      const number = part.numberSince(until)
      if (number < part.end) this.#end = Math.min(this.#end, part.offsetAt(number))
    }
    if (since !== undefined) {
      const number = part.numberSince(since)
      // Nobody knows when entries were stored that are gone: they may be of that time.
      if (number > part.head) this.#at = Math.max(this.#at, number < part.end ? part.offsetAt(number) : part.next)
    }
    if (last === undefined) return
    let left = last
    let number = this.#endNumber()
    const first = part.numberFrom(this.#at)
    for (; left > 0 && number > first; number--) if (this.#fits(number - 1)) left--
    // As many as were asked for are there.
    if (left === 0) this.#losses = []
    this.#at = Math.max(this.#at, number < part.end ? part.offsetAt(number) : part.next)
  }

  #endNumber(): number {
    return this.#end === Number.POSITIVE_INFINITY ? this.#part.end : this.#part.numberFrom(this.#end)
  }

  #fits(number: number): boolean {
    const { openFor, expiredBy } = this.#options
    const part = this.#part
    if (
      expiredBy !== undefined &&
      (part.expiresAt(number) > expiredBy || part.expiresAt(number) === Number.POSITIVE_INFINITY)
    )
      return false
    const group = openFor === undefined ? undefined : this.#channel.machine.group(this.#name, openFor)
    return group === undefined || group.isOpen(part.offsetAt(number))
  }

  async *#page(): AsyncGenerator<Entry | Gap> {
    const part = this.#part
    const trimmed = part.lastTrimmed
    if (this.#at <= trimmed) {
      const from = Math.max(this.#at, part.firstEver)
      this.#at = trimmed + 1
      // What was removed was settled, and whether it had expired is not known any more.
      if (!this.#selects) yield this.#gap(from, Math.min(trimmed, this.#end - 1), 'trimmed')
    }
    const found: number[] = []
    let bytes = 0
    let number = part.numberFrom(this.#at)
    const end = this.#endNumber()
    for (; number < end && found.length < PAGE && bytes < PAGE_BYTES; number++) {
      if (!this.#fits(number)) continue
      found.push(number)
      bytes += part.bytesAt(number)
    }
    const heads = found.map((one) => part.headAt(one))
    this.#at =
      number < end ? part.offsetAt(number) : Math.max(this.#at, end < part.end ? part.offsetAt(end) : part.next)
    const bodies = await Promise.all(heads.map(({ offset }) => this.#body(offset)))
    for (const [index, { offset, at }] of heads.entries()) {
      yield* this.#holes(offset)
      const entry = entryOf(offset, at, bodies[index], this.#channel.env)
      // A page that was asked for before a trim may find its entries gone.
      if (entry.type === 'bad') {
        const reason = offset <= part.lastTrimmed ? 'trimmed' : entry.reason
        if (reason === 'lost') void this.#channel.supply.missed(this.#name, offset)
        yield this.#gap(offset, offset, reason)
      } else {
        const { message, storedAt, note } = entry
        yield { type: 'entry', stream: part.stream, offset: String(offset), message, storedAt, note }
      }
    }
    yield* this.#holes(this.#at)
  }

  async #body(offset: number): ReturnType<Channel['bodies']['load']> {
    try {
      return await this.#channel.bodies.load(offset)
    } catch (error) {
      throw new BusError('STORE_FAILED', `the stream "${this.#part.stream}" could not be read`, { cause: error })
    }
  }

  /** Holes that were found between the records of the channel, as far as they lie before the offset. */
  *#holes(before: number): Generator<Gap> {
    yield* this.#lost(before)
    if (this.#selects) return
    for (const gap of this.#part.gaps) {
      // Those of one entry are told in its place.
      if (gap.from === gap.to || Number(gap.to) < this.#toldTo) continue
      if (Number(gap.from) >= before) return
      this.#toldTo = Number(gap.to) + 1
      yield gap
    }
  }

  /** What the server had, lost, and has put something else in the place of, as far as that lies before the offset. */
  *#lost(before: number): Generator<Gap> {
    for (let loss = this.#losses[0]; loss !== undefined && loss.place <= before; loss = this.#losses[0]) {
      this.#losses = this.#losses.slice(1)
      const { since = 0, after, from = after } = this.#options
      if (since <= loss.wall) yield* this.#gapOf(loss, from === undefined ? 0 : (numberOf(from) as number))
    }
  }

  /** The server has lost entries just now: of those this read misses what it had not come to, and goes on with what is there instead. */
  *#rewind(): Generator<Gap> {
    const { all } = this.#channel.losses
    for (; this.#known < all.length; this.#known++) {
      const loss = all[this.#known] as Loss
      yield* this.#gapOf(loss, this.#at)
      this.#at = Math.min(this.#at, Math.max(1, loss.place))
      this.#toldTo = Math.min(this.#toldTo, this.#at)
    }
  }

  *#gapOf({ gaps }: Loss, from: number): Generator<Gap> {
    const gap = gaps.get(this.#name)
    if (gap === undefined || this.#selects || Number(gap.to) < from) return
    yield { ...gap, from: String(Math.max(Number(gap.from), from)) }
  }

  #gap(from: number, to: number, reason: Gap['reason']): Gap {
    return { type: 'gap', stream: this.#part.stream, from: String(from), to: String(to), reason }
  }

  /** Resolves when there is more, or the end. */
  #grown(): Promise<void> {
    return new Promise((resolve) => {
      const { watchers } = this.#channel
      const wake = (): void => {
        watchers.delete(wake)
        this.#stop.removeEventListener('abort', wake)
        resolve()
      }
      watchers.add(wake)
      this.#stop.addEventListener('abort', wake, { once: true })
      // Something may have come before anybody listened.
      if (this.#stop.aborted || this.#channel.closed || this.#at < this.#part.next) wake()
    })
  }
}
