import { isBusError } from '../../kit/errors.ts'
import type { Place } from './place.ts'

const ANSWER_MS = 1_000
/** As long as the others may take to find the server again, once this process has: the longest wait between their tries. */
const RETURN_MS = 2_500

/**
 * Who of those that use a channel is still there. Each process listens on a subject of its own: once its connection is gone the server
 * answers for it that nobody listens. Whoever is not there for a while is taken for dead; should it come back, its leases are void.
 */
export class Presence {
  readonly #channel: Place
  /** Since when nobody listens, and the newest batch at that time: whoever sends another one was there. */
  readonly #absent = new Map<string, { readonly sinceMs: number; readonly n: number }>()
  #subscription: { unsubscribe(): void } | undefined
  #checkedMs = 0
  #restoredMs = Number.NEGATIVE_INFINITY
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

  /** The connection stands again: what took it away may have taken those of the others, who get as much time to come back as ever. */
  restored(): void {
    this.#absent.clear()
    this.#restoredMs = this.#channel.env.monotonicMs()
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

  /** Asks all who hold something to say what they have put off. False when nobody else does. */
  async gather(): Promise<boolean> {
    const { machine } = this.#channel
    const holding = new Set<string>()
    for (const { holder } of machine.holders.values()) if (holder.slots.size > 0) holding.add(holder.instance)
    holding.delete(this.instance)
    await Promise.all([...holding].map((id) => this.#ask(id)))
    return holding.size > 0
  }

  end(): void {
    this.#subscription?.unsubscribe()
  }

  #listen(): void {
    const { link } = this.#channel.hall.io
    this.#subscription = link.connection.subscribe(this.#subject(this.instance), {
      callback: (error, message) => {
        if (error) return
        // What was put off is stored first: whoever asks looks at the end of the stream next.
        void this.#channel.sender.flushed().then(() => message.respond())
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
      this.#absent.delete(id)
      return true
    }
    const nowMs = this.#channel.env.monotonicMs()
    if (nowMs - this.#restoredMs < RETURN_MS) return true
    const n = this.#channel.machine.instances.get(id)?.n ?? 0
    const before = this.#absent.get(id)
    const since = before?.n === n ? before.sinceMs : nowMs
    this.#absent.set(id, { sinceMs: since, n })
    if (nowMs - since < this.#channel.hall.graceMs) return true
    this.#absent.delete(id)
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
