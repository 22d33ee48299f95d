import type { FailureReason, Outcome } from '../bus/ack.ts'
import type { Note } from '../bus/delivery.ts'
import { BusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'

/** A group that is to handle a message. */
export interface Awaited {
  /** As its subscriptions call it. */
  readonly group: string
  /** What serves it in this process; undefined when only others serve it. */
  readonly queue: string | undefined
}

/** How a group is done with a message. */
export interface Done {
  /** Under what name it is told. */
  readonly name: string
  readonly outcome: Outcome
  readonly value: unknown
  readonly reason: FailureReason | undefined
  readonly error: unknown
}

interface Receipt {
  readonly note: Note
  /** The groups that are not done with the message yet. */
  readonly left: Awaited[]
}

/** Publishers that wait until groups are done with their message: each is told once for each of them. */
export class Receipts {
  readonly #all = new Map<string, Receipt>()

  /** The note is to be told of these groups. */
  expect({ id }: Message, note: Note, groups: readonly Awaited[]): void {
    const known = this.#all.get(id)
    if (known !== undefined) known.left.push(...groups)
    else if (groups.length > 0) this.#all.set(id, { note, left: [...groups] })
  }

  /** True while somebody waits for the message. */
  waits(id: string): boolean {
    return this.#all.size > 0 && this.#all.has(id)
  }

  /** The message was not kept after all. */
  forget({ id }: Message): void {
    this.#all.delete(id)
  }

  /** A queue of this process is done with the message for good. */
  tell({ id }: Pick<Message, 'id'>, queue: string, done: Omit<Done, 'name'>): void {
    if (this.#all.size > 0) this.#done(id, (one) => one.queue === queue, { ...done, name: queue })
  }

  /** A group is done with the message for good, in another process. */
  tellFar(id: string, group: string, done: Done): void {
    this.#done(id, (one) => one.group === group, done)
  }

  /** No group gets the message: nobody need wait for them. */
  refused({ id }: Message, name: string, error: unknown): void {
    const receipt = this.#all.get(id)
    this.#all.delete(id)
    for (const _ of receipt?.left ?? []) receipt?.note.settled(name, 'dropped', undefined, 'queue-full', error)
  }

  /** The queue takes nothing more out of the log: what is kept for it is for whoever comes next, and nobody waits for that. */
  ended(queue: string): void {
    const error = new BusError('SUBSCRIPTION_ENDED', `"${queue}" ended before it handled this; the log keeps it`)
    for (const id of [...this.#all.keys()]) {
      this.#done(id, (one) => one.queue === queue, given(queue, 'unregistered', error))
    }
  }

  /** The bus has stopped: what is kept waits for the next start, and nobody waits for that. */
  stopped(bus: string): void {
    const error = new BusError('BUS_CLOSED', `bus "${bus}" was stopped before this was handled; the log keeps it`)
    for (const [id, { left }] of [...this.#all]) {
      for (const { queue, group } of [...left])
        this.#done(id, (one) => one.group === group, given(queue ?? group, 'shutdown', error))
    }
  }

  #done(id: string, fits: (one: Awaited) => boolean, { name, outcome, value, reason, error }: Done): void {
    const receipt = this.#all.get(id)
    const at = receipt?.left.findIndex(fits) ?? -1
    if (receipt === undefined || at < 0) return
    receipt.left.splice(at, 1)
    if (receipt.left.length === 0) this.#all.delete(id)
    receipt.note.settled(name, outcome, value, reason, error)
  }
}

function given(name: string, reason: FailureReason, error: BusError): Done {
  return { name, outcome: 'dropped', value: undefined, reason, error }
}
