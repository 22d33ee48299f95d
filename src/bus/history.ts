import type { Message } from '../message/message.ts'
import type { Priority } from '../message/priority.ts'

// Hot path: noting a message writes into a slot that is there already.

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

type Slot = { -readonly [Key in keyof HistoryEntry]: HistoryEntry[Key] }

/** The newest envelopes, a fixed number of them. */
export class History {
  readonly #slots: Slot[] = []
  readonly #limit: number
  readonly #withData: boolean
  #next = 0
  #size = 0

  constructor(limit: number, withData: boolean) {
    this.#limit = limit
    this.#withData = withData
  }

  get size(): number {
    return this.#size
  }

  note(message: Message): void {
    if (this.#limit === 0) return
    let slot = this.#slots[this.#next]
    if (slot === undefined) {
      slot = blank()
      this.#slots.push(slot)
    }
    slot.id = message.id
    slot.topic = message.topic
    slot.time = message.time
    slot.from = message.from
    slot.to = message.to
    slot.session = message.session
    slot.priority = message.priority
    slot.correlationId = message.correlationId
    if (this.#withData) slot.data = message.data
    if (++this.#next === this.#limit) this.#next = 0
    if (this.#size < this.#limit) this.#size++
  }

  /** The newest `count` entries as copies, oldest first. */
  list(count: number = this.#size): readonly HistoryEntry[] {
    const entries: HistoryEntry[] = []
    const wanted = Math.min(count, this.#size)
    for (let back = wanted; back > 0; back--) {
      const at = (this.#next - back + this.#limit) % this.#limit
      entries.push({ ...(this.#slots[at] as Slot) })
    }
    return entries
  }

  clear(): void {
    this.#slots.length = 0
    this.#next = 0
    this.#size = 0
  }
}

function blank(): Slot {
  return {
    id: '',
    topic: '',
    time: 0,
    from: undefined,
    to: undefined,
    session: undefined,
    priority: 'normal',
    correlationId: undefined,
  }
}
