import { fromJson } from '../../message/codec.ts'
import type { Clocks } from '../../message/restore.ts'
import type { BadEntry, StoredEntry } from '../store.ts'
import type { Io } from './io.ts'
import { fetchRange } from './range.ts'
import { alongBody, type EntryMeta, META_HEADER, offsetOf, PER_RECORD, seqOf } from './records.ts'

/** The bytes of an entry, and its note. */
export interface Body {
  readonly bytes: Uint8Array
  readonly note: string | undefined
}

const MOST_COUNT = 32_768
const MOST_BYTES = 8 * 1_024 * 1_024
const MOST_ASKED = 512
const SLAB_BYTES = 64 * 1_024
/** From so many on that are wanted at once, they are asked for together. */
const TOGETHER = 4
const MOST_TOGETHER = 1_024
/** Those wanted next are at most so far from each other. */
const NEAR = 4_096
const MOST_AHEAD = 4_096
const MOST_AHEAD_BYTES = 4 * 1_024 * 1_024
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

interface Wanted {
  readonly offset: number
  readonly promise: Promise<Body | undefined>
  readonly resolve: (body: Body | undefined) => void
  readonly reject: (error: unknown) => void
}

/** The messages of a channel: the newest in memory, others from the server. */
export class Bodies {
  readonly #io: Io
  readonly #names: { readonly stream: string; readonly root: string }
  readonly #kept = new Map<number, Body>()
  /** What came with others that were wanted: it lies behind them, and is likely wanted next. Oldest first. */
  readonly #ahead = new Map<number, Body>()
  #aheadBytes = 0
  readonly #asked = new Map<number, Wanted>()
  #wanted: Wanted[] = []
  #fetching = false
  readonly #waiting: (() => void)[] = []
  #alone = 0
  #bytes = 0
  #slab: Uint8Array = new Uint8Array(0)
  #slabAt = 0
  /** What is kept, oldest first from `#head` on: to ask a map for its oldest key means to step over all that were deleted. */
  #order: number[] = []
  #head = 0

  constructor(io: Io, names: { readonly stream: string; readonly root: string }) {
    this.#io = io
    this.#names = names
  }

  /** Keeps the body of an entry for a while. */
  put(offset: number, bytes: Uint8Array, note: string | undefined): void {
    this.#kept.set(offset, { bytes: this.#copy(bytes), note })
    this.#bytes += bytes.length
    this.#order.push(offset)
    while (this.#kept.size > MOST_COUNT || this.#bytes > MOST_BYTES) {
      const oldest = this.#order[this.#head++] as number
      this.#bytes -= this.#kept.get(oldest)?.bytes.length ?? 0
      this.#kept.delete(oldest)
    }
    if (this.#head < MOST_COUNT) return
    this.#order = this.#order.slice(this.#head)
    this.#head = 0
  }

  /** The body, when it is in memory. */
  get(offset: number): Body | undefined {
    return this.#kept.get(offset) ?? this.#ahead.get(offset)
  }

  /** The body, wherever it is; undefined when it is not there any more. Rejects when the server cannot be asked. */
  load(offset: number): Promise<Body | undefined> {
    const kept = this.get(offset)
    if (kept !== undefined) return Promise.resolve(kept)
    let asked = this.#asked.get(offset)
    if (asked === undefined) {
      asked = { offset, ...Promise.withResolvers<Body | undefined>() }
      this.#asked.set(offset, asked)
      this.#wanted.push(asked)
      // Those that are wanted at the same moment go together.
      if (!this.#fetching) {
        this.#fetching = true
        this.#io.env.soon(() => void this.#fetch())
      }
    }
    return asked.promise
  }

  clear(): void {
    this.#kept.clear()
    this.#ahead.clear()
    this.#aheadBytes = 0
    this.#bytes = 0
    this.#order = []
    this.#head = 0
  }

  /** What came lies in a larger piece of what was received, which would stay with it. Copies lie together, and go together, oldest first. */
  #copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length > SLAB_BYTES / 16) return bytes.slice()
    if (this.#slabAt + bytes.length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#slabAt = 0
    }
    const copy = this.#slab.subarray(this.#slabAt, this.#slabAt + bytes.length)
    copy.set(bytes)
    this.#slabAt += bytes.length
    return copy
  }

