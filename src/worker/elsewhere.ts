import type { FailureReason, Outcome } from '../bus/ack.ts'
import { errorOf, faultOf } from '../bus/far/faults.ts'
import type { FarVoice, KeptHost } from '../bus/kept.ts'
import { hexOf24 } from '../message/ids.ts'
import type { Message } from '../message/message.ts'
import type { Awaited, Done, Receipts } from './receipts.ts'

/** Milliseconds that a cancel waits for what other processes say of it. */
const CANCEL_MS = 1_000
const OUTCOMES: ReadonlySet<unknown> = new Set(['handled', 'failed', 'expired', 'dropped'])

/** What keepers need to hear each other. */
export interface ElsewhereHost {
  readonly bus: KeptHost
  readonly isShared: boolean
  readonly receipts: Receipts
  /** Ends a message that is in hand in this process. Returns for how many groups. */
  cancel(id: string): number
}

interface Cancel {
  count: number
  left: number
  readonly done: () => void
}

/** What the keepers of one log tell each other: how messages ended whose publishers wait for that, and what is cancelled. */
export class Elsewhere {
  readonly #host: ElsewhereHost
  readonly #cancels = new Map<string, Cancel>()

  constructor(host: ElsewhereHost) {
    this.#host = host
  }

  /** Whom groups of other processes shall tell how a message ended; undefined when nobody waits, or there are no others. */
  addressFor(message: Message): string | undefined {
    return this.#host.receipts.waits(message.id) ? this.#voice?.id : undefined
  }

  /** Groups that get the message in other processes, and in none of these. */
  groups(message: Message, own: readonly Awaited[]): readonly Awaited[] {
    const far = this.#voice?.keepers(message)
    if (far === undefined || far.size === 0) return []
    return [...far]
      .filter((group) => !own.some((one) => one.group === group))
      .map((group) => ({ group, queue: undefined }))
  }

  /** A group of this process is done with a message whose publisher lives elsewhere. */
  tell(to: string, message: Message, group: string, done: Done): void {
    const voice = this.#voice
    if (voice === undefined || to === voice.id) return
    const { name, outcome, reason, error } = done
    const fault = error === undefined ? {} : { error: faultOf(error) }
    voice.say(to, {
      do: 'done',
      id: message.id,
      group,
      name,
      outcome,
      ...(reason === undefined ? {} : { reason }),
      ...fault,
    })
  }

  /** Ends a message that is in hand elsewhere. Resolves to for how many groups, as far as the others answer soon. */
  async cancel(id: string): Promise<number> {
    const voice = this.#voice
    if (voice === undefined || voice.others === 0) return 0
    const { env } = this.#host.bus
    const re = hexOf24(Math.floor(env.random() * 0x100_0000)) + hexOf24(Math.floor(env.random() * 0x100_0000))
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel: Cancel = { count: 0, left: voice.others, done: resolve }
    this.#cancels.set(re, cancel)
    const timer = env.after(CANCEL_MS, resolve)
    if (voice.say(undefined, { do: 'cancel', id, re })) await promise
    timer.cancel()
    this.#cancels.delete(re)
    return cancel.count
  }

  /** What another process says: anything that is not understood is overlooked. */
  heard(from: string, fields: Readonly<Record<string, unknown>>): void {
    const { id, re } = fields
    if (fields.do === 'done') this.#done(fields)
    else if (fields.do === 'cancelled') this.#cancelled(fields)
    else if (fields.do === 'cancel' && typeof id === 'string' && typeof re === 'string') {
      this.#voice?.say(from, { do: 'cancelled', re, count: this.#host.cancel(id) })
    }
  }

  get #voice(): FarVoice | undefined {
    return this.#host.isShared ? this.#host.bus.far?.voice : undefined
  }

  #done({ id, group, name, outcome, reason, error }: Readonly<Record<string, unknown>>): void {
    if (typeof id !== 'string' || typeof group !== 'string' || !OUTCOMES.has(outcome)) return
    this.#host.receipts.tellFar(id, group, {
      name: typeof name === 'string' ? name : group,
      outcome: outcome as Outcome,
      value: undefined,
      reason: typeof reason === 'string' ? (reason as FailureReason) : undefined,
      error: error === undefined ? undefined : errorOf(error),
    })
  }

  #cancelled({ re, count }: Readonly<Record<string, unknown>>): void {
    const cancel = typeof re === 'string' ? this.#cancels.get(re) : undefined
    if (cancel === undefined) return
    if (typeof count === 'number' && Number.isInteger(count) && count > 0) cancel.count += count
    if (--cancel.left <= 0) cancel.done()
  }
}
