import { cpus } from 'node:os'
import type { Report } from './report.ts'
import { barsOf, isSuspicious, mainOf, ratiosOf } from './verdict.ts'

/** Everything that was measured, each round apart, for programs. */
export function jsonOf({ results, rounds, quick }: Report): object {
  const bars = results.flatMap(barsOf)
  return {
    quick,
    rounds,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    bars: bars.length,
    barsMet: bars.filter(({ met }) => met).length,
    rows: results.map((result) => ({
      id: result.workload.id,
      name: result.row.name,
      work: result.row.work,
      timed: result.row.timed,
      main: mainOf(result),
      unit: result.row.unit,
      fault: result.fault,
      suspicious: isSuspicious(result, results),
      contestants: result.reached.map(({ contestant: { name, kind, does }, median, rounds: each }) => ({
        name,
        kind,
        does,
        median,
        rounds: each,
      })),
      ratios: ratiosOf(result),
      bars: barsOf(result),
      elsewhere: result.row.elsewhere,
      later: result.workload.later,
    })),
  }
}