  async #fetch(): Promise<void> {
    while (this.#wanted.length > 0) {
      const all = this.#wanted
      this.#wanted = []
      const near: Wanted[] = []
      for (const one of all) {
        const found = this.get(one.offset)
        if (found !== undefined) this.#answer(one, found)
        // What went along with a settlement lies in a record of another kind.
        else if (one.offset % PER_RECORD !== 0) void this.#ask(one)
        else near.push(one)
      }
      if (near.length < TOGETHER) for (const one of near) void this.#ask(one)
      else await this.#together(near.sort((a, b) => a.offset - b.offset))
    }
    this.#fetching = false
  }

  /** Asks for those that lie near the first; the others wait for their turn. */
  async #together(list: readonly Wanted[]): Promise<void> {
    const from = seqOf((list[0] as Wanted).offset)
    const near = list.filter(({ offset }) => seqOf(offset) - from < NEAR)
    this.#wanted.push(...list.slice(near.length))
    const wanted = new Map(near.map((one) => [one.offset, one]))
    let last = from - 1
    const most = Math.min(MOST_TOGETHER, near.length * 8 + 128)
    const range = { stream: this.#names.stream, filter: `${this.#names.root}e.>`, from, most }
    try {
      await fetchRange(this.#io, range, ({ seq, data, header }) => {
        last = seq
        const offset = offsetOf(seq, 0)
        const body = { bytes: data.slice(), note: metaOf(header(META_HEADER)).n }
        this.#putAhead(offset, body)
        const one = wanted.get(offset)
        wanted.delete(offset)
        if (one !== undefined) this.#answer(one, body)
      })
    } catch {
      // What did not come is asked for alone, and fails alone.
    }
    const any = wanted.size < near.length
    // The range ended before them; if it never began, there is no use in another one.
    for (const one of wanted.values()) {
      if (any && seqOf(one.offset) > last) this.#wanted.push(one)
      else void this.#ask(one)
    }
  }

  #putAhead(offset: number, body: Body): void {
    if (this.#ahead.has(offset)) return
    this.#ahead.set(offset, body)
    this.#aheadBytes += body.bytes.length
    for (const [oldest, { bytes }] of this.#ahead) {
      if (this.#ahead.size <= MOST_AHEAD && this.#aheadBytes <= MOST_AHEAD_BYTES) return
      this.#ahead.delete(oldest)
      this.#aheadBytes -= bytes.length
    }
  }

  #answer({ offset, resolve }: Wanted, body: Body | undefined): void {
    this.#asked.delete(offset)
    resolve(body)
  }

  async #ask(one: Wanted): Promise<void> {
    if (this.#alone >= MOST_ASKED) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#alone++
    try {
      this.#answer(one, await this.#get(one.offset))
    } catch (error) {
      this.#asked.delete(one.offset)
      one.reject(error)
    } finally {
      this.#alone--
      this.#waiting.shift()?.()
    }
  }

  async #get(offset: number): Promise<Body | undefined> {
    const index = offset % PER_RECORD
    const record = await this.#io.get(this.#names.stream, { seq: seqOf(offset) })
    if (record === undefined) return undefined
    if (index === 0) return { bytes: record.data, note: metaOf(record.header(META_HEADER)).n }
    const along = alongBody(record.data, index)
    return along === undefined ? undefined : { bytes: along.body, note: along.op.n }
  }
}

/** What is written beside an entry; nothing for a text that cannot be read. */
export function metaOf(text: string | undefined): EntryMeta {
  if (text === undefined || text === '') return {}
  try {
    return JSON.parse(text) as EntryMeta
  } catch {
    return {}
  }
}

/** The entry of a body. Bytes that are no message count as damaged, a body that is not there as lost. */
export function entryOf(
  offset: number,
  storedAt: number,
  body: Body | undefined,
  clocks: Clocks,
): StoredEntry | BadEntry {
  if (body === undefined) return { type: 'bad', offset, reason: 'lost' }
  try {
    const message = fromJson(JSON.parse(decoder.decode(body.bytes)), clocks)
    return { type: 'stored', offset, message, storedAt, dueAt: undefined, note: body.note }
  } catch {
    return { type: 'bad', offset, reason: 'damaged' }
  }
}
