import type { KeptHost } from '../bus/kept.ts'
import type { Timer } from '../kit/env.ts'
import { channelOf, type MessageLog } from '../log/log.ts'
import { type Channel, type Channels, DEAD_GROUP } from './channel.ts'

/** Milliseconds between two looks for what expired, and for what retention may remove. */
const SWEEP_MS = 15_000
/** Milliseconds between two looks for channels that other processes made. */
const DISCOVER_MS = 1_000

/** What settles its own expired messages. */
export interface Swept {
  sweep(wallMs: number): Promise<void>
}

/** The dead letters, as far as their time may be over. */
export interface Aging {
  /** Drops what died before a wall-clock time. */
  evictBefore(channel: string, wallMs: number): Promise<void>
}

/** What is done now and then: what expired is settled, what retention allows is removed, channels of other processes are met. */
export class Upkeep {
  readonly #host: KeptHost
  readonly #log: MessageLog
  readonly #channels: Channels
  readonly #swept: () => Iterable<Swept>
  readonly #letters: Aging
  #sweep: Timer | undefined
  #discovery: Timer | undefined
  #ended = false

  constructor(host: KeptHost, log: MessageLog, channels: Channels, swept: () => Iterable<Swept>, letters: Aging) {
    this.#host = host
    this.#log = log
    this.#channels = channels
    this.#swept = swept
    this.#letters = letters
    this.#armSweep()
  }

  async sweep(): Promise<void> {
    const wallMs = this.#host.env.wallMs()
    for (const one of [...this.#swept()]) await one.sweep(wallMs)
    for (const channel of this.#channels.all()) await this.#trim(channel, wallMs)
  }

  /** Somebody wants messages of channels that he does not name: from now on those that other processes make are met soon. */
  discover(): void {
    if (this.#ended) return
    this.#discovery ??= this.#host.env.after(DISCOVER_MS, () => {
      this.#discovery = undefined
      void this.#try(() => this.#meet()).then(() => this.discover())
    })
  }

  end(): void {
    this.#ended = true
    this.#sweep?.cancel()
    this.#discovery?.cancel()
  }

  async #meet(): Promise<void> {
    for (const { stream } of await this.#log.streams()) this.#channels.named(channelOf(stream))
  }

  async #trim(channel: Channel, wallMs: number): Promise<void> {
    const { deadLetterMaxAgeMs } = channel.policy
    const { maxAgeMs, maxCount, maxBytes } = channel.policy.retention
    const options = {
      maxCount,
      storedBefore: Math.max(0, Math.floor(wallMs - maxAgeMs)),
      ...(maxBytes === Number.POSITIVE_INFINITY ? {} : { maxBytes }),
    }
    for (const lane of channel.lanes) await this.#log.trim(lane, options)
    if (!channel.policy.deadLetters) return
    // Without the group, open dead letters would count as settled by everybody.
    await this.#log.join(channel.dead, DEAD_GROUP)
    if (deadLetterMaxAgeMs !== Number.POSITIVE_INFINITY) {
      await this.#letters.evictBefore(channel.name, Math.max(0, Math.floor(wallMs - deadLetterMaxAgeMs)))
    }
    await this.#log.trim(channel.dead, { maxCount: 0 })
  }

  #armSweep(): void {
    if (this.#ended) return
    this.#sweep = this.#host.env.after(SWEEP_MS, () => void this.#try(() => this.sweep()).then(() => this.#armSweep()))
  }

  async #try(run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      if (!this.#ended) this.#host.announce('log.failed', { error })
    }
  }
}
