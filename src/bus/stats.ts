import { Histogram, type HistogramFigures } from '../kit/histogram.ts'
import type { Channel, Ledger } from './account.ts'
import type { Core } from './core.ts'
import type { WireFigures } from './far/side.ts'
import type { KeptLedger } from './kept-verbs.ts'
import type { EffectiveOptions } from './options.ts'
import type { ConcurrencyFigures } from './pump.ts'

/** Figures of one channel: all topics that begin with the same token. */
export interface ChannelStats {
  readonly messages: number
  readonly ledger: Ledger
  readonly refused: number
  /** From publish to the start of the handler. */
  readonly latency: HistogramFigures
  /** From the start of the handler until it settled. */
  readonly handling: HistogramFigures
}

/** The figures of a bus. Counting costs the same however much was counted. */
export interface BusStats {
  readonly name: string
  readonly running: boolean
  readonly state: string
  /** Wall-clock milliseconds. */
  readonly startedAt: number
  readonly uptimeMs: number
  /** Messages published, whoever listened. */
  readonly messages: number
  /** Messages per second over the last 60 s. */
  readonly messagesPerSecond: number
  /** Deliveries: published = handled + pending + expired + dropped + failed. */
  readonly ledger: Ledger
  /** Deliveries that no queue accepted. */
  readonly refused: number
  /** Of the settled deliveries within the health window, the share that was handled; 1 when there was none. */
  readonly successRate: number
  readonly requests: {
    readonly sent: number
    readonly pending: number
    readonly timeouts: number
    readonly strayAnswers: number
  }
  readonly subscriptions: number
  /** Those of them with a wildcard in a pattern. */
  readonly wildcardSubscriptions: number
  readonly agents: number
  readonly topics: number
  readonly queued: number
  /** The most that ever waited in one of the queues that exist. */
  readonly peakQueued: number
  /** The fullest queue's share of its limit, 0 to 1. */
  readonly utilization: number
  readonly latency: HistogramFigures
  readonly handling: HistogramFigures
  readonly concurrency: ConcurrencyFigures
  readonly handlerTimeouts: number
  readonly callbackFaults: number
  readonly failures: number
  readonly history: number
  readonly streams: { readonly active: number; readonly opened: number; readonly bytes: number }
  readonly channels: Readonly<Record<string, ChannelStats>>
  /**
   * For a bus with a log: the balance of each kept channel, counted by the log, at most a second old (`bus.channels()` is exact).
   */
  readonly kept: Readonly<Record<string, KeptLedger>>
  /** Failed handlings of kept messages after which another try followed. */
  readonly retried: number
  /** Kept messages that wait for another try, or for their time; at most a second old. */
  readonly retrying: number
  /** Kept messages that became dead letters. */
  readonly deadLettered: number
  /** Of those, the ones that had used up their attempts. */
  readonly retriesExhausted: number
  /** Dead letters that lie in the log; at most a second old. */
  readonly deadLetters: number
  /** What goes between processes; undefined for a bus without a wire. */
  readonly wire: WireFigures | undefined
  /** The options in force. */
  readonly config: EffectiveOptions
}

/** A queue as the snapshot shows it. */
export interface QueueSnapshot {
  readonly name: string
  readonly size: number
  readonly limit: number
  readonly percent: number
  readonly full: boolean
}

/** The state of a bus at one moment, for people. */
export interface Snapshot {
  readonly messagesPerSecond: number
  readonly lastMinutePerSecond: number
  readonly agents: number
  readonly pendingRequests: number
  readonly concurrencyPercent: number
  /** Mean over all channels, weighted by count. */
  readonly meanLatencyMs: number
  readonly queues: readonly QueueSnapshot[]
  readonly advice: readonly string[]
}

interface Counted {
  readonly size: number
  readonly wildcards: number
}

/** Fullness of all queues, whatever they belong to. */
export interface QueueView {
  readonly name: string
  readonly size: number
  readonly limit: number
  /** The most that ever waited in it. */
  readonly maxSize: number
}

