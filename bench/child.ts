// One round of one contestant, in a process of its own so that no contestant runs on code that another one's calls have
// taught the engine. Arguments: workload, row, contestant, `full` or `quick`. Answers with one message to its parent.
import { setTimeout as sleep } from 'node:timers/promises'
import { figuresOf } from './harness/figures.ts'
import type { Contestant, Pass, Scale, Work } from './harness/types.ts'
import { workloadOf } from './workloads/index.ts'

/** What a child tells its parent. */
export type Told = { readonly figures: Record<string, number> } | { readonly fault: string }

const [, , id = '', row = '', name = '', mode = 'full'] = process.argv
const quick = mode === 'quick'
const scale: Scale = { quick, count: (full) => (quick ? Math.min(full, Math.max(200, Math.ceil(full / 20))) : full) }
const WARM_MS = quick ? 30 : 300
/** The rows without bars, the originals' own work, are the many. */
const TIMED_MS = quick ? 30 : id.startsWith('P') ? 300 : 150

/** A pass may prepare for long and time little: so many times its timed part is enough for all of it. */
const MOST_TIMES = 20

// A parent that ends takes its rounds with it.
process.on('disconnect', () => process.exit(1))
// Unless there is work left: a message that got lost ends the process at once, without a figure.
process.channel?.unref()
// A publish that is refused rejects where nobody waits for it: that is work not done.
process.on('uncaughtException', (error) => tell(faultOf(error)))
tell(await told())

function tell(told: Told): void {
  process.send?.(told, () => process.exit(0))
}

async function told(): Promise<Told> {
  try {
    return { figures: await round(contestant()) }
  } catch (error) {
    return faultOf(error)
  }
}

function faultOf(error: unknown): Told {
  return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

function contestant(): Contestant {
  const found = workloadOf(id)
    ?.rows.find((one) => one.name === row)
    ?.contestants.find((one) => one.name === name)
  if (found === undefined) throw new Error(`there is no contestant "${name}" in ${id} "${row}"`)
  return found
}

async function round(one: Contestant): Promise<Record<string, number>> {
  const work = await one.open(scale)
  await passesFor(work, WARM_MS)
  // Lets finalizers and optimizing threads end, then begins with an empty heap. Not inside of anything timed.
  await sleep(quick ? 1 : 20)
  globalThis.gc?.()
  globalThis.gc?.()
  const passes = await passesFor(work, TIMED_MS)
  await work.close?.()
  return { ...figuresOf(passes) }
}

/** Passes until their timed parts add up, or have taken long enough with all that is around them. */
async function passesFor(work: Work, totalMs: number): Promise<readonly Pass[]> {
  const passes: Pass[] = []
  const startMs = performance.now()
  const isLong = (): boolean => performance.now() - startMs > MOST_TIMES * totalMs
  for (let doneMs = 0; passes.length < 1 || (doneMs < totalMs && !isLong()); ) {
    const pass = await work.pass()
    passes.push(pass)
    doneMs += pass.seconds * 1_000
  }
  return passes
}
