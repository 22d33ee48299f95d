import type { Figures, Pass } from './types.ts'

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Nearest rank: the smallest sample that at least `share` of all are not above. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/** The figures of one round out of its passes. */
export function figuresOf(passes: readonly Pass[]): Figures {
  const seconds = passes.reduce((sum, pass) => sum + pass.seconds, 0)
  const units = passes.reduce((sum, pass) => sum + pass.units, 0)
  const extras = Object.keys(passes[0]?.extra ?? {})
  return {
    perSecond: units / seconds,
    ...percentiles(passes),
    ...Object.fromEntries(extras.map((name) => [name, median(passes.map(({ extra }) => extra?.[name] ?? Number.NaN))])),
  }
}

function percentiles(passes: readonly Pass[]): Figures {
  const parts = passes.flatMap(({ samples }) => (samples === undefined ? [] : [samples]))
  if (parts.length === 0) return {}
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  all.sort()
  const inMicroseconds = (share: number): number => percentile(all, share) * 1_000
  return { p50: inMicroseconds(0.5), p95: inMicroseconds(0.95), p99: inMicroseconds(0.99) }
}

/** The median of each figure over the rounds. */
export function mediansOf(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, median(rounds.map((round) => round[name] ?? Number.NaN))]))
}

/** Whether different configurations gave one result: then something else than them was measured, a sleep for instance. */
export function suspiciouslyEqual(values: readonly number[]): boolean {
  if (values.length < 2) return false
  return Math.max(...values) <= Math.min(...values) * 1.01
}
