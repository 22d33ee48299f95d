import { isBusError } from '../../kit/errors.ts'
import type { Place } from './place.ts'

const ANSWER_MS = 1_000

/**
 * Who of those that use a channel is still there. Each process listens on a subject of its own: once its connection is gone the server
 * answers for it that nobody listens. Whoever is not there for a while is taken for dead; should it come back, its leases are void.
 */
export class Presence {
  readonly #channel: Place
  readonly #absentSince = new Map<string, number>()
  #subscription: { unsubscribe(): void } | undefined
  #checkedMs = 0
  #count = 0

  constructor(channel: Place) {
    this.#channel = channel
    this.instance = channel.sender.instance
    this.#listen()
  }

  instance: string

  /** Another name: under the old one it is void. */
  rename(): void {
    this.#subscription?.unsubscribe()
    this.instance = `${this.instance.split('~')[0]}~${++this.#count}`
    this.#listen()
  }

  /** Looks at all others. */
  async survey(): Promise<void> {
    await Promise.all([...this.#channel.machine.instances.keys()].map((id) => this.#check(id)))
  }

  /** Looks at the next one in a ring of all, so that each is looked at by one. */
  async checkNeighbour(): Promise<void> {
    const nowMs = this.#channel.env.monotonicMs()
    if (nowMs - this.#checkedMs < 900) return
    this.#checkedMs = nowMs
    const all = [...this.#channel.machine.instances.keys()].sort()
    const at = all.indexOf(this.instance)
    for (let step = 1; step < all.length; step++) {
      if (await this.#check(all[(at + step) % all.length] as string)) return
    }
  }

  /** Asks all who hold something to say what they have put off. */
  async gather(): Promise<void> {
    const { machine } = this.#channel
    const holding = new Set<string>()
    for (const { holder } of machine.holders.values()) if (holder.slots.size > 0) holding.add(holder.instance)
    holding.delete(this.instance)
    await Promise.all([...holding].map((id) => this.#ask(id)))
  }

  end(): void {
    this.#subscription?.unsubscribe()
  }

  #listen(): void {
    const { link } = this.#channel.hall.io
    this.#subscription = link.connection.subscribe(this.#subject(this.instance), {
      callback: (error, message) => {
        if (error) return
        // What was put off goes first, on the same connection.
        this.#channel.sender.flush()
        message.respond()
      },
    })
  }

  #subject(id: string): string {
    return `${this.#channel.hall.prefix}.here.${id}`
  }

  /** False when the instance was taken for dead. */
  async #check(id: string): Promise<boolean> {
    if (id === this.instance || this.#channel.closed) return true
    if (await this.#ask(id)) {
      this.#absentSince.delete(id)
      return true
    }
    const nowMs = this.#channel.env.monotonicMs()
    const since = this.#absentSince.get(id) ?? nowMs
    this.#absentSince.set(id, since)
    if (nowMs - since < this.#channel.hall.graceMs) return true
    this.#absentSince.delete(id)
    await this.#channel.sender.submit({ t: 'dead', i: id }).catch(() => undefined)
    return false
  }

  /** False when nobody listens; no answer at all says nothing. */
  async #ask(id: string): Promise<boolean> {
    try {
      await this.#channel.hall.io.link.ask(this.#subject(id), '', { timeoutMs: ANSWER_MS })
      return true
    } catch (error) {
      return !isBusError(error, 'BROKER_REFUSED')
    }
  }
}
