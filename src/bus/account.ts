import { Histogram } from '../kit/histogram.ts'
import type { Outcome } from './ack.ts'

// Hot path: counters are plain fields. An account belongs to one channel and one epoch; `idle()` begins a new epoch.

/** Most channels that are counted apart; later ones share the channel `(other)`. */
export const MAX_CHANNELS = 64

/** The balance of one channel, in deliveries (one message for one recipient). */
export interface Ledger {
  /** Deliveries that were accepted by a queue. */
  readonly published: number
  readonly handled: number
  /** Accepted and not settled: waiting or being handled. */
  readonly pending: number
  readonly expired: number
  readonly dropped: number
  readonly failed: number
}

/** What a topic's first token stands for: the figures of all its topics. */
export class Channel {
  readonly name: string
  /** Messages, whoever listens. */
  messages = 0
  published = 0
  handled = 0
  expired = 0
  dropped = 0
  failed = 0
  refused = 0
  /** From publish to the start of the handler. */
  readonly latency = new Histogram()
  /** From the start of the handler until it settled. */
  readonly handling = new Histogram()
  account: Account

  constructor(name: string, epoch: Epoch) {
    this.name = name
    this.account = new Account(this, epoch)
  }

  get pending(): number {
    return this.published - this.handled - this.expired - this.dropped - this.failed
  }

  ledger(): Ledger {
    const { published, handled, pending, expired, dropped, failed } = this
    return { published, handled, pending, expired, dropped, failed }
  }
}

/** Everything accepted between two calls of `idle()`. */
export class Epoch {
  outstanding = 0
  /** Set when somebody waits for the epoch to end. */
  onEnd: (() => void) | undefined = undefined
}

/** Where a message is counted. */
export class Account {
  readonly channel: Channel
  readonly epoch: Epoch

  constructor(channel: Channel, epoch: Epoch) {
    this.channel = channel
    this.epoch = epoch
  }

  accept(): void {
    this.channel.published++
    this.epoch.outstanding++
  }

  /** The message went back to its log, unsettled: as if it had not come. */
  withdraw(): void {
    this.channel.published--
    this.#end()
  }

  settle(outcome: Outcome): void {
    // Not by a computed name: this is asked for each message, and nearly always the same.
    if (outcome === 'handled') this.channel.handled++
    else this.channel[outcome]++
    this.#end()
  }

  #end(): void {
    if (--this.epoch.outstanding === 0 && this.epoch.onEnd !== undefined) this.epoch.onEnd()
  }
}

/** All channels of a bus. */
export class Accounts {
  readonly #channels = new Map<string, Channel>()
  #epoch = new Epoch()
  #open: Epoch[] = [this.#epoch]

  /** The channel for a topic's first token. */
  channel(root: string): Channel {
    const name = this.#channels.size < MAX_CHANNELS || this.#channels.has(root) ? root : '(other)'
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      channel = new Channel(name, this.#epoch)
      this.#channels.set(name, channel)
    }
    return channel
  }

  all(): IterableIterator<Channel> {
    return this.#channels.values()
  }

  /** Sums of all channels. */
  total(): Ledger {
    const sum = { published: 0, handled: 0, pending: 0, expired: 0, dropped: 0, failed: 0 }
    for (const channel of this.#channels.values()) {
      sum.published += channel.published
      sum.handled += channel.handled
      sum.pending += channel.pending
      sum.expired += channel.expired
      sum.dropped += channel.dropped
      sum.failed += channel.failed
    }
    return sum
  }

  /** Deliveries accepted and not settled. Counted apart from the ledger, so that the two check each other. */
  get outstanding(): number {
    let sum = 0
    for (const epoch of this.#open) sum += epoch.outstanding
    return sum
  }

  /** Resolves when everything that was accepted before this call is settled; what comes later is not waited for. */
  idle(): Promise<void> {
    this.#open = this.#open.filter((epoch) => epoch.outstanding > 0 || epoch === this.#epoch)
    const waitFor = this.#open.filter((epoch) => epoch.outstanding > 0)
    if (waitFor.length === 0) return Promise.resolve()
    this.#epoch = new Epoch()
    this.#open.push(this.#epoch)
    for (const channel of this.#channels.values()) channel.account = new Account(channel, this.#epoch)
    return new Promise((resolve) => {
      let left = waitFor.length
      for (const epoch of waitFor) {
        const before = epoch.onEnd
        epoch.onEnd = () => {
          before?.()
          if (--left === 0) resolve()
        }
      }
    })
  }
}
