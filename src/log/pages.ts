import { BusError } from '../kit/errors.ts'
import type { BadEntry, Store, StoredEntry } from './store.ts'
import type { StreamState } from './streams.ts'

/** Most entries and about the most bytes of one page. */
const MOST_ENTRIES = 256
const MOST_BYTES = 4 * 1_024 * 1_024

/** How many entries of the stream make a page, so that large messages do not fill the memory. */
export function pageSize(stream: StreamState): number {
  const count = stream.next - stream.first
  if (count === 0) return 1
  return Math.max(1, Math.min(MOST_ENTRIES, Math.floor((MOST_BYTES * count) / Math.max(1, stream.bytes))))
}

/** Reads a page whose every offset is there: what the store does not give counts as lost. Throws STORE_FAILED. */
export async function readPage(
  store: Pick<Store, 'page'>,
  stream: string,
  from: number,
  most: number,
): Promise<readonly (StoredEntry | BadEntry)[]> {
  let page: readonly (StoredEntry | BadEntry)[]
  try {
    page = await store.page(stream, from, most)
  } catch (error) {
    if (error instanceof BusError) throw error
    throw new BusError('STORE_FAILED', `the stream "${stream}" could not be read`, { cause: error })
  }
  return page.length > 0 && page[0]?.offset === from ? page : [{ type: 'bad', offset: from, reason: 'lost' }]
}

/** Entries that a group behind the end of its stream needs, a page in hand and one ahead. */
export class Pages {
  readonly #store: Pick<Store, 'page'>
  readonly #stream: StreamState
  readonly #ready: () => void
  readonly #failed: (error: unknown) => void
  #hand: readonly (StoredEntry | BadEntry)[] = []
  #ahead: readonly (StoredEntry | BadEntry)[] = []
  /** Where single older entries come from: those that are handed out again. */
  #older: readonly (StoredEntry | BadEntry)[] = []
  #loading = false

  /** `ready` is called after a page has come, `failed` when it could not be read. */
  constructor(store: Pick<Store, 'page'>, stream: StreamState, ready: () => void, failed: (error: unknown) => void) {
    this.#store = store
    this.#stream = stream
    this.#ready = ready
    this.#failed = failed
  }

  /** The entry, if it is here; `inTurn` says that the next one will be asked for next. */
  get(offset: number, inTurn: boolean): StoredEntry | BadEntry | undefined {
    if (!inTurn) return at(this.#older, offset) ?? at(this.#hand, offset)
    let found = at(this.#hand, offset)
    if (found === undefined) {
      found = at(this.#ahead, offset)
      if (found === undefined) return undefined
      this.#hand = this.#ahead
      this.#ahead = []
    }
    const half = (this.#hand[0] as StoredEntry).offset + this.#hand.length / 2
    if (offset >= half && this.#ahead.length === 0) this.#loadAhead()
    return found
  }

  /** Reads the entry, and what follows it. */
  load(offset: number, inTurn: boolean): void {
    if (this.#loading) return
    const most = pageSize(this.#stream)
    if (inTurn) this.#load(offset, most, (page) => (this.#hand = page))
    else this.#load(offset, Math.min(most, 16), (page) => (this.#older = page))
  }

  clear(): void {
    this.#hand = []
    this.#ahead = []
    this.#older = []
  }

  #loadAhead(): void {
    const from = (this.#hand.at(-1) as StoredEntry).offset + 1
    if (this.#loading || from >= this.#stream.next || from >= this.#stream.tail.first) return
    this.#load(from, pageSize(this.#stream), (page) => (this.#ahead = page))
  }

  #load(from: number, most: number, put: (page: readonly (StoredEntry | BadEntry)[]) => void): void {
    this.#loading = true
    const { name, next } = this.#stream
    readPage(this.#store, name, from, Math.min(most, next - from)).then(
      (page) => {
        this.#loading = false
        put(page)
        this.#ready()
      },
      (error: unknown) => {
        this.#loading = false
        this.#failed(error)
      },
    )
  }
}

function at(page: readonly (StoredEntry | BadEntry)[], offset: number): StoredEntry | BadEntry | undefined {
  const first = page[0]
  return first === undefined ? undefined : page[offset - first.offset]
}
