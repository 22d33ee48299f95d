import {
  aFlag,
  anObject,
  aText,
  checkOption,
  checkOptions,
  milliseconds,
  oneOf,
  type Rule,
  whole,
} from '../kit/check.ts'
import type { Clock } from '../kit/clock.ts'
import { BusError } from '../kit/errors.ts'
import type { TimerWheel } from '../kit/timer-wheel.ts'
import type { Chunk } from './publisher.ts'
import {
  StreamBuffer,
  StreamRoom,
  type StreamSetup,
  type StreamStatus,
  type StreamType,
  type WriteOptions,
} from './stream.ts'

const MAX_STREAMS = 100
const MAX_BYTES = 100 * 1_048_576
const STALL_MS = 30_000
const IDLE_MS = 300_000
/** Ended streams whose figures are still listed. */
const MOST_ENDED = 100

/** How a stream is opened. */
export interface StreamOptions {
  readonly id?: string
  readonly session?: string
  /** Who writes, and for whom; for those who list streams. */
  readonly source?: string
  readonly target?: string
  /** Default `json`. */
  readonly type?: StreamType
  /** Most chunks held. Default 1 000. */
  readonly limit?: number
  /** Milliseconds between two chunks. Default 30 000. */
  readonly stallMs?: number
  /** Milliseconds a waiting producer is kept while no reader moves. Default 300 000. */
  readonly idleMs?: number
  /** When nothing more fits: the producer waits (default) or is refused. */
  readonly overflow?: 'wait' | 'refuse'
  /** Called when a reader cancels or the time is up. */
  readonly onCancel?: (reason: unknown) => void
}

/** What is known of a stream. */
export interface StreamInfo {
  readonly id: string
  readonly session: string | undefined
  readonly source: string | undefined
  readonly target: string | undefined
  readonly type: StreamType
  readonly status: StreamStatus
  readonly chunks: number
  readonly bytes: number
  readonly held: number
  readonly readers: number
}

/** The producer's end of a stream. */
export interface StreamWriter {
  readonly id: string
  /** Resolves when there was room for the chunk. `final: true` completes the stream. */
  write(data: unknown, options?: WriteOptions): Promise<void>
  complete(): void
  fail(error: unknown): void
  info(): StreamInfo
}

const RULES: Readonly<Record<string, Rule>> = {
  id: aText,
  session: aText,
  source: aText,
  target: aText,
  type: oneOf(['text', 'audio', 'image', 'binary', 'json']),
  limit: whole(1, 1_000_000),
  stallMs: milliseconds(1),
  idleMs: milliseconds(1),
  overflow: oneOf(['wait', 'refuse']),
  onCancel: { allowed: 'a function', ok: (value) => typeof value === 'function' },
}

/** What the streams need from the bus. */
interface StreamsHost {
  readonly clock: Clock
  readonly wheel: TimerWheel
  nextId(): string
  /** The other processes, of which one may hold a stream. */
  readonly far?: { read(stream: string, from: number): AsyncIterableIterator<unknown> } | undefined
  /** Runs a user's callback; what it throws is counted, nothing more. */
  guard(run: () => void): void
}

const WRITE_RULES: Readonly<Record<string, Rule>> = {
  final: aFlag,
  metadata: anObject,
  index: whole(0),
  checksum: aText,
}

interface Listed {
  readonly buffer: StreamBuffer
  readonly options: StreamOptions
}

/** The streams of one bus: at most 100 active ones, 100 MiB together. */
export class Streams {
  readonly #host: StreamsHost
  readonly room = new StreamRoom(MAX_BYTES)
  readonly #active = new Map<string, Listed>()
  readonly #ended = new Map<string, Listed>()
  #opened = 0

