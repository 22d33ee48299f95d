import type { Message } from '../message/message.ts'
import type { Along, Delivery, NackOptions, Offset, Settled } from './log.ts'
import type { Slot } from './slot.ts'
import type { StoredEntry } from './store.ts'

// Hot path: one object a delivery, and no promise for what is known at once.

/** Who leased the delivery. */
export interface Lessor {
  readonly stream: string
  readonly group: string
  begin(slot: Slot, token: number): Promise<boolean> | undefined
  settle(slot: Slot, token: number, as: Settled, along: Along | undefined): Promise<boolean>
  nack(slot: Slot, token: number, options: NackOptions | undefined): Promise<boolean>
  extend(slot: Slot, token: number, ms: number | undefined): Promise<boolean>
}

/** A delivery that a log hands out which keeps its leases itself. */
export class LeasedDelivery implements Delivery {
  readonly type = 'delivery'
  readonly stream: string
  readonly group: string
  readonly offset: Offset
  readonly message: Message
  readonly storedAt: number
  readonly note: string | undefined
  readonly attempt: number
  readonly dueInMs: number
  readonly suspect: boolean
  readonly sureUntilMs?: number
  readonly #lessor: Lessor
  readonly #slot: Slot
  readonly #token: number

  constructor(lessor: Lessor, slot: Slot, entry: StoredEntry, dueInMs: number, sureUntilMs?: number) {
    this.stream = lessor.stream
    this.group = lessor.group
    this.offset = String(entry.offset)
    this.message = entry.message
    this.storedAt = entry.storedAt
    this.note = slot.note ?? entry.note
    this.attempt = slot.attempts + 1
    this.dueInMs = dueInMs
    this.suspect = slot.suspect
    if (sureUntilMs !== undefined) this.sureUntilMs = sureUntilMs
    this.#lessor = lessor
    this.#slot = slot
    this.#token = slot.token
  }

  begin(): Promise<boolean> | undefined {
    return this.#lessor.begin(this.#slot, this.#token)
  }

  settle(as: Settled, along?: Along): Promise<boolean> {
    return this.#lessor.settle(this.#slot, this.#token, as, along)
  }

  nack(options?: NackOptions): Promise<boolean> {
    return this.#lessor.nack(this.#slot, this.#token, options)
  }

  extend(ms?: number): Promise<boolean> {
    return this.#lessor.extend(this.#slot, this.#token, ms)
  }
}
