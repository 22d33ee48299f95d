import { agentOf } from '../message/address.ts'
import { matchesTokens, parsePattern } from '../message/topic.ts'
import type { ReadRecords } from './query.ts'
import type { Step } from './step.ts'

/** Which steps are counted. */
export interface EvaluateOptions {
  /** Wall-clock milliseconds: at or after. Default: everything that is kept. */
  readonly since?: number
  /** Wall-clock milliseconds: before. */
  readonly until?: number
  /** Only what this agent sent or handled. */
  readonly agent?: string
  /** Only topics of this pattern. */
  readonly topic?: string
}

/** Counts of steps. */
export interface JournalFigures {
  readonly published: number
  /** Handlings that succeeded. */
  readonly handled: number
  /** Handlings that failed, those that were tried again included. */
  readonly failed: number
  readonly retried: number
  readonly died: number
  readonly expired: number
  readonly dropped: number
  readonly refused: number
  /** Milliseconds of a handling that succeeded, on average; undefined when there was none. */
  readonly meanHandlingMs: number | undefined
  /** Of all handlings, the share that failed; 0 when there was none. */
  readonly failedShare: number
}

/** What a journal says of a time. */
export interface Evaluation extends JournalFigures {
  /** By the agent that sent (`published`) or handled (all others). */
  readonly agents: ReadonlyMap<string, JournalFigures>
  readonly topics: ReadonlyMap<string, JournalFigures>
  /** By the wall-clock milliseconds at which an hour (UTC) begins, in order. */
  readonly hours: ReadonlyMap<number, JournalFigures>
  /** Steps of that time for which the journal had no room. */
  readonly missing: number
}

const HOUR_MS = 3_600_000

/** Counts what is written of a time. Throws INVALID_TOPIC. */
export async function evaluate(read: ReadRecords, options: EvaluateOptions): Promise<Evaluation> {
  const { since = 0, until = Number.POSITIVE_INFINITY, agent, topic } = options
  const pattern = topic === undefined ? undefined : parsePattern(topic)
  const all = new Sums()
  const agents = new Map<string, Sums>()
  const topics = new Map<string, Sums>()
  const hours = new Map<number, Sums>()
  let missing = 0
  for await (const record of read(options.since)) {
    if (record.time < since || record.time >= until) continue
    if (record.event === 'missing') {
      missing += record.count
      continue
    }
    const by = agentIn(record)
    if (agent !== undefined && by !== agent) continue
    if (pattern !== undefined && !matchesTokens(pattern, record.topic.split('.'))) continue
    all.add(record)
    if (by !== undefined) sumsIn(agents, by).add(record)
    sumsIn(topics, record.topic).add(record)
    sumsIn(hours, Math.floor(record.time / HOUR_MS) * HOUR_MS).add(record)
  }
  return {
    ...all.figures(),
    agents: figuresOf(agents),
    topics: figuresOf(topics),
    hours: figuresOf(new Map([...hours].sort(([a], [b]) => a - b))),
    missing,
  }
}

function agentIn({ event, from, to, topic, name, group }: Step): string | undefined {
  if (event === 'published') return from
  return name ?? to ?? agentOf(topic) ?? group
}

function sumsIn<K>(map: Map<K, Sums>, key: K): Sums {
  let sums = map.get(key)
  if (sums === undefined) {
    sums = new Sums()
    map.set(key, sums)
  }
  return sums
}

function figuresOf<K>(map: ReadonlyMap<K, Sums>): ReadonlyMap<K, JournalFigures> {
  return new Map([...map].map(([key, sums]) => [key, sums.figures()]))
}

class Sums {
  readonly #counts = new Map<Step['event'], number>()
  #timed = 0
  #totalMs = 0

  add({ event, time, startedAt }: Step): void {
    this.#counts.set(event, this.#of(event) + 1)
    if (event !== 'handled' || startedAt === undefined) return
    this.#timed++
    this.#totalMs += time - startedAt
  }

  figures(): JournalFigures {
    const handled = this.#of('handled')
    const retried = this.#of('retried')
    const failed = this.#of('failed') + retried
    return {
      published: this.#of('published'),
      handled,
      failed,
      retried,
      died: this.#of('died'),
      expired: this.#of('expired'),
      dropped: this.#of('dropped'),
      refused: this.#of('refused'),
      meanHandlingMs: this.#timed === 0 ? undefined : this.#totalMs / this.#timed,
      failedShare: handled + failed === 0 ? 0 : failed / (handled + failed),
    }
  }

  #of(event: Step['event']): number {
    return this.#counts.get(event) ?? 0
  }
}
