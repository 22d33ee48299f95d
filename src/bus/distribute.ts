import { BusError } from '../kit/errors.ts'
import { Envelope } from '../message/message.ts'
import type { Account } from './account.ts'
import type { Refusal } from './ack.ts'
import type { Core } from './core.ts'
import type { Delivery, Note } from './delivery.ts'
import type { Queue } from './queue.ts'
import { Ranks } from './receipt.ts'
import { wouldDeadlock } from './reentry.ts'
import type { Entry, Route } from './router.ts'

// Hot path: puts a made message into the queues that should have it.

/** The empty list of refusals, shared. */
export const NOBODY_REFUSED: readonly Refusal[] = Object.freeze([])

/** A queue that lets the publisher wait. */
export interface Waiting {
  readonly queue: Queue
  /** Resolves with the refusal, or with nothing once the message was accepted. */
  readonly outcome: Promise<Refusal | undefined>
}

/** What became of a message at its queues. */
export interface Delivered {
  /** Queues that took it, or let it wait. */
  readonly accepted: number
  readonly refused: readonly Refusal[]
  readonly waits: readonly Waiting[] | undefined
  /** Milliseconds by which an adaptive queue slows its publishers now. */
  readonly slowingMs: number
}

/** Gives messages to queues. */
export class Distributor {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** Counts a message that was made, and notes it in history and announcements. */
  begin(route: Route, message: Envelope, note: Note | undefined): void {
    const { channel, agent } = route
    Envelope.setAccount(message, channel.account)
    if (agent !== undefined) message.to ??= agent
    channel.messages++
    if (note !== undefined) Envelope.setNote(message, note)
    this.#core.note(message)
  }

  /**
   * Puts a message into every queue of its route. `frame` is the handling that waits for it: where waiting would never end, the message
   * goes past everything.
   */
  deliver(route: Route, message: Envelope, note: Note | undefined, frame: Delivery | undefined): Delivered {
    this.begin(route, message, note)
    const { plain } = route
    if (plain !== undefined) return this.offerAll(plain, message, note, frame)
    return this.deliverTo(route, this.#core.router.select(route, message), message, note, frame)
  }

  /** Puts a message that was counted into the queues of the entries, those of a lower rank first. */
  deliverTo(
    route: Route,
    entries: readonly Entry[],
    message: Envelope,
    note: Note | undefined,
    frame: Delivery | undefined,
  ): Delivered {
    if (!route.ranked) {
      const queues = entries.map((entry) => entry.queue)
      return this.offerAll(queues, message, note, frame)
    }
    // Handlers of a lower rank must not change what those of a higher one get.
    Object.freeze(message)
    const ranks = new Ranks(message, entries, note, (wave) => this.#sendWave(wave, message, ranks, frame))
    if (note !== undefined) note.owners = ranks.owners
    Envelope.setNote(message, ranks)
    ranks.nextWave()
    return { accepted: entries.length, refused: NOBODY_REFUSED, waits: undefined, slowingMs: 0 }
  }

  /** Puts a message into each of the queues. */
  offerAll(
    queues: readonly Queue[],
    message: Envelope,
    note: Note | undefined,
    frame: Delivery | undefined,
  ): Delivered {
    // One envelope for several recipients must not be changed by any of them.
    if (queues.length > 1) Object.freeze(message)
    if (note !== undefined) note.owners = queues
    let accepted = 0
    let refused: Refusal[] | undefined
    let waits: Waiting[] | undefined
    let slowingMs = 0
    for (let index = 0; index < queues.length; index++) {
      const queue = queues[index]!
      if (queue.closed) continue
      if (queue.slowingMs > slowingMs) slowingMs = queue.slowingMs
      if (frame !== undefined && this.#urges(queue, message, frame)) accepted++
      else if (queue.offer(message)) accepted++
      else {
        const decided = queue.overflow(message)
        if (decided.type === 'refused') {
          refused ??= []
          refused.push(this.#refuse(queue, message, decided.error))
          continue
        }
        accepted++
        if (decided.type !== 'waits') continue
        waits ??= []
        waits.push({ queue, outcome: this.#awaitRoom(queue, message, decided.outcome) })
      }
    }
    return { accepted, refused: refused ?? NOBODY_REFUSED, waits, slowingMs }
  }

  /** Hands the message past everything that waits if it would wait for ever; throws REQUEST_CYCLE where that is refused. */
  #urges(queue: Queue, message: Envelope, frame: Delivery): boolean {
    if (!wouldDeadlock(queue, message, frame)) return false
    if (this.#core.options.onCycle === 'refuse') {
      throw new BusError('REQUEST_CYCLE', `"${message.topic}" came back to "${queue.name}", which waits for it`, {
        details: { topic: message.topic, name: queue.name },
      })
    }
    queue.urge(message)
    return true
  }

  async #awaitRoom(
    queue: Queue,
    message: Envelope,
    outcome: Promise<BusError | undefined>,
  ): Promise<Refusal | undefined> {
    const error = await outcome
    return error === undefined ? undefined : this.#refuse(queue, message, error)
  }

  #refuse(queue: Queue, message: Envelope, error: BusError): Refusal {
    const account = Envelope.accountOf(message) as Account
    account.channel.refused++
    this.#core.announce('message.refused', { name: queue.name, message, error })
    return { name: queue.name, error }
  }

  #sendWave(wave: readonly Entry[], message: Envelope, ranks: Ranks, frame: Delivery | undefined): void {
    for (const { queue } of wave) {
      const { accepted, refused, waits } = this.offerAll([queue], message, undefined, frame)
      if (accepted === 0) {
        const error = refused[0]?.error ?? new BusError('SUBSCRIPTION_ENDED', `"${queue.name}" has ended`)
        ranks.settled(queue.name, 'dropped', undefined, 'queue-full', error)
      }
      for (const { outcome } of waits ?? []) {
        void outcome.then((refusal) => {
          if (refusal !== undefined) ranks.settled(queue.name, 'dropped', undefined, 'queue-full', refusal.error)
        })
      }
    }
  }
}
