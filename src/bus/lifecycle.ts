import { BusError } from '../kit/errors.ts'
import type { Core } from './core.ts'
import type { Directory } from './directory.ts'
import type { Queue } from './queue.ts'
import type { Sender } from './sender.ts'
import type { Subscriptions } from './subscriptions.ts'

/** What a drain did. */
export interface DrainReport {
  /** Deliveries that were finished meanwhile. */
  readonly handled: number
  /** Messages that still waited at the end: live ones left through `onFailure` with reason "shutdown", kept ones are in the log. */
  readonly left: number
  /** Handlers that still ran at the end: their signals were aborted. */
  readonly abandoned: number
  /**
   * For a bus with a log: messages that groups have still to handle, in hand or not, waiting for another try or not. They are kept for
   * the next start. Absent when the log does not say.
   */
  readonly kept?: number
}

/** Starts and stops a bus, in the order in which it happens. */
export class Lifecycle {
  readonly #core: Core
  readonly #sender: Sender
  readonly #subscriptions: Subscriptions
  readonly #directory: Directory
  #draining: Promise<DrainReport> | undefined
  /** Monotonic milliseconds at which the drain under way gives up. */
  #untilMs = 0
  #closing: Promise<DrainReport> | undefined

  constructor(core: Core, sender: Sender, subscriptions: Subscriptions, directory: Directory) {
    this.#core = core
    this.#sender = sender
    this.#subscriptions = subscriptions
    this.#directory = directory
  }

  /** Lets messages move; what was published before goes first. Throws BUS_CLOSED after `close`. */
  start(): void {
    const core = this.#core
    if (core.state === 'closed') throw new BusError('BUS_CLOSED', `bus "${core.options.name}" is closed`)
    if (core.state === 'running' || core.state === 'draining') return
    core.state = 'running'
    core.keeper?.resume()
    core.pump.go()
    this.#sender.start()
    core.far?.wake()
  }

  /** Refuses new messages, finishes what waits and runs within `limitMs`, hands the rest to `onFailure`. May be started again. */
  stop(limitMs: number): Promise<DrainReport> {
    const core = this.#core
    if (core.state === 'closed' || core.state === 'stopped') return Promise.resolve(NOTHING)
    if (core.state === 'idle') {
      core.state = 'stopped'
      this.#sender.start()
      return Promise.resolve(NOTHING)
    }
    // A second call may only shorten the wait of the first.
    this.#untilMs = Math.min(
      this.#draining === undefined ? Number.POSITIVE_INFINITY : this.#untilMs,
      core.clock.readMs() + limitMs,
    )
    core.tellSettled()
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined
    })
    return this.#draining
  }

  /** Stops, then ends everything for good. A second call does nothing and resolves as the first. */
  close(limitMs: number): Promise<DrainReport> {
    this.#closing ??= this.#close(limitMs)
    return this.#closing
  }

  async #close(limitMs: number): Promise<DrainReport> {
    const report = await this.stop(limitMs)
    const core = this.#core
    core.state = 'closed'
    this.#directory.endAll()
    this.#subscriptions.endAll()
    await core.keeper?.close(this.#untilMs - core.clock.readMs())
    core.far?.close()
    core.streams.closeAll(new BusError('STREAM_CLOSED', 'the bus was closed'))
    core.wheel.clear()
    return report
  }

  async #drain(): Promise<DrainReport> {
    const core = this.#core
    core.state = 'draining'
    // What is still in the log stays there for the next start.
    core.keeper?.pause()
    core.far?.rest()
    const before = core.accounts.total().handled
    await this.#emptied()
    core.state = 'stopped'
    const error = new BusError('BUS_CLOSED', `bus "${core.options.name}" was stopped before this was handled`)
    core.pump.paused = true
    let left = 0
    let abandoned = 0
    // Settling one may bring the next: subscribers of a higher rank get what those of a lower one are done with.
    for (let busy = true; busy; ) {
      busy = false
      for (const queue of [...this.queues()]) {
        queue.closeRoom(error)
        const cleared = queue.clear('shutdown', error)
        left += cleared
        busy ||= cleared > 0
        for (const delivery of [...queue.runs()]) {
          busy = true
          abandoned++
          delivery.abort(error)
          delivery.end('failed', undefined, 'shutdown', error)
        }
      }
    }
    core.requests.closeAll(error)
    const kept = await core.keeper?.unsettled(this.#untilMs - core.clock.readMs())
    const handled = core.accounts.total().handled - before
    return kept === undefined ? { handled, left, abandoned } : { handled, left, abandoned, kept }
  }

  /** Resolves when nothing waits or runs any more, or the time is up. Inboxes without a reader are not waited for. */
  async #emptied(): Promise<void> {
    const core = this.#core
    while (this.#busy()) {
      const leftMs = this.#untilMs - core.clock.readMs()
      if (leftMs <= 0) return
      const late = Promise.withResolvers<void>()
      const timer = core.env.after(leftMs, () => late.resolve())
      await Promise.race([core.nextSettled(), late.promise])
      timer.cancel()
    }
  }

  #busy(): boolean {
    for (const queue of this.queues()) {
      if (queue.running > 0 || (queue.size > 0 && queue.members.length > 0)) return true
    }
    return this.#core.requests.size > 0 && this.#core.accounts.outstanding > 0
  }

  /** Every queue of the bus. */
  *queues(): IterableIterator<Queue> {
    yield* this.#subscriptions.queues()
    for (const record of this.#core.agents.all()) yield record.queue
    // Ended, but some of their handlers still run.
    yield* this.#core.leaving
  }
}

const NOTHING: DrainReport = Object.freeze({ handled: 0, left: 0, abandoned: 0 })
