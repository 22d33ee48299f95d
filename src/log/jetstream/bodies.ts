import { fromJson } from '../../message/codec.ts'
import type { Clocks } from '../../message/restore.ts'
import type { BadEntry, StoredEntry } from '../store.ts'
import type { Io } from './io.ts'
import { alongBody, type EntryMeta, META_HEADER, PER_RECORD, seqOf } from './records.ts'

/** The bytes of an entry, and its note. */
export interface Body {
  readonly bytes: Uint8Array
  readonly note: string | undefined
}

const MOST_COUNT = 8_192
const MOST_BYTES = 8 * 1_024 * 1_024
const MOST_ASKED = 512
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The messages of a channel: the newest in memory, others from the server. */
export class Bodies {
  readonly #io: Io
  readonly #stream: string
  readonly #kept = new Map<number, Body>()
  readonly #asked = new Map<number, Promise<Body | undefined>>()
  readonly #waiting: (() => void)[] = []
  #bytes = 0
  /** What is kept, oldest first from `#head` on: to ask a map for its oldest key means to step over all that were deleted. */
  #order: number[] = []
  #head = 0

  constructor(io: Io, stream: string) {
    this.#io = io
    this.#stream = stream
  }

  /** Keeps the body of an entry for a while. */
  put(offset: number, bytes: Uint8Array, note: string | undefined): void {
    // A copy: what came lies in a larger piece of what was received, which would stay with it.
    this.#kept.set(offset, { bytes: bytes.slice(), note })
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
    return this.#kept.get(offset)
  }

  /** The body, wherever it is; undefined when it is not there any more. Rejects when the server cannot be asked. */
  load(offset: number): Promise<Body | undefined> {
    const kept = this.#kept.get(offset)
    if (kept !== undefined) return Promise.resolve(kept)
    let asked = this.#asked.get(offset)
    if (asked === undefined) {
      asked = this.#ask(offset).finally(() => {
        this.#asked.delete(offset)
        this.#waiting.shift()?.()
      })
      this.#asked.set(offset, asked)
    }
    return asked
  }

  clear(): void {
    this.#kept.clear()
    this.#bytes = 0
    this.#order = []
    this.#head = 0
  }

  async #ask(offset: number): Promise<Body | undefined> {
    if (this.#asked.size >= MOST_ASKED) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    const index = offset % PER_RECORD
    const record = await this.#io.get(this.#stream, { seq: seqOf(offset) })
    if (record === undefined) return undefined
    if (index === 0) return { bytes: record.data, note: metaOf(record.headers?.get(META_HEADER)).n }
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
