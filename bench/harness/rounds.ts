import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Told } from '../child.ts'
import { mediansOf } from './figures.ts'
import { figure } from './format.ts'
import { type Contestant, type Figures, type Row, type Workload, WorkNotDone } from './types.ts'

const CHILD = fileURLToPath(new URL('../child.ts', import.meta.url))
const CHILD_LIMIT_MS = 120_000

export interface Plan {
  readonly rounds: number
  readonly quick: boolean
  /** Where the children keep compiled modules: hundreds of them start, and none should compile the same again. */
  readonly compileCache: string
  readonly progress: (line: string) => void
}

/** What one contestant reached in one row. */
export interface Reached {
  readonly contestant: Contestant
  readonly median: Figures
  readonly rounds: readonly Figures[]
}

export interface RowResult {
  readonly workload: Workload
  readonly row: Row
  readonly reached: readonly Reached[]
  /** Why the row has no figures. */
  readonly fault: string | undefined
}

/** Runs every round of a row: ours, peer, peer …, then again from the first, each in a process of its own. */
export async function runRow(workload: Workload, row: Row, plan: Plan): Promise<RowResult> {
  const rounds = new Map<Contestant, Figures[]>(row.contestants.map((one) => [one, []]))
  try {
    for (let round = 1; round <= plan.rounds; round++) {
      for (const [contestant, figures] of rounds) {
        const found = await runChild(
          [workload.id, row.name, contestant.name, plan.quick ? 'quick' : 'full'],
          plan.compileCache,
        )
        figures.push(found)
        const main = row.main ?? 'perSecond'
        const shown = figure(main, found[main] ?? Number.NaN, row.unit)
        plan.progress(`${workload.id} ${row.name} · round ${round}/${plan.rounds} · ${contestant.name}: ${shown}`)
      }
    }
  } catch (error) {
    if (!(error instanceof WorkNotDone)) throw error
    plan.progress(`${workload.id} ${row.name} · FAILED · ${error.message}`)
    return { workload, row, reached: [], fault: error.message }
  }
  const reached = [...rounds].map(([contestant, all]) => ({ contestant, median: mediansOf(all), rounds: all }))
  return { workload, row, reached, fault: undefined }
}

/** Rejects with {@link WorkNotDone} when the child says so, ends without a figure, or takes too long. */
function runChild(args: readonly string[], compileCache: string): Promise<Figures> {
  const who = `${args[0]} "${args[1]}", ${args[2]}`
  return new Promise((resolve, reject) => {
    const child = fork(CHILD, args, {
      execArgv: ['--conditions=swarmbus-source', '--expose-gc'],
      env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
      // Whatever a peer prints must not get into the table or the JSON.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    // Only a round that loops for ever comes to this.
    const limit = setTimeout(() => child.kill('SIGKILL'), CHILD_LIMIT_MS)
    let told: Told | undefined
    child.on('message', (message) => {
      told = message as Told
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      clearTimeout(limit)
      if (told === undefined)
        reject(new WorkNotDone(`${who}: ended without a figure (${signal ?? `exit code ${code}`})`))
      else if ('fault' in told) reject(new WorkNotDone(`${who}: ${told.fault}`))
      else resolve(told.figures)
    })
  })
}
