import type { Message } from '../message/message.ts'
import type { Priority } from '../message/priority.ts'

// Hot path: noting a message keeps a reference to it; what a reader gets is made when it reads.

/** An envelope in the history; `data` only with the option `historyData`. */
export interface HistoryEntry {
  readonly id: string
  readonly topic: string
  readonly time: number
  readonly from: string | undefined
  readonly to: string | undefined
  readonly session: string | undefined
  readonly priority: Priority
  readonly correlationId: string | undefined
  readonly data?: unknown
}

/** Data above this, in bytes as measured at publish, is not kept alive by the history. */
const MOST_KEPT_BYTES = 4_096

/** The newest envelopes, a fixed number of them. */
export class History {
  readonly #slots: HistoryEntry[] = []
  readonly #limit: number
  readonly #withData: boolean
  #next = 0

  constructor(limit: number, withData: boolean) {
    this.#limit = limit
    this.#withData = withData
  }

  get size(): number {
    return this.#slots.length
  }

  /** `bytes` is the measured size of the data; NaN when it was not measured. */
  note(message: Message, bytes: number): void {
    if (this.#limit === 0) return
    this.#slots[this.#next] = bytes <= MOST_KEPT_BYTES || this.#withData ? message : entryOf(message, false)
    if (++this.#next === this.#limit) this.#next = 0
  }

  /** The newest `count` entries as copies, oldest first. */
  list(count: number = this.#slots.length): readonly HistoryEntry[] {
    const entries: HistoryEntry[] = []
    const size = this.#slots.length
    for (let back = Math.min(count, size); back > 0; back--) {
      const at = (this.#next - back + size) % size
      entries.push(entryOf(this.#slots[at] as HistoryEntry, this.#withData))
    }
    return entries
  }

  clear(): void {
    this.#slots.length = 0
    this.#next = 0
  }
}

function entryOf(message: HistoryEntry, withData: boolean): HistoryEntry {
  const { id, topic, time, from, to, session, priority, correlationId } = message
  const entry = { id, topic, time, from, to, session, priority, correlationId }
  return withData ? { ...entry, data: message.data } : entry
}
