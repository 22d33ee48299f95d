import type { StoredEntry } from './store.ts'

// Hot path: a power-of-two ring, so that an offset finds its slot without a division.

const SMALLEST = 64

/** The newest entries of a stream, so that consumers near its end need no read. Bounded by count and bytes. */
export class Tail {
  readonly #mostCount: number
  readonly #mostBytes: number
  #entries: (StoredEntry | undefined)[] = new Array<StoredEntry | undefined>(SMALLEST)
  #sizes = new Float64Array(SMALLEST)
  #bytes = 0
  /** The oldest offset that is here, and the one behind the newest. */
  first: number
  next: number

  constructor(next: number, mostCount: number, mostBytes: number) {
    this.#mostCount = mostCount
    this.#mostBytes = mostBytes
    this.first = next
    this.next = next
  }

  get(offset: number): StoredEntry | undefined {
    if (offset < this.first || offset >= this.next) return undefined
    return this.#entries[offset & (this.#entries.length - 1)]
  }

  /** Adds the newest entry; what is not known here is undefined, and must be read. */
  push(offset: number, entry: StoredEntry | undefined, bytes: number): void {
    if (offset !== this.next) this.#restart(offset)
    this.next = offset + 1
    if (this.#mostCount === 0) {
      this.first = this.next
      return
    }
    if (this.next - this.first > this.#entries.length) this.#grow(offset)
    const at = offset & (this.#entries.length - 1)
    this.#entries[at] = entry
    this.#sizes[at] = bytes
    this.#bytes += bytes
    while (this.next - this.first > this.#mostCount || this.#bytes > this.#mostBytes) this.#drop()
  }

  #drop(): void {
    const at = this.first & (this.#entries.length - 1)
    this.#entries[at] = undefined
    this.#bytes -= this.#sizes[at] as number
    this.first++
  }

  #restart(offset: number): void {
    while (this.first < this.next) this.#drop()
    this.first = offset
    this.next = offset
  }

  #grow(offset: number): void {
    if (this.#entries.length >= this.#mostCount) {
      this.#drop()
      return
    }
    const entries = new Array<StoredEntry | undefined>(this.#entries.length * 2)
    const sizes = new Float64Array(entries.length)
    const from = this.#entries.length - 1
    for (let one = this.first; one < offset; one++) {
      entries[one & (entries.length - 1)] = this.#entries[one & from]
      sizes[one & (entries.length - 1)] = this.#sizes[one & from] as number
    }
    this.#entries = entries
    this.#sizes = sizes
  }
}