  constructor(host: StreamsHost) {
    this.#host = host
    this.room.reclaim = () => {
      for (const { buffer } of this.#ended.values()) buffer.giveWay()
      for (const { buffer } of this.#active.values()) buffer.giveWay()
    }
  }

  /** What the buffer of a streamed answer needs besides its own options. */
  get setup(): Pick<StreamSetup, 'clock' | 'wheel' | 'room' | 'limit' | 'idleMs' | 'overflow' | 'keeps'> {
    const { clock, wheel } = this.#host
    return { clock, wheel, room: this.room, limit: 1_000, idleMs: IDLE_MS, overflow: 'wait', keeps: true }
  }

  /** Opens a stream. Throws INVALID_OPTION, or STREAM_FULL when 100 are active. */
  open(options: StreamOptions = {}): StreamWriter {
    checkOptions('streams.open', options, RULES)
    const id = options.id ?? this.#host.nextId()
    if (this.#active.has(id)) {
      throw new BusError('INVALID_OPTION', `streams.open: a stream "${id}" is active already`, {
        details: { owner: 'streams.open', field: 'id', value: id, allowed: 'an id of no active stream' },
      })
    }
    if (this.#active.size >= MAX_STREAMS) {
      throw new BusError('STREAM_FULL', `${MAX_STREAMS} streams are active already`, {
        details: { allowed: MAX_STREAMS },
      })
    }
    const buffer = new StreamBuffer({
      ...this.setup,
      keeps: false,
      id,
      limit: options.limit ?? 1_000,
      stallMs: options.stallMs ?? STALL_MS,
      idleMs: options.idleMs ?? IDLE_MS,
      overflow: options.overflow ?? 'wait',
      onCancel: (reason) => this.#host.guard(() => options.onCancel?.(reason)),
      onEnd: () => this.#end(id),
    })
    this.#opened++
    this.#active.set(id, { buffer, options })
    this.#ended.delete(id)
    return {
      id,
      write: async (data, writeOptions = {}) => {
        checkOptions('write', writeOptions, WRITE_RULES)
        await buffer.write(data, writeOptions)
      },
      complete: () => buffer.complete(),
      fail: (error) => buffer.fail(error),
      info: () => infoOf({ buffer, options }),
    }
  }

  /**
   * Reads a stream from a chunk on, also one of another process; an ended one as long as it is remembered. Throws STREAM_CLOSED for an
   * unknown id, at the first chunk when there are other processes to ask.
   */
  read<T = unknown>(id: string, from: number = 0): AsyncIterableIterator<Chunk<T>> {
    checkOption('streams.read', 'from', from, whole(0))
    const listed = this.#active.get(id) ?? this.#ended.get(id)
    if (listed === undefined) {
      const { far } = this.#host
      if (far !== undefined) return far.read(id, from) as AsyncIterableIterator<Chunk<T>>
      throw new BusError('STREAM_CLOSED', `there is no stream "${id}"`, { details: { stream: id } })
    }
    return listed.buffer.read(from) as AsyncIterableIterator<Chunk<T>>
  }

  /** Stops a stream's producer; false when no such stream is active. */
  cancel(id: string, reason: unknown = 'cancelled'): boolean {
    const listed = this.#active.get(id)
    listed?.buffer.cancel(reason)
    return listed !== undefined
  }

  info(id: string): StreamInfo | undefined {
    const listed = this.#active.get(id) ?? this.#ended.get(id)
    return listed === undefined ? undefined : infoOf(listed)
  }

  /** The active streams. */
  list(): readonly StreamInfo[] {
    return [...this.#active.values()].map(infoOf)
  }

  get figures(): { readonly active: number; readonly opened: number; readonly bytes: number } {
    return { active: this.#active.size, opened: this.#opened, bytes: this.room.bytes }
  }

  closeAll(error: BusError): void {
    for (const { buffer } of [...this.#active.values()]) buffer.fail(error)
    for (const { buffer } of this.#ended.values()) buffer.release()
    this.#ended.clear()
  }

  #end(id: string): void {
    const listed = this.#active.get(id)
    if (listed === undefined) return
    this.#active.delete(id)
    this.#ended.set(id, listed)
    if (this.#ended.size <= MOST_ENDED) return
    const [oldest, gone] = this.#ended.entries().next().value as [string, Listed]
    gone.buffer.release()
    this.#ended.delete(oldest)
  }
}

function infoOf({ buffer, options }: Listed): StreamInfo {
  const { session, source, target, type = 'json' } = options
  const { status, totalChunks: chunks, totalBytes: bytes, held, readers } = buffer
  return { id: buffer.setup.id, session, source, target, type, status, chunks, bytes, held, readers }
}
