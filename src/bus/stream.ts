import type { Clock } from '../kit/clock.ts'
import { BusError } from '../kit/errors.ts'
import { Deadline, type TimerWheel } from '../kit/timer-wheel.ts'
import { copyData, freezeAndLook } from '../message/freeze.ts'
import type { Chunk } from './publisher.ts'

/** How a stream stands; the last three are its ends. */
export type StreamStatus = 'active' | 'completed' | 'failed' | 'cancelled'

/** What kind of data the chunks hold; for those who list streams. */
export type StreamType = 'text' | 'audio' | 'image' | 'binary' | 'json'

/** The room that all streams of a bus share. */
export class StreamRoom {
  readonly maxBytes: number
  bytes = 0
  readonly #waiting: (() => void)[] = []
  /** Asks all streams to give back what nobody needs; set by who knows them. */
  reclaim: () => void = () => undefined

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** True while some producer waits for room. */
  get isScarce(): boolean {
    return this.#waiting.length > 0
  }

  take(bytes: number): void {
    this.bytes += bytes
  }

  give(bytes: number): void {
    this.bytes -= bytes
    for (const wake of this.#waiting.splice(0)) wake()
  }

  freed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

export interface StreamSetup {
  readonly id: string
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly room: StreamRoom
  /** Most chunks held: unread ones, and read ones for observers who come later. */
  readonly limit: number
  /** Milliseconds between two chunks after which the stream fails. */
  readonly stallMs: number
  /** Milliseconds without any progress of a reader after which a waiting producer's stream fails. */
  readonly idleMs: number
  readonly overflow: 'wait' | 'refuse'
  /** An ended stream belongs to whoever holds it, and no longer to the shared room; else it is freed once it was read. */
  readonly keeps: boolean
  readonly onCancel: (reason: unknown) => void
  readonly onEnd: () => void
}

/** What goes with a chunk, and what is checked of it. */
export interface WriteOptions {
  readonly final?: boolean
  readonly metadata?: Readonly<Record<string, unknown>>
  /** Refused with STREAM_GAP unless it is the next index. */
  readonly index?: number
  /** CRC-32 as 8 hex digits; refused with STREAM_CHECKSUM unless it fits the data. */
  readonly checksum?: string
}

/** A chunk on its way in. */
interface Held<T> {
  readonly data: T
  readonly loose: boolean
  readonly size: number
  readonly checksum: string | undefined
  readonly options: WriteOptions
}

interface Reader {
  next: number
  wake: (() => void) | undefined
}

// Loaded with the first chunk: a program that streams nothing does not wait for it.
let zlib: typeof import('node:zlib') | undefined

const NO_METADATA = Object.freeze({})

/** CRC-32 of text or bytes as 8 hex digits; undefined for other data. */
export function checksumOf(data: unknown): string | undefined {
  if (typeof data !== 'string' && !ArrayBuffer.isView(data)) return undefined
  const bytes = typeof data === 'string' ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  zlib ??= process.getBuiltinModule('node:zlib')
  return zlib.crc32(bytes).toString(16).padStart(8, '0')
}

/**
 * The chunks of one stream between one producer and any number of readers. Every reader gets every chunk in order; the producer waits
 * for the slowest one. The last `limit` chunks stay for readers who come later.
 */
export class StreamBuffer<T = unknown> extends Deadline {
  readonly setup: StreamSetup
  status: StreamStatus = 'active'
  error: unknown = undefined
  totalChunks = 0
  totalBytes = 0
  readonly #chunks: { readonly chunk: Chunk<T>; readonly loose: boolean }[] = []
  #first = 0
  readonly #readers = new Set<Reader>()
  #room = Promise.withResolvers<void>()
  #writersWaiting = 0
  #lastWrite: Promise<void> = Promise.resolve()
  /** Not counted in the shared room any more. */
  #left = false
  #lastMs: number

  constructor(setup: StreamSetup) {
    super()
    this.setup = setup
    this.#lastMs = setup.clock.readMs()
    setup.wheel.add(this, this.#lastMs + setup.stallMs, this.#lastMs)
  }

  get readers(): number {
    return this.#readers.size
  }

  /** Chunks held now. */
  get held(): number {
    return this.#chunks.length
  }

  /**
   * Adds a chunk; resolves when there was room for it. Rejects with STREAM_CLOSED, STREAM_FULL (overflow "refuse"), STREAM_GAP or
   * STREAM_CHECKSUM; a refused chunk changes nothing.
   */
  async write(data: T, options: WriteOptions = {}): Promise<void> {
    this.#mustBeActive()
    const { loose, bytes: size } = freezeAndLook(data, this.setup.room.maxBytes)
    const checksum = checksumOf(data)
    if (options.checksum !== undefined && options.checksum !== checksum) {
      const index = this.totalChunks
      const text = `chunk ${index} of stream "${this.setup.id}" has checksum ${checksum}`
      throw new BusError('STREAM_CHECKSUM', text, {
        details: { stream: this.setup.id, index, expected: options.checksum, found: checksum },
      })
    }
    // What cannot be frozen is copied: the producer may go on using its buffer.
    const held: Held<T> = { data: loose ? copyData(data) : data, loose, size, checksum, options }
    if (this.#writersWaiting === 0 && this.#makeRoom(size)) this.#append(held)
    else await this.#appendLater(held)
  }

  /** In turn: a later write must not overtake one that waits for room. */
  #appendLater(held: Held<T>): Promise<void> {
    if (this.setup.overflow === 'refuse') throw this.#full()
    const before = this.#lastWrite
    const mine = (async () => {
      await before
      await this.#waitForRoom(held.size)
      this.#append(held)
    })()
    this.#writersWaiting++
    this.#lastWrite = mine
      .catch(() => undefined)
      .finally(() => {
        this.#writersWaiting--
      })
    return mine
  }

  /** Ends the stream without another chunk. */
  complete(): void {
    this.#end('completed', undefined)
  }

  fail(error: unknown): void {
    this.#end('failed', error)
  }

  /** Stops the producer; readers end with STREAM_CLOSED. */
  cancel(reason: unknown): void {
    if (this.status !== 'active') return
    // The producer first: once the stream has ended, nobody would tell it any more.
    this.setup.onCancel(reason)
    this.#end('cancelled', new BusError('STREAM_CLOSED', `stream "${this.setup.id}" was cancelled`, { cause: reason }))
  }

  /**
   * Reads from chunk `from` on, each chunk once, ascending. Throws STREAM_GAP when that chunk is held no more, and what ended the
   * stream otherwise than by completion.
   */
  async *read(from: number = 0): AsyncGenerator<Chunk<T>, void, undefined> {
    const reader: Reader = { next: from, wake: undefined }
    this.#readers.add(reader)
    try {
      for (;;) {
        if (reader.next < this.#first) this.#gap(reader.next)
        const held = this.#chunks[reader.next - this.#first]
        if (held !== undefined) {
          reader.next++
          this.#progress()
          // Readers must not change each other's bytes.
          yield held.loose ? Object.freeze({ ...held.chunk, data: copyData(held.chunk.data) }) : held.chunk
        } else if (this.status === 'completed') return
        else if (this.status !== 'active') throw this.error
        else
          await new Promise<void>((resolve) => {
            reader.wake = resolve
          })
      }
    } finally {
      this.#readers.delete(reader)
      this.#progress()
      if (this.status !== 'active' && !this.setup.keeps && this.#readers.size === 0 && reader.next >= this.totalChunks)
        this.release()
    }
  }

  /** Gives back what every reader has read, or everything when the stream has ended unread. */
  giveWay(): void {
    if (this.status !== 'active' && this.#readers.size === 0) this.release()
    else this.#evict(this.#needed() - this.#first)
  }

  override onDue(): void {
    const { id, stallMs, idleMs, clock, wheel } = this.setup
    const nowMs = clock.readMs()
    const limitMs = this.#writersWaiting > 0 ? idleMs : stallMs
    const quietMs = nowMs - this.#lastMs
    if (quietMs < limitMs) {
      wheel.add(this, this.#lastMs + limitMs, nowMs)
      return
    }
    const error = new BusError('STREAM_TIMEOUT', `stream "${id}" had no chunk for ${Math.round(quietMs)} ms`, {
      details: { stream: id, limitMs },
    })
    this.setup.onCancel(error)
    this.fail(error)
  }

  /** Gives the room of everything held back; late readers get STREAM_GAP. */
  release(): void {
    this.#evict(this.#chunks.length)
  }

  #append({ data, loose, size, checksum, options }: Held<T>): void {
    this.#mustBeActive()
    const final = options.final ?? false
    if (options.index !== undefined && options.index !== this.totalChunks) {
      throw new BusError(
        'STREAM_GAP',
        `stream "${this.setup.id}" expects chunk ${this.totalChunks}, got ${options.index}`,
        { details: { stream: this.setup.id, expected: this.totalChunks, found: options.index } },
      )
    }
    const index = this.totalChunks++
    const metadata = options.metadata ?? NO_METADATA
    const nowMs = this.setup.clock.nowMs()
    const time = this.setup.clock.wallMs(nowMs)
    const chunk = Object.freeze({ streamId: this.setup.id, index, data, final, size, checksum, metadata, time })
    this.#chunks.push({ chunk, loose })
    this.totalBytes += size
    this.setup.room.take(size)
    this.#lastMs = nowMs
    if (final) this.#end('completed', undefined)
    else this.#wakeReaders()
  }

  #end(status: StreamStatus, error: unknown): void {
    if (this.status !== 'active') return
    this.status = status
    this.error = error
    this.setup.wheel.remove(this)
    if (this.setup.keeps) this.#leaveRoom()
    this.#wakeReaders()
    this.#room.resolve()
    this.setup.onEnd()
  }

  /** The oldest chunk that some reader has not read; all of them while nobody reads. */
  #needed(): number {
    let needed = this.#readers.size === 0 ? this.#first : this.totalChunks
    for (const reader of this.#readers) needed = Math.min(needed, reader.next)
    return needed
  }

  #makeRoom(size: number): boolean {
    const { limit, room } = this.setup
    const over = this.#chunks.length + 1 - limit
    const read = Math.max(0, this.#needed() - this.#first)
    if (over > 0) this.#evict(Math.min(over, read))
    if (room.bytes + size > room.maxBytes) room.reclaim()
    return this.#chunks.length < limit && (room.bytes + size <= room.maxBytes || room.bytes === 0)
  }

  async #waitForRoom(size: number): Promise<void> {
    while (this.status === 'active' && !this.#makeRoom(size)) {
      await Promise.race([this.setup.room.freed(), this.#room.promise])
    }
  }

  #full(): BusError {
    const { id, limit } = this.setup
    const chunks = this.#chunks.length
    return new BusError('STREAM_FULL', `stream "${id}" is full (${chunks} chunks unread)`, {
      details: { stream: id, chunks, limit },
    })
  }

  #evict(count: number): void {
    if (count <= 0) return
    let bytes = 0
    for (const { chunk } of this.#chunks.splice(0, count)) bytes += chunk.size
    this.#first += count
    if (!this.#left) this.setup.room.give(bytes)
  }

  #leaveRoom(): void {
    let bytes = 0
    for (const { chunk } of this.#chunks) bytes += chunk.size
    this.#left = true
    this.setup.room.give(bytes)
  }

  #progress(): void {
    if (this.setup.room.isScarce) this.giveWay()
    if (this.#writersWaiting === 0) return
    this.#lastMs = this.setup.clock.nowMs()
    this.#room.resolve()
    this.#room = Promise.withResolvers<void>()
  }

  #wakeReaders(): void {
    for (const reader of this.#readers) {
      reader.wake?.()
      reader.wake = undefined
    }
  }

  #gap(wanted: number): never {
    throw new BusError(
      'STREAM_GAP',
      `chunk ${wanted} of stream "${this.setup.id}" is held no more; the first one is ${this.#first}`,
      {
        details: { stream: this.setup.id, wanted, first: this.#first },
      },
    )
  }

  #mustBeActive(): void {
    if (this.status === 'active') return
    throw new BusError('STREAM_CLOSED', `stream "${this.setup.id}" is ${this.status}`, {
      cause: this.error,
      details: { stream: this.setup.id, status: this.status },
    })
  }
}
