// What a run came to: for people as a few lines, for programs as one object.

import { type HistogramFigures, type Ledger, PRIORITIES, type Priority } from 'swarmbus'
import type { Report } from './harold.ts'
import type { Task } from './intake.ts'
import { cutTo, duration, type Look, paint } from './screen.ts'
import type { Swarm } from './swarm.ts'

/** A task that was not done, or an input that was none. */
export interface Fault {
  readonly where: string
  readonly text: string
  readonly reason: string
}

export interface Summary {
  readonly type: 'summary'
  readonly interrupted: boolean
  readonly elapsedMs: number
  /** `returned` are among the others: tasks of which the validator sent something back. */
  readonly tasks: {
    readonly read: number
    readonly done: number
    readonly returned: number
    readonly failed: number
    readonly refused: number
    /** Of an earlier run; those that failed are among the failed as well. */
    readonly resumed: number
    /** For the next run. */
    readonly left: number
  }
  readonly deadlines: { readonly met: number; readonly missed: number }
  readonly handled: Readonly<Record<string, Readonly<Record<Priority, number>>>>
  readonly latency: HistogramFigures
  /** `balances`: every delivery is settled, and the ledger agrees with what the observer counted. */
  readonly ledger: Ledger & { readonly balances: boolean }
  readonly failed: readonly Fault[]
  readonly refused: readonly Fault[]
}

/** Counts what becomes of the tasks of a run. */
export class Tally {
  readonly failed: Fault[] = []
  readonly refused: Fault[] = []
  readonly #startMs = performance.now()
  #read = 0
  #done = 0
  #returned = 0
  #met = 0
  #missed = 0
  #resumed = 0

  /** Counts the report on a task of an earlier run. */
  resume(report: Report): void {
    this.#resumed++
    if (report.returned > 0) this.#returned++
    if (!report.done)
      this.failed.push({ where: 'an earlier run', text: report.mission, reason: report.reason ?? 'no reason given' })
  }

  refuse(where: string, reason: string): void {
    this.#read++
    this.refused.push({ where, text: '', reason })
  }

  /** Counts a task that was handed to the swarm. */
  accept(): void {
    this.#read++
  }

  settle(where: string, { text }: Task, report: Report): void {
    const { done, left, refused, returned, inTime, reason = 'no reason given' } = report
    if (left === true) return
    if (done) this.#done++
    else if (refused === true) this.refused.push({ where, text, reason })
    else this.failed.push({ where, text, reason })
    if (returned > 0) this.#returned++
    if (inTime === true) this.#met++
    if (inTime === false) this.#missed++
  }

  /** What became of the tasks, for people: one line, and one for each that was not done. */
  lines(): readonly string[] {
    const sum = `${this.#read} read: ${this.#done} done, ${this.failed.length} failed, ${this.refused.length} refused`
    return [sum, ...this.failed.map(({ where, text, reason }) => `${where} "${text}": ${reason}`)]
  }

  /** To be called when the bus is closed, so that nothing is pending any more. */
  summary({ bus, observer }: Swarm, interrupted: boolean, left: number): Summary {
    const { ledger, latency } = bus.stats()
    const { counted } = observer
    const same = (['handled', 'failed', 'expired', 'dropped'] as const).every(
      (outcome) => ledger[outcome] === counted[outcome],
    )
    return {
      type: 'summary',
      interrupted,
      elapsedMs: Math.round(performance.now() - this.#startMs),
      tasks: {
        read: this.#read,
        done: this.#done,
        returned: this.#returned,
        failed: this.failed.length,
        refused: this.refused.length,
        resumed: this.#resumed,
        left,
      },
      deadlines: { met: this.#met, missed: this.#missed },
      handled: Object.fromEntries(
        [...observer.byAgent].map(([name, counts]) => [
          name,
          Object.fromEntries(PRIORITIES.map((level) => [level, counts.get(level) ?? 0])) as Record<Priority, number>,
        ]),
      ),
      latency,
      ledger: { ...ledger, balances: same && ledger.pending === 0 },
      failed: this.failed,
      refused: this.refused,
    }
  }
}

/** The summary as lines for people. */
export function summaryLines(summary: Summary, look: Look): readonly string[] {
  const { tasks, deadlines, latency, ledger, failed, refused, interrupted, elapsedMs } = summary
  const row = (name: string, text: string): string => `  ${paint(look, 'bold', name.padEnd(10))} ${text}`
  const returned = tasks.returned === 0 ? '' : ` (${tasks.returned} returned once by the validator)`
  const lines = [
    paint(look, 'bold', `Summary${interrupted ? ' of an interrupted run' : ''}, ${duration(elapsedMs)}`),
    row('tasks', `${tasks.read} read: ${tasks.done} done, ${tasks.failed} failed, ${tasks.refused} refused${returned}`),
  ]
  if (tasks.resumed > 0) lines.push(row('', `and ${tasks.resumed} of an earlier run, taken up where it was`))
  if (tasks.left > 0) lines.push(row('left', `${tasks.left} for the next run, which goes on where this one was`))
  if (deadlines.met + deadlines.missed > 0)
    lines.push(row('deadlines', `${deadlines.met} met, ${deadlines.missed} missed`))
  lines.push(row('handled', `${' '.repeat(10)}${PRIORITIES.map((level) => level.padStart(11)).join('')}`))
  for (const [name, counts] of Object.entries(summary.handled)) {
    const cells = PRIORITIES.map((level) => String(counts[level] || '·').padStart(11))
    lines.push(row('', `${name.padEnd(10)}${cells.join('')}`))
  }
  lines.push(
    row(
      'latency',
      `publish to handler: p50 ${duration(latency.p50Ms)}, p95 ${duration(latency.p95Ms)}, p99 ${duration(latency.p99Ms)}`,
    ),
    row('', 'waiting for a free agent included'),
    row(
      'ledger',
      `${ledger.published} deliveries = ${ledger.handled} handled + ${ledger.failed} failed + ${ledger.expired} expired`,
    ),
    row(
      '',
      `+ ${ledger.dropped} dropped + ${ledger.pending} pending: it ${ledger.balances ? 'balances' : 'DOES NOT BALANCE'}`,
    ),
    ...faultRows('failed', failed, look),
    ...faultRows('refused', refused, look),
  )
  return lines
}

const MOST_FAULTS = 10

function faultRows(name: string, faults: readonly Fault[], look: Look): readonly string[] {
  const rows = faults.slice(0, MOST_FAULTS).map(({ where, text, reason }, index) => {
    const what = text === '' ? '' : ` "${cutTo(text, 30).trimEnd()}"`
    return `  ${paint(look, 'bold', (index === 0 ? name : '').padEnd(10))} ${where}${what}: ${reason}`
  })
  const more = faults.length - rows.length
  return more > 0 ? [...rows, `  ${' '.repeat(10)} and ${more} more`] : rows
}
