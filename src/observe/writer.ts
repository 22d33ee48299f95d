import type { Env, Timer } from '../kit/env.ts'
import { isBusError } from '../kit/errors.ts'
import { Ring } from '../kit/ring.ts'
import type { Item, MessageLog } from '../log/log.ts'
import { type MessageMaker, messageMaker } from '../message/make.ts'
import type { Missing, Step } from './step.ts'

/** Most records that are stored in one step. */
const BATCH = 500
/** Milliseconds before what the log refused is tried again. */
const AGAIN_MS = 1_000

/** What happens to a step when the buffer of a journal is full. */
export type JournalOverflow =
  /** The oldest step that waits is lost (default). */
  | 'drop-oldest'
  /** The new step is lost. */
  | 'drop-newest'

/** How steps are written. */
export interface WriterSettings {
  readonly env: Env
  readonly log: MessageLog
  readonly stream: string
  readonly limit: number
  readonly overflow: JournalOverflow
  readonly flushMs: number
  /** Called when the first of several steps in a row is lost; `count` are lost by now. */
  dropped(count: number): void
  /** Called when `count` steps could not be stored. */
  failed(count: number, error: unknown): void
  /** Called after each batch that was stored. */
  written(): Promise<void>
}

/** A record on its way into the log; without a step it tells of missing ones. */
interface Leaving {
  readonly item: Item
  readonly step: Step | undefined
}

/** Steps wait here, bounded, until they are stored in batches: nobody who announces one waits for that. */
export class StepWriter {
  readonly #settings: WriterSettings
  readonly #maker: MessageMaker
  readonly #waiting = new Ring<Step>()
  /** Stays until the log has it, with the same ids: what is tried again is stored once. */
  #batch: Leaving[] = []
  #timer: Timer | undefined
  #writing: Promise<void> | undefined
  /** The newest step was lost. */
  #losing = false
  /** Lost steps of which the journal itself does not tell yet. */
  #untold = 0
  #ended = false
  heard = 0
  stored = 0
  /** Steps for which there was no room. */
  dropped = 0
  /** Steps that the log would not have, or that were left at the end. */
  lost = 0

  constructor(settings: WriterSettings) {
    this.#settings = settings
    this.#maker = messageMaker(settings.env)
  }

  /** Steps that are not stored yet. */
  get waiting(): number {
    return this.#waiting.size + stepsIn(this.#batch)
  }

