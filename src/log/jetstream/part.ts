import type { Gap } from '../log.ts'
import { streamOfPart } from './names.ts'

// Hot path: columns instead of objects, since a backlog of a million entries is known here entry by entry.

/** What is known of an entry before its message is. */
export interface EntryHead {
  readonly offset: number
  readonly at: number
  readonly bytes: number
  readonly session: string | undefined
  /** Wall-clock milliseconds; Infinity for never. */
  readonly expires: number
}

/** When an entry that was stored with a delay falls due: by the wall clock, and by the time of the machine. */
export interface Due {
  readonly wall: number
  readonly ms: number
  readonly delay: number
}

/** As many removed entries are worth the copying that frees them. */
const COMPACT_AT = 4_096

/** The entries of one part of a channel. They are numbered as they come here: such a number holds within this process alone. */
export class Part {
  readonly name: string
  readonly stream: string
  readonly delays = new Map<number, Due>()
  readonly gaps: Gap[] = []
  #offsets: number[] = []
  #times: number[] = []
  #bytes: number[] = []
  #expires: number[] = []
  #sessions: (string | undefined)[] = []
  /** Numbers before {@link head} are removed; number `n` lies at `n - #base`. */
  #base = 0
  head = 0
  bytes = 0
  /** Offset of the first entry that there ever was, and of the last one that retention removed; 0 for none. */
  firstEver = 0
  lastTrimmed = 0
  /** Offset behind the newest entry. */
  next = 0

  constructor(channel: string, name: string) {
    this.name = name
    this.stream = streamOfPart(channel, name)
  }

  /** The number behind the newest entry. */
  get end(): number {
    return this.#base + this.#offsets.length
  }

  get count(): number {
    return this.end - this.head
  }

  /** Offset of the oldest kept entry; that behind the newest when there is none. */
  get first(): number {
    return this.head < this.end ? this.offsetAt(this.head) : this.next
  }

  offsetAt(number: number): number {
    return this.#offsets[number - this.#base] as number
  }

  timeAt(number: number): number {
    return this.#times[number - this.#base] as number
  }

  bytesAt(number: number): number {
    return this.#bytes[number - this.#base] as number
  }

  sessionAt(number: number): string | undefined {
    return this.#sessions[number - this.#base]
  }

  expiresAt(number: number): number {
    return this.#expires[number - this.#base] as number
  }

  headAt(number: number): EntryHead {
    return {
      offset: this.offsetAt(number),
      at: this.timeAt(number),
      bytes: this.bytesAt(number),
      session: this.sessionAt(number),
      expires: this.expiresAt(number),
    }
  }

  push({ offset, at, bytes, session, expires }: EntryHead): void {
    this.#offsets.push(offset)
    this.#times.push(at)
    this.#bytes.push(bytes)
    this.#expires.push(expires)
    this.#sessions.push(session)
    this.bytes += bytes
    this.next = offset + 1
    if (this.firstEver === 0) this.firstEver = offset
  }

  /** The number of the first kept entry with this offset or a higher one. */
  numberFrom(offset: number): number {
    return this.#search(this.#offsets, offset)
  }

  /** The number of the first kept entry stored at or after the time. */
  numberSince(at: number): number {
    return this.#search(this.#times, at)
  }

  /** The number before which all must go, that no more than so many bytes are left. */
  numberNewest(bytes: number): number {
    let left = bytes
    let number = this.end
    for (; number > this.head; number--) {
      left -= this.bytesAt(number - 1)
      if (left < 0) break
    }
    return number
  }

  /** True for an entry that is kept. */
  has(offset: number): boolean {
    const number = this.numberFrom(offset)
    return number < this.end && this.offsetAt(number) === offset
  }

  /** Removes all before the number. Returns how many went. */
  trim(number: number): number {
    const count = number - this.head
    if (count <= 0) return 0
    for (let at = this.head; at < number; at++) {
      this.bytes -= this.bytesAt(at)
      this.lastTrimmed = this.offsetAt(at)
      this.delays.delete(this.lastTrimmed)
    }
    this.head = number
    const gone = this.head - this.#base
    if (gone >= COMPACT_AT && gone >= this.#offsets.length / 2) {
      this.#offsets = this.#offsets.slice(gone)
      this.#times = this.#times.slice(gone)
      this.#bytes = this.#bytes.slice(gone)
      this.#expires = this.#expires.slice(gone)
      this.#sessions = this.#sessions.slice(gone)
      this.#base = this.head
    }
    return count
  }

  #search(column: readonly number[], wanted: number): number {
    let low = this.head - this.#base
    let high = column.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((column[middle] as number) >= wanted) high = middle
      else low = middle + 1
    }
    return low + this.#base
  }
}
