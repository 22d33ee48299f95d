import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { suspiciouslyEqual } from '../../bench/harness/figures.ts'
import { jsonOf } from '../../bench/harness/json.ts'
import { tableOf } from '../../bench/harness/report.ts'
import type { RowResult } from '../../bench/harness/rounds.ts'
import type { Pass, Row, Workload } from '../../bench/harness/types.ts'
import type { Channel, Peer } from '../../bench/peers/peer.ts'
import { publishing } from '../../bench/workloads/publishing.ts'
import { importsOf, ROOT, type Source, sourceOf, sourcesIn } from '../architecture/source.ts'
import { numbers } from './support/cortex-veritas.ts'
import { uncheckedWorkloads, waitsInTimedParts } from './support/veritas-bench.ts'

const bench = sourcesIn('bench')

test('[VN16] no workload waits for time to pass inside its timed part', () => {
  expect(bench.filter(({ path }) => path.startsWith('bench/workloads/')).length).toBeGreaterThan(0)
  const faults = waitsInTimedParts(bench)
  expect(faults, faults.join('\n')).toEqual([])
})

test.each([
  ['bench/workloads/a.ts', 'await sleep(500)'],
  ['bench/workloads/a.ts', 'setTimeout(done, 1)'],
  ['bench/peers/a.ts', 'await scheduler.wait(5)'],
  ['bench/peers/a.ts', 'Atomics.wait(cell, 0, 0, 5)'],
  ['bench/workloads/a.ts', "import { setTimeout as pause } from 'node:timers/promises'"],
  ['bench/child.ts', 'await timed(10, async () => { await work(); await sleep(1) })'],
])('[VN16] a planted wait in %s is found: %s', (path, text) => {
  expect(waitsInTimedParts([sourceOf(path, text)]).length).toBeGreaterThan(0)
})

test('[VN16] a wait between two timed parts, in a comment or in a text is none', () => {
  const text = "// sleep(1)\nconst text = 'setTimeout'\nawait timed(1, work)\nawait sleep(20)\nawait timed(1, work)"
  expect(waitsInTimedParts([sourceOf('bench/child.ts', text)])).toEqual([])
})

test('[VN16] every workload that is timed looks at what was done', () => {
  expect(uncheckedWorkloads(bench)).toEqual([])
  expect(uncheckedWorkloads([sourceOf('bench/workloads/a.ts', 'await timed(10, put)')])).toEqual([
    'bench/workloads/a.ts',
  ])
})

/** A library that hands over late, and how often it handled what. */
function latePeer(copies: number): { readonly peer: Peer; readonly seen: { handled: number } } {
  const seen = { handled: 0 }
  const peer: Peer = {
    name: 'late',
    kind: 'peer',
    open(handlers): Channel {
      return {
        burst(from, to) {
          for (let id = from; id < to; id++) {
            for (const _ of numbers(copies)) {
              setImmediate(() => {
                for (const handle of handlers) handle({ id, data: 'payload' })
                seen.handled++
              })
            }
          }
        },
      }
    },
  }
  return { peer, seen }
}

async function onePass(peer: Peer): Promise<Pass> {
  const work = await publishing(peer, { kind: 'sync', messages: 50 }).open({ quick: true, count: (full) => full })
  return work.pass()
}

test('[VN16] the time ends with the last handler, not with the last put, and wrong work gives no figure', async () => {
  const { peer, seen } = latePeer(1)
  const pass = await onePass(peer)
  expect([seen.handled, pass.units]).toEqual([50, 50])
  await expect(onePass(latePeer(2).peer)).rejects.toThrow(/sum of the handled ids|handled messages/)
})

/** A row in which each contestant reached one figure. */
function resultOf(workload: Workload, figures: readonly number[]): RowResult {
  const contestants = figures.map((_, index) => ({
    name: `workers ${index + 1}`,
    kind: index === 0 ? ('ours' as const) : ('peer' as const),
    open: () => ({ pass: (): Pass => ({ seconds: 1, units: 1 }) }),
  }))
  const row: Row = { name: 'row', work: 'work', timed: 'all', unit: 'msg', contestants }
  const reached = contestants.map((contestant, index) => {
    const figure = { perSecond: figures[index] as number }
    return { contestant, median: figure, rounds: [figure] }
  })
  return { workload, row, reached, fault: undefined }
}

test('[VN16] equal results for every configuration are told as a measuring fault, in the table and in the figures', () => {
  // The original's own: 1, 3, 5 and 10 workers, all 478 to 490 messages a second.
  const workload: Workload = { id: 'X1', rows: [] }
  const equal = resultOf(workload, [478, 480, 479, 481])
  const different = resultOf({ id: 'X2', rows: [] }, [37_400, 16_200, 25_600, 17_600])
  expect(suspiciouslyEqual([478, 480, 479, 481])).toBe(true)
  expect(suspiciouslyEqual([478, 578])).toBe(false)
  const report = { results: [equal, different], rounds: 1, quick: true }
  expect(tableOf(report).match(/MEASURING FAULT/g)?.length).toBe(1)
  expect(jsonOf(report)).toMatchObject({ rows: [{ suspicious: true }, { suspicious: false }] })
  const rows = [481, 480, 482].map((figure) => resultOf(workload, [figure, figure * 3]))
  expect(jsonOf({ results: rows, rounds: 1, quick: true })).toMatchObject({
    rows: [{ suspicious: true }, { suspicious: true }, { suspicious: true }],
  })
})

/** The files that importing a door loads. */
function loaded(
  door: string,
  sources: ReadonlyMap<string, Source>,
  seen: Set<string> = new Set(),
): ReadonlySet<string> {
  if (seen.has(door)) return seen
  seen.add(door)
  const source = sources.get(door)
  if (source === undefined) throw new Error(`${door} does not exist`)
  for (const { target, specifier } of importsOf(source)) {
    // What is loaded on demand only: backends, and what keeps messages.
    if (source.text.includes(`import('${specifier}')`)) continue
    if (target !== undefined) loaded(target, sources, seen)
    else if (!specifier.startsWith('node:')) throw new Error(`${door} needs the package ${specifier}`)
  }
  return seen
}

const HIDE = `
import { registerHooks } from 'node:module'
registerHooks({
  resolve(specifier, context, next) {
    if (/^(\\.|node:|file:)/.test(specifier)) return next(specifier, context)
    throw Object.assign(new Error('absent: ' + specifier), { code: 'ERR_MODULE_NOT_FOUND' })
  },
})
const told = []
const main = await import(process.argv[1])
await import(process.argv[2]).then(() => told.push('loaded'), (error) => told.push(error.code))
const bus = main.createBus()
bus.subscribe('echo', (message) => message.data)
told.push((await bus.request('echo', 'works')).data)
await bus.close()
console.log(JSON.stringify(told))
`

test('[VN15] the main door needs no package, and an optional part whose package is absent is one error and harms nothing', async () => {
  const sources = new Map(sourcesIn('src').map((source) => [source.path, source]))
  expect(loaded('src/index.ts', sources).size).toBeGreaterThan(10)
  const url = (path: string): string => pathToFileURL(join(ROOT, path)).href
  const run = promisify(execFile)
  const { stdout, stderr } = await run(process.execPath, [
    '--input-type=module',
    '--eval',
    HIDE,
    url('src/index.ts'),
    url('src/message/msgpack.ts'),
  ])
  expect(JSON.parse(stdout)).toEqual(['ERR_MODULE_NOT_FOUND', 'works'])
  expect(stderr).toBe('')
})
