// `npm run bench`: measures swarmbus against its peers in one run. Exit code 0 when everything was measured, whatever the figures;
// 1 when a workload did not do its own work; 2 for wrong arguments.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Args, argsOf, USAGE, WrongArgs } from './harness/args.ts'
import { jsonOf } from './harness/json.ts'
import { tableOf } from './harness/report.ts'
import { type RowResult, runRow } from './harness/rounds.ts'
import { WORKLOADS } from './workloads/index.ts'

process.exitCode = await main()

async function main(): Promise<number> {
  const names = WORKLOADS.map(({ id }) => id)
  let args: Args
  try {
    args = argsOf(process.argv.slice(2), names)
  } catch (error) {
    if (!(error instanceof WrongArgs)) throw error
    process.stderr.write(`${error.message}\n\n${USAGE}\n`)
    return 2
  }
  if (args.help || args.list) {
    process.stdout.write(`${args.help ? USAGE : WORKLOADS.map(listed).join('\n')}\n`)
    return 0
  }
  return measure(args)
}

async function measure({ only, rounds, quick, json }: Args): Promise<number> {
  const results: RowResult[] = []
  const progress = (line: string): void => void process.stderr.write(`${line}\n`)
  const compileCache = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    for (const workload of WORKLOADS.filter(({ id }) => only.includes(id))) {
      for (const row of workload.rows)
        results.push(await runRow(workload, row, { rounds, quick, compileCache, progress }))
    }
  } finally {
    rmSync(compileCache, { recursive: true, force: true })
  }
  const report = { results, rounds, quick }
  process.stdout.write(`${json ? JSON.stringify(jsonOf(report)) : tableOf(report)}\n`)
  return results.some(({ fault }) => fault !== undefined) ? 1 : 0
}

function listed({ id, rows }: (typeof WORKLOADS)[number]): string {
  return rows.map(({ work }) => `${id.padEnd(4)} ${work}`).join('\n')
}