  add(step: Step): void {
    this.heard++
    const { limit, overflow, env, flushMs } = this.#settings
    if (this.waiting >= limit) {
      this.#drop()
      // What is being stored already cannot make room.
      if (overflow === 'drop-newest' || this.#waiting.size === 0) return
      this.#waiting.shift()
    } else this.#losing = false
    this.#waiting.push(step)
    this.#timer ??= env.after(flushMs, () => this.#onDue())
  }

  /** Resolves once everything that was heard before the call is stored or lost; rejects with what the log says. */
  async flush(): Promise<void> {
    const upTo = this.heard
    while (this.#settledCount < upTo && !this.#ended) await this.#write()
  }

  /** Stores what is left, trying again for `limitMs`; what remains then is lost. Never rejects. */
  async end(limitMs: number): Promise<void> {
    const late = Promise.withResolvers<'late'>()
    const timer = this.#settings.env.after(limitMs, () => late.resolve('late'))
    while (this.waiting > 0 || this.#untold > 0) {
      const how = await Promise.race([this.#write().catch((error: unknown) => ({ error })), late.promise])
      if (how === 'late') break
      if (how === undefined) continue
      if (isBusError(how.error, 'BUS_CLOSED') || (await this.#pause(late.promise)) === 'late') break
    }
    timer.cancel()
    this.#ended = true
    this.#timer?.cancel()
    const left = this.waiting
    if (left === 0) return
    this.lost += left
    this.#waiting.clear()
    this.#batch = []
    this.#settings.failed(left, undefined)
  }

  get #settledCount(): number {
    return this.stored + this.dropped + this.lost
  }

  async #pause(late: Promise<'late'>): Promise<'late' | undefined> {
    const waited = Promise.withResolvers<undefined>()
    const timer = this.#settings.env.after(AGAIN_MS, () => waited.resolve(undefined))
    const how = await Promise.race([waited.promise, late])
    timer.cancel()
    return how
  }

  #onDue(): void {
    this.#timer = undefined
    const { flushMs } = this.#settings
    this.#write().then(
      () => this.#arm(flushMs),
      () => this.#arm(AGAIN_MS),
    )
  }

  #arm(delayMs: number): void {
    if (this.#ended || (this.waiting === 0 && this.#untold === 0)) return
    this.#timer ??= this.#settings.env.after(delayMs, () => this.#onDue())
  }

  #drop(): void {
    this.dropped++
    this.#untold++
    if (this.#losing) return
    this.#losing = true
    this.#settings.dropped(this.dropped)
  }

  #write(): Promise<void> {
    this.#writing ??= this.#storeAll().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  /** Stores what waits at the call. */
  async #storeAll(): Promise<void> {
    const upTo = this.heard
    do {
      if (this.#batch.length === 0) this.#fill()
      await this.#store()
    } while (this.#settledCount < upTo && this.#waiting.size > 0 && !this.#ended)
    await this.#settings.written()
  }

  async #store(): Promise<void> {
    const { log, stream, failed } = this.#settings
    const batch = this.#batch
    if (batch.length === 0) return
    try {
      const items = batch.map((one) => one.item)
      await log.append(stream, items)
      if (!this.#ended) this.stored += stepsIn(batch)
      this.#batch = []
    } catch (error) {
      if (this.#ended) return
      if (isRefusal(error)) await this.#storeOneByOne()
      else {
        failed(stepsIn(batch), error)
        throw error
      }
    }
  }

  /** One record cannot be kept as it is; it must not cost the others. */
  async #storeOneByOne(): Promise<void> {
    const { log, stream, failed } = this.#settings
    for (let one = this.#batch[0]; one !== undefined && !this.#ended; one = this.#batch[0]) {
      const { item, step } = one
      try {
        await log.append(stream, [item])
        if (step !== undefined) this.stored++
      } catch (error) {
        if (!isRefusal(error)) {
          failed(stepsIn(this.#batch), error)
          throw error
        }
        if (step?.data !== undefined) {
          this.#batch[0] = this.#leaving(withoutData(step))
          continue
        }
        if (step !== undefined) this.lost++
        failed(1, error)
      }
      this.#batch.shift()
    }
  }

  #fill(): void {
    if (this.#untold > 0) {
      const missing: Missing = { event: 'missing', time: this.#settings.env.wallMs(), count: this.#untold }
      this.#batch.push({ item: { message: this.#maker.make('journal.missing', missing) }, step: undefined })
      this.#untold = 0
    }
    while (this.#batch.length < BATCH) {
      const step = this.#waiting.shift()
      if (step === undefined) return
      this.#batch.push(this.#leaving(step))
    }
  }

  /** Data that cannot be copied is left out: that it was published stays. */
  #leaving(step: Step): Leaving {
    const topic = `journal.${step.event}`
    try {
      return { item: { message: this.#maker.make(topic, step) }, step }
    } catch {
      const plain = withoutData(step)
      return { item: { message: this.#maker.make(topic, plain) }, step: plain }
    }
  }
}

function withoutData(step: Step): Step {
  const { data: _left, ...plain } = step
  return plain
}

function stepsIn(batch: readonly Leaving[]): number {
  return batch[0] !== undefined && batch[0].step === undefined ? batch.length - 1 : batch.length
}

/** The log would never take it. */
function isRefusal(error: unknown): boolean {
  return (
    isBusError(error, 'INVALID_PAYLOAD') ||
    isBusError(error, 'PAYLOAD_TOO_LARGE') ||
    isBusError(error, 'INVALID_OPTION')
  )
}
