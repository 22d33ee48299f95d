import type { MessageId } from '../message/ids.ts'

/** Where the first message of a key lies. */
export interface KeyPlace {
  readonly stream: string
  readonly offset: number
  readonly id: MessageId
  /** Monotonic milliseconds of its storing. */
  readonly atMs: number
}

type Generation = Map<string, Map<string, KeyPlace>>

/** Remembers keys for a time, in two generations that take turns: what is forgotten costs nothing, and nothing grows for ever. */
export class KeyWindow {
  readonly #windowMs: number
  readonly #most: number
  #young: Generation = new Map()
  #old: Generation = new Map()
  #count = 0
  #sinceMs = 0

  /** Keys live for `windowMs`, or less when there are more than `limit` of them. */
  constructor(windowMs: number, limit: number) {
    this.#windowMs = windowMs
    this.#most = Math.max(1, Math.floor(limit / 2))
  }

  get(channel: string, key: string, nowMs: number): KeyPlace | undefined {
    const place = this.#young.get(channel)?.get(key) ?? this.#old.get(channel)?.get(key)
    return place === undefined || nowMs - place.atMs >= this.#windowMs ? undefined : place
  }

  set(channel: string, key: string, place: KeyPlace): void {
    if (this.#count >= this.#most || place.atMs - this.#sinceMs >= this.#windowMs) {
      this.#old = this.#young
      this.#young = new Map()
      this.#count = 0
      this.#sinceMs = place.atMs
    }
    let keys = this.#young.get(channel)
    if (keys === undefined) this.#young.set(channel, (keys = new Map()))
    keys.set(key, place)
    this.#count++
  }
}
