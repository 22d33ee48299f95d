import type { Place } from './place.ts'

/** Brings entries into other channels that went along with a settlement of this one: rather twice than not at all, and stored once. */
export class Forwarder {
  readonly #channel: Place
  readonly #underWay = new Map<number, Promise<void>>()

  constructor(channel: Place) {
    this.#channel = channel
  }

  /** There are entries that are not known to lie where they belong. */
  look(): void {
    for (const [offset, { stream, note }] of this.#channel.machine.outgoing) {
      if (this.#underWay.has(offset) || this.#channel.closed) continue
      const over = (): void => void this.#underWay.delete(offset)
      this.#underWay.set(offset, this.#bring(offset, stream, note).then(over, over))
    }
  }

  /** Resolves once nothing is under way. */
  async idle(): Promise<void> {
    if (this.#underWay.size > 0) await Promise.all(this.#underWay.values())
  }

  async #bring(offset: number, stream: string, note: string | undefined): Promise<void> {
    const { bodies, hall, names, sender } = this.#channel
    const body = await bodies.load(offset)
    if (body !== undefined) await hall.forward(stream, `along:${names.channel}:${offset}`, { bytes: body.bytes, note })
    await sender.submit({ t: 'sent', o: offset })
  }
}
