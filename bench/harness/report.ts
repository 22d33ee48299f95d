import { figure, ratio } from './format.ts'
import type { RowResult } from './rounds.ts'
import { type Cells, table, wrap } from './table.ts'
import type { Contestant, Does, Elsewhere } from './types.ts'
import { barsOf, isSuspicious, mainOf, ratiosOf, timesBetter } from './verdict.ts'

export interface Report {
  readonly results: readonly RowResult[]
  readonly rounds: number
  readonly quick: boolean
}

const HEAD = ['id', 'work', 'ours', 'bar', 'verdict', 'others in this run: figure, ours is × better']
const ELSEWHERE = 'measured elsewhere (Python 3.11, same kind of machine)'

/** The table with its footnotes and a closing line, for people. */
export function tableOf(report: Report): string {
  const { results, rounds, quick } = report
  const footnotes = [...new Set(results.map(({ row }) => row.timed))]
  const body = results.map((result) =>
    cellsOf(result, footnotes.indexOf(result.row.timed) + 1, isSuspicious(result, results)),
  )
  const later = [
    ...new Set(results.flatMap(({ workload }) => (workload.later ?? []).map((text) => `${workload.id}: ${text}`))),
  ]
  const parts = [
    quick ? 'A QUICK RUN: it shows that the benchmarks work; its figures mean nothing.\n' : '',
    table(HEAD, body),
    '\nInside the timed part:',
    ...footnotes.flatMap((text, index) => hanging(`[${index + 1}]`, text)),
    ...doesLines(results),
    ...(later.length > 0 ? ['\nNot measured yet:', ...later.map((text) => `  ${text}`)] : []),
    `\nFigures of zejzl, woodwork, llmgine and veritas: ${ELSEWHERE}; everything else from this run, median of ${rounds} rounds.`,
    closingLine(results),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

/** How many bars are met, and what went wrong. */
export function closingLine(results: readonly RowResult[]): string {
  const bars = results.flatMap(barsOf)
  const met = bars.filter((bar) => bar.met).length
  const failed = results.filter(({ fault }) => fault !== undefined).length
  const equal = results.filter((one) => isSuspicious(one, results)).length
  return [
    `${met} of ${bars.length} bars met`,
    ...(failed > 0 ? [`${failed} rows FAILED their own check`] : []),
    ...(equal > 0 ? [`${equal} rows gave everybody the same figure: a measuring fault`] : []),
  ].join('; ')
}

function cellsOf(result: RowResult, footnote: number, suspicious: boolean): Cells {
  const { workload, row, fault } = result
  const work = [...wrap(row.work, 40), `[${footnote}]`]
  if (fault !== undefined) return [[workload.id], work, ['–'], ['–'], ['FAILED'], wrap(fault.split('\n')[0] ?? '', 52)]
  const bars = barsOf(result)
  const old = elsewhereLines(result)
  return [
    [workload.id],
    work,
    oursLines(result),
    [...bars.map(({ text }) => text), ...old.map(({ text }) => text)],
    [
      ...bars.map(({ met, value }) => `${met ? 'pass' : 'MISS'}${value < 1_000 ? ` (${value.toFixed(2)})` : ''}`),
      ...old.map(({ factor }) => factor),
    ],
    [
      ...(suspicious ? ['MEASURING FAULT: all figures are equal'] : []),
      ...ratiosOf(result).map(({ name, kind, value, ratio: times }) => {
        const shown = figure(mainOf(result), value, row.unit)
        const as = kind === 'peer' ? '' : ` (${kind})`
        return `${name}${as}: ${shown} ${ratio(times)}`
      }),
    ],
  ]
}

function oursLines(result: RowResult): readonly string[] {
  const [ours] = result.reached
  if (ours === undefined) return ['–']
  const main = mainOf(result)
  const others = Object.keys(ours.median).filter((name) => name !== main)
  return [main, ...others].map((name) => {
    const shown = figure(name, ours.median[name] ?? Number.NaN, result.row.unit)
    return name === main ? shown : `${labelOf(name)}${shown}`
  })
}

/** `perSecond` says itself; `drainPerSecond` is `drain`, others are what they are called. */
function labelOf(name: string): string {
  return name === 'perSecond' ? '' : `${name.replace(/PerSecond$/, '')} `
}

function elsewhereLines(result: RowResult): readonly { readonly text: string; readonly factor: string }[] {
  const { elsewhere, unit } = result.row
  const [ours] = result.reached
  if (elsewhere === undefined || ours === undefined) return []
  const { system, figures, note } = elsewhere as Elsewhere
  const lines = Object.entries(figures).map(([name, value]) => {
    const own = ours.median[name]
    const factor = own === undefined ? '' : ratio(timesBetter(name, own, value))
    return { text: `${system} ${labelOf(name)}${figure(name, value, unit)}`, factor }
  })
  return note === undefined ? lines : [...lines, ...wrap(`(${note})`, 34).map((text) => ({ text, factor: '' }))]
}

function doesLines(results: readonly RowResult[]): readonly string[] {
  const known = new Map<string, Does>()
  const all: readonly Contestant[] = results.flatMap(({ row }) => row.contestants)
  for (const { name, does } of all) if (does !== undefined) known.set(name, does)
  if (known.size === 0) return []
  const yes = (value: boolean): readonly string[] => [value ? 'yes' : '–']
  const rows = [...known].map(
    ([name, does]): Cells => [
      [name],
      yes(does.handOver),
      [does.waits === 'no' ? 'does not wait' : does.waits],
      yes(does.isolates),
      yes(does.envelope),
    ],
  )
  const head = ['what each does', 'async hand-over', 'waits for an async handler', 'isolates errors', 'envelope']
  return [`\n${table(head, rows, false)}`]
}

function hanging(label: string, text: string): readonly string[] {
  return wrap(text, 130).map((line, index) => `${index === 0 ? label.padEnd(5) : '     '}${line}`)
}
