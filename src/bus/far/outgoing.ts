import type { BusError } from '../../kit/errors.ts'
import type { Core } from '../core.ts'
import type { Receipt } from '../receipt.ts'
import { Asked, type AskedHost, AskedReceipt } from './asked.ts'
import type { Frame } from './frames.ts'
import type { Known } from './processes.ts'
import type { FarPending } from './side.ts'

/** What this process waits for in others: answers, streams, receipts. */
export class Outgoing {
  readonly #core: Core
  readonly #host: AskedHost
  readonly #receipts = new Map<string, AskedReceipt>()

  constructor(core: Core, host: AskedHost) {
    this.#core = core
    this.#host = host
  }

  /** The request waits for these processes from now on. */
  asked(pending: FarPending, re: string, processes: readonly string[]): void {
    pending.far = new Asked(this.#host, pending, re, processes)
  }

  expect(re: string, receipt: Receipt, processes: readonly string[]): void {
    this.#receipts.set(re, new AskedReceipt(receipt, processes))
  }

  done(frame: Frame): void {
    const re = frame.fields.re as string
    const receipt = this.#receipts.get(re)
    if (receipt === undefined) {
      this.#find(frame)?.done(frame)
      return
    }
    receipt.done(frame)
    if (receipt.isOver) this.#receipts.delete(re)
  }

  part(frame: Frame): void {
    this.#find(frame)?.part(frame)
  }

  end(frame: Frame): void {
    this.#find(frame)?.end(frame)
  }

  /** A process is gone, or cannot be reached: what waits for it ends, unless others may still answer. */
  lost({ id, name }: Pick<Known, 'id' | 'name'>, error: BusError): void {
    for (const { far } of [...this.#core.requests]) if (far instanceof Asked && far.concerns(id)) far.lost(id, error)
    for (const [re, receipt] of this.#receipts) {
      receipt.lost(id, name, error)
      if (receipt.isOver) this.#receipts.delete(re)
    }
  }

  #find({ fields }: Frame): Asked | undefined {
    const far = this.#core.requests.at(fields.re as string)?.far
    return far instanceof Asked ? far : undefined
  }
}