export function busStats(core: Core, queues: Iterable<QueueView>, subscriptions: Counted): BusStats {
  core.flushRate()
  const nowMs = core.clock.readMs()
  const latency = new Histogram()
  const handling = new Histogram()
  const channels: Record<string, ChannelStats> = {}
  let refused = 0
  for (const channel of core.accounts.all()) {
    latency.merge(channel.latency)
    handling.merge(channel.handling)
    refused += channel.refused
    channels[channel.name] = new ChannelView(channel)
  }
  let queued = 0
  let peakQueued = 0
  let utilization = 0
  for (const { size, limit, maxSize } of queues) {
    queued += size
    peakQueued = Math.max(peakQueued, maxSize)
    utilization = Math.max(utilization, size / limit)
  }
  const { counters, options, requests } = core
  const kept = core.keeper?.figures()
  return {
    name: options.name,
    running: core.state === 'running',
    state: core.state,
    startedAt: core.clock.wallMs(core.startedMs),
    uptimeMs: nowMs - core.startedMs,
    messages: counters.messages,
    messagesPerSecond: core.published.perSecond(nowMs),
    ledger: core.accounts.total(),
    refused,
    successRate: core.successRate(nowMs),
    requests: {
      sent: counters.requests,
      pending: requests.size,
      timeouts: counters.timeouts,
      strayAnswers: requests.strays,
    },
    subscriptions: subscriptions.size,
    wildcardSubscriptions: subscriptions.wildcards,
    agents: core.agents.registered,
    topics: core.router.sizes.topics,
    queued,
    peakQueued,
    utilization,
    latency: latency.figures(),
    handling: handling.figures(),
    concurrency: core.pump.figures(),
    handlerTimeouts: counters.overruns,
    callbackFaults: counters.callbackFaults,
    failures: core.failures.total,
    history: core.history.size,
    streams: core.streams.figures,
    channels,
    kept: core.keeper?.ledgers() ?? {},
    retried: kept?.retried ?? 0,
    retrying: kept?.retrying ?? 0,
    deadLettered: kept?.deadLettered ?? 0,
    retriesExhausted: kept?.exhausted ?? 0,
    deadLetters: kept?.deadLetters ?? 0,
    wire: core.far?.figures(),
    config: options,
  }
}

/** Counters at the moment of asking; the histograms are read when they are looked at: they are most of the work, and seldom wanted. */
class ChannelView implements ChannelStats {
  readonly messages: number
  readonly ledger: Ledger
  readonly refused: number
  readonly #channel: Channel

  constructor(channel: Channel) {
    this.messages = channel.messages
    this.ledger = channel.ledger()
    this.refused = channel.refused
    this.#channel = channel
  }

  get latency(): HistogramFigures {
    return this.#channel.latency.figures()
  }

  get handling(): HistogramFigures {
    return this.#channel.handling.figures()
  }

  toJSON(): ChannelStats {
    const { messages, ledger, refused, latency, handling } = this
    return { messages, ledger, refused, latency, handling }
  }
}

/** What a person should look at: queues above 80 % full, handlers above 90 % of their limit, mean latency above 10 ms. */
export function advise(
  queues: readonly QueueSnapshot[],
  concurrencyPercent: number,
  meanLatencyMs: number,
): readonly string[] {
  const advice = queues
    .filter((queue) => queue.percent > 80)
    .map((queue) => `queue "${queue.name}" is ${Math.round(queue.percent)} % full: add consumers or slow its senders`)
  if (concurrencyPercent > 90) {
    advice.push(
      `${Math.round(concurrencyPercent)} % of the allowed handlers are running: raise maxHandlers or shorten handlers`,
    )
  }
  if (meanLatencyMs > 10) {
    advice.push(`messages wait ${meanLatencyMs.toFixed(1)} ms on average: handlers are slow or block the event loop`)
  }
  return advice
}

export function snapshot(core: Core, views: Iterable<QueueView>): Snapshot {
  core.flushRate()
  const nowMs = core.clock.readMs()
  const queues = [...views].map(({ name, size, limit }) => {
    const percent = limit === Number.POSITIVE_INFINITY ? 0 : (size / limit) * 100
    return { name, size, limit, percent, full: size >= limit }
  })
  let count = 0
  let sum = 0
  for (const channel of core.accounts.all()) {
    const { latency } = channel
    const figures = latency.figures()
    count += figures.count
    sum += figures.avgMs * figures.count
  }
  const concurrency = core.pump.figures()
  const concurrencyPercent = (concurrency.active / concurrency.limit) * 100
  const meanLatencyMs = count === 0 ? 0 : sum / count
  const uptimeSeconds = Math.max((nowMs - core.startedMs) / 1_000, 0.001)
  return {
    messagesPerSecond: core.counters.messages / uptimeSeconds,
    lastMinutePerSecond: core.published.perSecond(nowMs),
    agents: core.agents.registered,
    pendingRequests: core.requests.size,
    concurrencyPercent,
    meanLatencyMs,
    queues,
    advice: advise(queues, concurrencyPercent, meanLatencyMs),
  }
}
