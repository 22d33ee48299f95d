import type { Timer } from '../../kit/env.ts'
import type { Place } from './place.ts'

const LOOK_MS = 10
const HEARTBEAT_MS = 1_000
const TURN_MS = 15

/** Lets time pass for the machine where no records do: when something falls due, and as a sign of life of those who hold something. */
export class Ticker {
  readonly #channel: Place
  readonly #presence: { checkNeighbour(): Promise<void> }
  #timer: Timer | undefined
  #atMs = Number.POSITIVE_INFINITY
  #tickedMs = Number.NEGATIVE_INFINITY
  #ended = false

  constructor(channel: Place, presence: { checkNeighbour(): Promise<void> }) {
    this.#presence = presence
    this.#channel = channel
  }

  /** Something has changed. */
  touch(): void {
    if (!this.#ended && this.#channel.locals.size > 0) this.#arm(LOOK_MS)
  }

  /** A record with nothing but the time. */
  now(): void {
    const nowMs = this.#channel.env.monotonicMs()
    if (nowMs - this.#tickedMs < LOOK_MS / 2) return
    this.#tickedMs = nowMs
    this.#channel.sender.post({ t: 'tick' })
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  #arm(ms: number): void {
    const atMs = this.#channel.env.monotonicMs() + ms
    if (atMs >= this.#atMs) return
    this.#timer?.cancel()
    this.#atMs = atMs
    this.#timer = this.#channel.env.after(ms, () => {
      this.#timer = undefined
      this.#atMs = Number.POSITIVE_INFINITY
      this.#look()
    })
  }

  #look(): void {
    const { machine, locals, sender } = this.#channel
    if (this.#ended || locals.size === 0 || !this.#channel.hall.io.link.watch.isUp) return
    const now = this.#channel.nowMs()
    const wall = this.#channel.wallMs()
    let held = false
    let mine = false
    let dueMs = Number.POSITIVE_INFINITY
    for (const group of machine.groups.values()) {
      if (group.holders.length === 0) continue
      dueMs = Math.min(dueMs, group.dueInMs(now, wall))
      for (const { slots, instance, wants } of group.holders) {
        // Who waits finds out soon when another one does not answer any more.
        if (wants && instance === sender.instance) mine = true
        if (slots.size === 0) continue
        held = true
        if (instance === sender.instance) mine = true
      }
    }
    const silentMs = this.#channel.env.monotonicMs() - sender.seenMs
    if (held) {
      void this.#presence.checkNeighbour()
      dueMs = Math.min(dueMs, HEARTBEAT_MS - silentMs + (mine ? 0 : HEARTBEAT_MS))
    }
    if (dueMs === Number.POSITIVE_INFINITY) return
    // All who wait for the same moment do not speak at once.
    const turnMs = mine ? 0 : TURN_MS * this.#turn()
    if (dueMs + turnMs <= 0) {
      this.now()
      this.#arm(LOOK_MS * 5)
    } else this.#arm(Math.min(HEARTBEAT_MS, Math.max(1, dueMs + turnMs + 1)))
  }

  #turn(): number {
    const all = [...this.#channel.machine.instances.keys()].sort()
    return Math.max(0, all.indexOf(this.#channel.sender.instance))
  }
}
