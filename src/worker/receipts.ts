import type { FailureReason, Outcome } from '../bus/ack.ts'
import type { Note } from '../bus/delivery.ts'
import { BusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'

interface Receipt {
  readonly note: Note
  /** Names of the queues that are not done with the message yet. */
  readonly left: string[]
}

/** Publishers that wait until the groups of this process are done with their message: each is told once for each of them. */
export class Receipts {
  readonly #all = new Map<string, Receipt>()

  /** The note is to be told of these queues. */
  expect({ id }: Message, note: Note, queues: readonly string[]): void {
    const known = this.#all.get(id)
    if (known !== undefined) known.left.push(...queues)
    else if (queues.length > 0) this.#all.set(id, { note, left: [...queues] })
  }

  /** The message was not kept after all. */
  forget({ id }: Message): void {
    this.#all.delete(id)
  }

  /** A queue is done with the message for good. */
  tell(
    { id }: Pick<Message, 'id'>,
    queue: string,
    outcome: Outcome,
    value: unknown,
    reason: FailureReason | undefined,
    error: unknown,
  ): void {
    if (this.#all.size === 0) return
    const receipt = this.#all.get(id)
    const at = receipt?.left.indexOf(queue) ?? -1
    if (receipt === undefined || at < 0) return
    receipt.left.splice(at, 1)
    if (receipt.left.length === 0) this.#all.delete(id)
    receipt.note.settled(queue, outcome, value, reason, error)
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
    for (const [id, { left }] of this.#all) {
      if (left.includes(queue))
        this.tell({ id: id as Message['id'] }, queue, 'dropped', undefined, 'unregistered', error)
    }
  }

  /** The bus has stopped: what is kept waits for the next start, and nobody waits for that. */
  stopped(bus: string): void {
    const error = new BusError('BUS_CLOSED', `bus "${bus}" was stopped before this was handled; the log keeps it`)
    for (const [id, { left }] of this.#all) {
      for (const queue of [...left])
        this.tell({ id: id as Message['id'] }, queue, 'dropped', undefined, 'shutdown', error)
    }
  }
}
