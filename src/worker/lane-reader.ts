import { parkedIn } from '../bus/held.ts'
import type { KeptQueue } from '../bus/kept.ts'
import { isBusError } from '../kit/errors.ts'
import type { Delivery as Leased } from '../log/log.ts'
import type { Policy } from './channel.ts'
import type { LaneState } from './handling.ts'
import { sleepUntil } from './sleep.ts'
import type { WorkerHost } from './worker-host.ts'

/** Most messages that a group has in hand on one channel beside its windows: parked behind their sessions, or waiting for another try. */
const MOST_PARKED = 10_000
/** Milliseconds before a reader that met a fault of the log tries again. */
const AGAIN_MS = 1_000

/** Who takes what was read. */
export interface Taker {
  /** A promise, when something must be looked up first: the next one waits for it. */
  take(lane: LaneState, leased: Leased): Promise<void> | undefined
  isPaused(): boolean
  /** Messages in hand, of all lanes. */
  inHand(): number
}

/** Takes messages out of the lanes of a channel, as many as there is room for. */
export class LaneReader {
  readonly #host: WorkerHost
  readonly #policy: Policy
  readonly #group: string
  readonly #what: KeptQueue
  readonly #signal: AbortSignal
  readonly #taker: Taker

  constructor(host: WorkerHost, policy: Policy, group: string, what: KeptQueue, signal: AbortSignal, taker: Taker) {
    this.#host = host
    this.#policy = policy
    this.#group = group
    this.#what = what
    this.#signal = signal
    this.#taker = taker
  }

  /** Reads one lane until the signal is aborted; faults of the log are announced, and tried again. */
  async read(lane: LaneState): Promise<void> {
    const signal = this.#signal
    const { ackWaitMs, window } = this.#policy
    const maxInFlight = window + MOST_PARKED
    while (!signal.aborted) {
      try {
        const from = await this.#host.startIn(lane.stream, this.#what.from)
        const options = { maxInFlight, ackWaitMs, signal, ...(from === undefined ? {} : { from }) }
        const consumer = this.#host.log.consume(lane.stream, this.#group, options)[Symbol.asyncIterator]()
        for (;;) {
          while (!this.#hasRoom(lane) && !signal.aborted) await this.#roomIn(lane)
          const next = await consumer.next()
          if (next.done) break
          const taken = this.#taker.take(lane, next.value)
          if (taken !== undefined) await taken
        }
      } catch (error) {
        if (signal.aborted || isBusError(error, 'BUS_CLOSED')) return
        this.#host.announce('log.failed', { stream: lane.stream, group: this.#group, error })
        const { env } = this.#host
        await sleepUntil(env, env.monotonicMs() + AGAIN_MS, signal)
      }
    }
  }

  #hasRoom(lane: LaneState): boolean {
    if (this.#taker.isPaused()) return false
    const { window } = this.#policy
    const parked = parkedIn(this.#what.queue, lane.index)
    return lane.inHand - lane.held - parked < window && this.#taker.inHand() < 5 * window + MOST_PARKED
  }

  #roomIn(lane: LaneState): Promise<void> {
    const room = Promise.withResolvers<void>()
    lane.wake = () => {
      lane.wake = undefined
      room.resolve()
    }
    return room.promise
  }
}
