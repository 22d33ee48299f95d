import { BusError } from '../../kit/errors.ts'
import type { Envelope } from '../../message/message.ts'
import type { DeliveryReport, FailureReason, Outcome } from '../ack.ts'
import type { Delivery, DeliveryOwner, Note } from '../delivery.ts'
import { type Fault, faultOf } from './faults.ts'
import type { AskKind, Poured } from './side.ts'

/** Parts that may be under way before the reader says that it has room. */
export const WINDOW = 64

/** What an ask needs around it. */
export interface AskHost {
  /** Sends the value as the answer to the message. */
  reply(ask: Ask, value: unknown, name: string): void
  /** Says something to the process that asked. Throws what the wire throws. */
  say(ask: Ask, type: 'done' | 'part' | 'end', fields: object): void
  /** Everything is over. */
  over(ask: Ask): void
  /** What a handler's failure is for its requester. */
  failure(error: unknown, topic: string): BusError
  /** The data of a part as it crosses. Throws INVALID_PAYLOAD. */
  pack(part: unknown): unknown
}

/** A request, or a message with a receipt, of another process while it is in hand here: tells that process how it ends. */
export class Ask implements Note, Poured {
  readonly host: AskHost
  readonly from: string
  readonly re: string
  readonly kind: AskKind
  readonly isReceipt: boolean
  readonly awaited: Envelope | undefined
  /** The messages whose handlings wait for this one, in whatever process. */
  readonly chain: readonly string[]
  readonly frame: Delivery | undefined
  owners: readonly DeliveryOwner[] = []
  cancelled = false
  over = false
  readonly #reports: DeliveryReport[] = []
  #left = 0
  #armed = false
  #failure: BusError | undefined
  #answered = false
  readonly #running = new Set<Delivery>()
  #parts = 0
  #credit = WINDOW
  #room = Promise.withResolvers<void>()

  constructor(
    host: AskHost,
    from: string,
    re: string,
    kind: AskKind | undefined,
    message: Envelope | undefined,
    chain: readonly string[],
    frame: Delivery | undefined,
  ) {
    this.host = host
    this.from = from
    this.re = re
    this.kind = kind ?? 'one'
    this.isReceipt = kind === undefined
    this.awaited = message
    this.chain = chain
    this.frame = frame
  }

  started(delivery: Delivery): void {
    this.#running.add(delivery)
  }

  settled(name: string, outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): void {
    for (const one of this.#running) if (one.ended) this.#running.delete(one)
    this.#reports.push(reason === undefined ? { name, outcome } : { name, outcome, reason, error })
    if (outcome === 'handled') {
      if (value !== undefined) this.#answer(value, name)
    } else this.#failed(error)
    this.#left--
    this.#check()
  }

  /** A recipient that did not accept it. */
  refused(name: string, error: Error): void {
    this.#reports.push({ name, outcome: 'refused', reason: 'queue-full', error })
    this.#failed(error)
    this.#left--
    this.#check()
  }

  /** Says how many recipients there are; some may be done already. */
  arm(recipients: number): void {
    this.#left += recipients
    this.#armed = true
    this.#check()
  }

  async pour(part: unknown): Promise<void> {
    while (this.#parts >= this.#credit && !this.over) await this.#room.promise
    if (this.over) throw new BusError('STREAM_CLOSED', 'whoever asked for the stream wants no more of it')
    this.host.say(this, 'part', { n: this.#parts, data: this.host.pack(part) })
    this.#parts++
  }

  complete(): void {
    if (!this.over) this.host.say(this, 'end', { n: this.#parts })
  }

  /** The stream is complete, and nothing else is to be told. */
  finish(): void {
    this.complete()
    this.#end()
  }

  /** The reader has room for so many parts in all. */
  grant(parts: number): void {
    // A reader without measure still gets no more than what a window and its own word allow.
    this.#credit = Math.max(this.#credit, Math.min(parts, this.#parts + WINDOW))
    this.#wake()
  }

  /** Nobody waits for it any more: handlers at work hear it through their signal. */
  cancel(error: BusError): void {
    if (this.over) return
    this.cancelled = true
    for (const one of [...this.#running]) one.abort(error)
    this.#end()
  }

  /** Ends it with an error for whoever asked. */
  fail(error: BusError): void {
    if (this.over) return
    this.#tell('done', { how: 'failed', error: faultOf(error) })
    this.#end()
  }

  /** Nobody here listens: what the other process knew was old. */
  nobody(): void {
    this.#tell('done', { how: 'none' })
    this.#end()
  }

  #failed(error: unknown): void {
    this.#failure ??= this.host.failure(error, this.awaited?.topic ?? '')
  }

  #answer(value: unknown, name: string): void {
    if (this.over || this.isReceipt) return
    this.#answered = true
    if (this.kind !== 'stream') {
      this.host.reply(this, value, name)
      return
    }
    this.pour(value).then(
      () => this.finish(),
      (error: unknown) => this.fail(this.host.failure(error, this.awaited?.topic ?? '')),
    )
  }

  #check(): void {
    if (!this.#armed || this.#left > 0 || this.over) return
    if (this.isReceipt) this.#tell('done', { how: 'handled', reports: this.#reports.map(plainReport) })
    else if (this.#failure !== undefined) this.#tell('done', { how: 'failed', error: faultOf(this.#failure) })
    // Whoever waits for one answer has it by then.
    else if (!this.#answered || this.kind === 'many') this.#tell('done', { how: 'handled' })
    // The value of a plain handler may still wait for room in the stream.
    if (this.#answered && this.kind === 'stream') return
    this.#end()
  }

  #tell(type: 'done', fields: object): void {
    try {
      this.host.say(this, type, fields)
    } catch {
      // The wire takes nothing: the other process learns by its deadline, or when it misses us.
    }
  }

  #end(): void {
    if (this.over) return
    this.over = true
    this.#running.clear()
    this.#wake()
    this.host.over(this)
  }

  #wake(): void {
    this.#room.resolve()
    this.#room = Promise.withResolvers<void>()
  }
}

/** A report as it crosses. */
export interface PlainReport {
  readonly name: string
  readonly outcome: string
  readonly reason: string | undefined
  readonly error: Fault | undefined
}

function plainReport({ name, outcome, reason, error }: DeliveryReport): PlainReport {
  return { name, outcome, reason, error: error === undefined ? undefined : faultOf(error) }
}
