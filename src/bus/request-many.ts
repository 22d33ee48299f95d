import { BusError } from '../kit/errors.ts'
import { Ring } from '../kit/ring.ts'
import type { Message } from '../message/message.ts'
import type { Delivery } from './delivery.ts'
import type { RequestManyOptions } from './publisher.ts'
import { Pending, type RequestTable } from './request.ts'

/** Collects the answers of many; ends by count, stall, sentinel or timer, whatever comes first. */
export class ManyRequest extends Pending implements AsyncIterableIterator<Message> {
  readonly kind = 'many'
  readonly #options: RequestManyOptions
  readonly #ready = new Ring<Message>()
  #received = 0
  #ended = false
  #error: BusError | undefined = undefined
  #wake: (() => void) | undefined = undefined
  unlisten: (() => void) | undefined = undefined

  constructor(table: RequestTable, frame: Delivery | undefined, options: RequestManyOptions) {
    super(table, frame)
    this.#options = options
  }

  answered(answer: Message): void {
    if (this.#ended) return
    const { sentinel, count, stallMs } = this.#options
    if (sentinel !== undefined) {
      let isLast: boolean
      try {
        isLast = sentinel(answer)
      } catch (error) {
        this.fail(new BusError('HANDLER_FAILED', 'the sentinel of requestMany threw', { cause: error }))
        return
      }
      if (isLast) {
        this.#end(undefined)
        return
      }
    }
    this.#ready.push(answer)
    this.#received++
    if (count !== undefined && this.#received >= count) this.#end(undefined)
    else if (stallMs !== undefined) {
      const { wheel, clock } = this.table.host
      const nowMs = clock.readMs()
      wheel.add(this, nowMs + stallMs, nowMs)
    }
    this.#wake?.()
  }

  /** An error ends the loop only when there was no answer at all; otherwise what came is what there is. */
  fail(error: BusError): void {
    this.#end(this.#received === 0 || error.code === 'CANCELLED' || error.code === 'BUS_CLOSED' ? error : undefined)
  }

  /** Time is how this request ends: no error, also without an answer. */
  timeUp(): void {
    this.#end(undefined)
  }

  async next(): Promise<IteratorResult<Message>> {
    for (;;) {
      const answer = this.#ready.shift()
      if (answer !== undefined) return { done: false, value: answer }
      if (this.#ended) {
        const error = this.#error
        this.#error = undefined
        if (error !== undefined) throw error
        return { done: true, value: undefined }
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async return(): Promise<IteratorResult<Message>> {
    this.#ready.clear()
    if (!this.#ended) this.#end(undefined, new BusError('CANCELLED', 'the requester left the loop'))
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this
  }

  #end(error: BusError | undefined, why: BusError | undefined = error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.unlisten?.()
    this.close(why)
    this.#wake?.()
  }
}
