import { suspiciouslyEqual } from './figures.ts'
import type { Reached, RowResult } from './rounds.ts'
import type { Bar, Medians } from './types.ts'

export interface BarResult {
  readonly text: string
  readonly value: number
  readonly met: boolean
}

/** A peer or limit of the same run: more than 1 means that ours is better. */
export interface PeerRatio {
  readonly name: string
  readonly kind: 'ours' | 'peer' | 'limit'
  readonly value: number
  readonly ratio: number
}

export function barsOf(result: RowResult): readonly BarResult[] {
  const { bars = [] } = result.row
  if (result.fault !== undefined) return bars.map(({ text }) => ({ text, value: Number.NaN, met: false }))
  const medians: Medians = {
    of(name, figure = mainOf(result)) {
      const value = result.reached.find(({ contestant }) => contestant.name === name)?.median[figure]
      if (value === undefined) throw new Error(`${result.workload.id} "${result.row.name}": no ${figure} of "${name}"`)
      return value
    },
  }
  return bars.map((bar) => {
    const value = bar.value(medians)
    return { text: bar.text, value, met: isMet(bar, value) }
  })
}

function isMet({ atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: Bar, value: number): boolean {
  return value >= atLeast && value <= atMost
}

export function mainOf({ row }: RowResult): string {
  return row.main ?? 'perSecond'
}

/** Of a rate more is better, of a time or size less. */
function isRate(figure: string): boolean {
  return /persecond$/i.test(figure)
}

/** How many times better `ours` is than `other`: of rates, ours by theirs; of times and sizes, theirs by ours. */
export function timesBetter(figure: string, ours: number, other: number): number {
  return isRate(figure) ? ours / other : other / ours
}

/** Everybody but the first of the row, the strongest peer first. */
export function ratiosOf(result: RowResult): readonly PeerRatio[] {
  const main = mainOf(result)
  const [ours, ...others] = result.reached
  if (ours === undefined) return []
  const of = ({ median }: Reached): number => median[main] ?? Number.NaN
  return others
    .map((one): PeerRatio => {
      const { name, kind } = one.contestant
      return { name, kind, value: of(one), ratio: timesBetter(main, of(ours), of(one)) }
    })
    .toSorted((one, other) => one.ratio - other.ratio)
}

/**
 * Whether the row measured something else than it says, a sleep for instance: every contestant came out the same, or our own figure
 * is the same in each of three or more rows of its workload that count the same thing.
 */
export function isSuspicious(result: RowResult, all: readonly RowResult[]): boolean {
  const main = mainOf(result)
  if (suspiciouslyEqual(result.reached.map(({ median }) => median[main] ?? Number.NaN))) return true
  const { workload, row } = result
  const alike = all.filter((one) => one.workload === workload && one.row.unit === row.unit && mainOf(one) === main)
  return alike.length >= 3 && suspiciouslyEqual(alike.map(({ reached }) => reached[0]?.median[main] ?? Number.NaN))
}
