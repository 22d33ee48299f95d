import { Histogram, type HistogramFigures } from '../kit/histogram.ts'

/** The event that says what one handling took: see {@link Performance}. */
export const PERFORMANCE_EVENT = 'metrics.component_performance'

/** What a handling counts besides its time. */
export interface Measures {
  readonly tokens?: number
  /** In whatever currency the swarm counts. */
  readonly cost?: number
  readonly custom?: Readonly<Record<string, number>>
}

/** The payload of {@link PERFORMANCE_EVENT}: one handling of one component. */
export interface Performance {
  readonly processing_time_ms: number
  readonly memory_usage_mb: number
  readonly tokens_processed: number
  readonly cost_estimate: number
  readonly custom_metrics: Readonly<Record<string, number>>
}

/** Sums over handlings. */
export interface Costs {
  readonly handled: number
  readonly tokens: number
  readonly cost: number
  readonly processingMs: number
  readonly custom: Readonly<Record<string, number>>
}

/** One handling as the books take it. */
export interface Taken {
  /** Default 1; 0 for what was counted outside of any. */
  readonly handlings?: number
  readonly ms: number
  readonly tokens: number
  readonly cost: number
  readonly custom: Readonly<Record<string, number>>
}

const MOST_SESSIONS = 10_000
const NO_FIGURES: Readonly<Record<string, number>> = Object.freeze(Object.create(null) as Record<string, number>)

/** Adds up what was measured during one handling. Names of figures of one's own are kept apart from those of objects. */
export function sumOf(ms: number, measures: readonly Measures[] | undefined): Taken {
  if (measures === undefined) return { ms, tokens: 0, cost: 0, custom: NO_FIGURES }
  let tokens = 0
  let cost = 0
  const custom: Record<string, number> = Object.create(null) as Record<string, number>
  for (const one of measures) {
    tokens += one.tokens ?? 0
    cost += one.cost ?? 0
    for (const [name, value] of Object.entries(one.custom ?? {})) custom[name] = (custom[name] ?? 0) + value
  }
  return { ms, tokens, cost, custom }
}

class Sum {
  handled = 0
  tokens = 0
  cost = 0
  ms = 0
  readonly custom: Record<string, number> = Object.create(null) as Record<string, number>

  add({ ms, tokens, cost, custom, handlings = 1 }: Taken): void {
    this.handled += handlings
    this.ms += ms
    this.tokens += tokens
    this.cost += cost
    for (const name in custom) this.custom[name] = (this.custom[name] ?? 0) + (custom[name] as number)
  }

  view(): Costs {
    const { handled, tokens, cost, ms: processingMs, custom } = this
    return { handled, tokens, cost, processingMs, custom: { ...custom } }
  }
}

/** What the handlings of one component came to. */
export class ComponentBook {
  readonly #sum = new Sum()
  readonly #times = new Histogram()

  add(taken: Taken): void {
    this.#sum.add(taken)
    if (taken.handlings !== 0) this.#times.record(taken.ms)
  }

  costs(): Costs {
    return this.#sum.view()
  }

  times(): HistogramFigures {
    return this.#times.figures()
  }
}

/** What each session came to, over all components; the 10 000 sessions that were used last. */
export class SessionBook {
  readonly #sums = new Map<string, Sum>()

  add(session: string | undefined, taken: Taken): void {
    if (session === undefined) return
    const sum = this.#sums.get(session) ?? new Sum()
    // Put in anew, so that the oldest one is first.
    this.#sums.delete(session)
    this.#sums.set(session, sum)
    sum.add(taken)
    if (this.#sums.size > MOST_SESSIONS) this.#sums.delete(this.#sums.keys().next().value as string)
  }

  costs(session: string): Costs | undefined {
    return this.#sums.get(session)?.view()
  }

  all(): Readonly<Record<string, Costs>> {
    return Object.fromEntries([...this.#sums].map(([session, sum]) => [session, sum.view()]))
  }
}

const MEGABYTE = 1_048_576

/** The payload that tells of one handling. */
export function performanceOf({ ms, tokens, cost, custom }: Taken): Performance {
  return {
    processing_time_ms: ms,
    memory_usage_mb: process.memoryUsage.rss() / MEGABYTE,
    tokens_processed: tokens,
    cost_estimate: cost,
    custom_metrics: { ...custom },
  }
}
