import { BusError } from '../../kit/errors.ts'
import type { Receipt } from '../receipt.ts'
import { WINDOW } from './ask.ts'
import { errorOf, faultOf } from './faults.ts'
import { type Frame, partOf } from './frames.ts'
import type { FarAsked, FarPending } from './side.ts'

/** What a request that went to other processes needs around it. */
export interface AskedHost {
  /** Says something to a process. Never throws. */
  tell(to: string, type: 'cancel' | 'credit', fields: object): void
  nameOf(id: string): string
}

/** One of our requests, as far as it waits for other processes. */
export class Asked implements FarAsked {
  readonly #host: AskedHost
  readonly #pending: FarPending
  readonly #re: string
  /** The processes that got it: those that are not done, and those that are but have not failed. */
  readonly #open: Set<string>
  readonly #done = new Set<string>()
  /** Of each process that streams: the number of its next part, how many it may send, and its last write. */
  readonly #streams = new Map<string, { next: number; granted: number; last: Promise<void>; written: number }>()

  constructor(host: AskedHost, pending: FarPending, re: string, processes: Iterable<string>) {
    this.#host = host
    this.#pending = pending
    this.#re = re
    this.#open = new Set(processes)
  }

  closed(reason: BusError | undefined): void {
    if (reason === undefined) return
    for (const id of this.#open) this.#host.tell(id, 'cancel', { re: this.#re, error: faultOf(reason) })
    this.#open.clear()
  }

  /** A process is done with it. */
  done({ from, fields }: Frame): void {
    if (!this.#open.delete(from)) return
    const last = this.#streams.get(from)?.last
    if (last === undefined) this.#settle(from, fields)
    // What it streamed before may still wait for room.
    else void last.then(() => this.#settle(from, fields))
  }

  part({ from, fields }: Frame): void {
    if (!this.#open.has(from) || this.#pending.over || this.#pending.kind !== 'stream') return
    const stream = this.#stream(from)
    const index = fields.n as number
    // Told twice: it is here already.
    if (index < stream.next) return
    if (index > stream.next || index >= stream.granted) {
      this.#pending.fail(this.#gap(from, stream.next, index))
      return
    }
    stream.next++
    const write = this.#pending.pour(partOf(fields))
    stream.last = write.then(
      () => this.#written(from),
      (error: unknown) => this.#pending.fail(error as BusError),
    )
  }

  end({ from, fields }: Frame): void {
    if (!this.#open.has(from) || this.#pending.over) return
    const stream = this.#stream(from)
    const count = fields.n as number
    if (count !== stream.next) this.#pending.fail(this.#gap(from, stream.next, count))
    else
      void stream.last.then(() => {
        if (!this.#pending.over) this.#pending.complete()
      })
  }

  /** A process that has it is gone. */
  lost(id: string, error: BusError): void {
    if (this.#open.delete(id)) this.#pending.refused(error)
    else if (this.#done.delete(id)) this.#pending.lost(error)
  }

  /** True when it waits for this process, or might still hear of it. */
  concerns(id: string): boolean {
    return this.#open.has(id) || this.#done.has(id)
  }

  #settle(from: string, fields: Frame['fields']): void {
    if (this.#pending.over) return
    if (fields.how === 'failed') this.#pending.refused(errorOf(fields.error))
    else if (fields.how === 'none') {
      const { topic } = this.#pending.message
      this.#pending.refused(
        new BusError('NO_RESPONDERS', `nobody listens on "${topic}" in "${this.#host.nameOf(from)}" any more`, {
          details: { topic, process: from },
        }),
      )
    } else {
      this.#done.add(from)
      this.#pending.settled(this.#host.nameOf(from), 'handled', undefined, undefined, undefined)
    }
  }

  #stream(from: string): { next: number; granted: number; last: Promise<void>; written: number } {
    let stream = this.#streams.get(from)
    if (stream === undefined) {
      stream = { next: 0, granted: WINDOW, last: Promise.resolve(), written: 0 }
      this.#streams.set(from, stream)
    }
    return stream
  }

  /** A part found room: half a window at a time, its process may send more. */
  #written(from: string): void {
    const stream = this.#stream(from)
    stream.written++
    if (this.#pending.over || stream.granted - stream.written > WINDOW / 2) return
    stream.granted = stream.written + WINDOW
    this.#host.tell(from, 'credit', { re: this.#re, n: stream.granted })
  }

  #gap(from: string, expected: number, found: number): BusError {
    const who = this.#host.nameOf(from)
    return new BusError('STREAM_GAP', `part ${expected} of the answer of "${who}" is missing: ${found} came`, {
      details: { process: from, expected, found },
    })
  }
}

/** A message whose publisher wants to know how it ended in other processes. */
export class AskedReceipt {
  readonly #receipt: Receipt
  readonly #open: Set<string>

  constructor(receipt: Receipt, processes: Iterable<string>) {
    this.#receipt = receipt
    this.#open = new Set(processes)
  }

  get isOver(): boolean {
    return this.#open.size === 0
  }

  done({ from, fields }: Frame): void {
    if (!this.#open.delete(from)) return
    this.#receipt.elsewhere(Array.isArray(fields.reports) ? fields.reports.slice(0, 1_000).flatMap(reportFrom) : [])
  }

  lost(id: string, name: string, error: BusError): void {
    if (this.#open.delete(id)) this.#receipt.elsewhere([{ name, outcome: 'failed', error }])
  }
}

const OUTCOMES = ['handled', 'failed', 'expired', 'dropped', 'refused'] as const

function reportFrom(told: unknown): Parameters<Receipt['elsewhere']>[0] {
  const { name, outcome, error } = (typeof told === 'object' && told !== null ? told : {}) as Record<string, unknown>
  const known = OUTCOMES.find((one) => one === outcome)
  if (typeof name !== 'string' || known === undefined) return []
  return [error === undefined ? { name, outcome: known } : { name, outcome: known, error: errorOf(error) }]
}
