/** How long and how much a round runs. */
export interface Scale {
  readonly quick: boolean
  /** The full count, or a small part of it in a quick run. */
  count(full: number): number
}

/** One pass over a row's work: what was done, and how long the timed part of it took. */
export interface Pass {
  readonly seconds: number
  /** Messages, deliveries, requests or cycles: whatever the row counts. */
  readonly units: number
  /** Milliseconds of each unit, where the row asks for percentiles. */
  readonly samples?: Float64Array
  /** Further figures by name; the median over the passes is kept. */
  readonly extra?: Figures
}

/** Figures by name: `perSecond`; `p50`, `p95`, `p99` in microseconds; `bytes`; `ms`. */
export type Figures = Readonly<Record<string, number>>

/** A contestant that is ready to be measured. */
export interface Work {
  /** Does the work once and checks that it was done. Throws {@link WorkNotDone} when it was not. */
  pass(): Promise<Pass> | Pass
  close?(): Promise<unknown> | void
}

/** What a contestant does for each message besides calling the handler. */
export interface Does {
  /** The handler runs after the publisher's own code, not inside its call. */
  readonly handOver: boolean
  /** `in order`: the next message waits for the handler's promise; `each`: only the publisher's promise does; `no`: nobody does. */
  readonly waits: 'in order' | 'each' | 'no'
  /** A handler that throws stops neither the other handlers nor the next message. */
  readonly isolates: boolean
  /** Makes an envelope: id, time, and what else travels with the data. */
  readonly envelope: boolean
}

export interface Contestant {
  readonly name: string
  /** `limit`: not a product but the least that could do the work. */
  readonly kind: 'ours' | 'peer' | 'limit'
  readonly does?: Does
  open(scale: Scale): Promise<Work> | Work
}

/** Medians over the rounds, by contestant and figure. */
export interface Medians {
  /** Throws for a contestant or figure that the row does not have. */
  of(contestant: string, figure?: string): number
}

/** What a row must reach: `value` compared with one bound. */
export interface Bar {
  readonly text: string
  value(medians: Medians): number
  readonly atLeast?: number
  readonly atMost?: number
}

/** What an original system was measured at, on a machine of the same kind but not in this run. */
export interface Elsewhere {
  readonly system: 'zejzl' | 'woodwork' | 'cortex' | 'llmgine' | 'veritas'
  readonly figures: Figures
  /** What in its work differs from ours, or which of its configurations it was. */
  readonly note?: string
}

/** One line of the table: one work, done by several contestants. */
export interface Row {
  readonly name: string
  readonly work: string
  /** What is inside the timed part. */
  readonly timed: string
  /** The figure that contestants are compared by. Default `perSecond`; more of it is better, less of any other is. */
  readonly main?: string
  /** What a unit is called: `msg`, `requests`, `deliveries` … */
  readonly unit: string
  /** Ours first. */
  readonly contestants: readonly Contestant[]
  readonly bars?: readonly Bar[]
  readonly elsewhere?: Elsewhere
}

/** A row of BARS or of an original's headline figures. */
export interface Workload {
  readonly id: string
  readonly rows: readonly Row[]
  /** Parts that cannot be measured yet, and when they come. */
  readonly later?: readonly string[]
}

/** The work of a round was not done, or not rightly: its figure means nothing. */
export class WorkNotDone extends Error {
  override readonly name = 'WorkNotDone'
}
