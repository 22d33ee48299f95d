import { Command } from 'commander'
import { type Act, type Call, usage } from '../call.ts'
import { EXIT } from '../faults.ts'
import { isYes } from '../input.ts'
import { chosenWell, type FilterOptions, filterOf, withFilters } from '../letters.ts'
import type { Kept } from '../open.ts'
import { eachById } from '../several.ts'
import { counted } from '../text.ts'

interface Options extends FilterOptions {
  readonly all?: boolean
  readonly yes?: boolean
}

const EXAMPLES = `
Examples:
  $ swarmbus dead-letters discard tasks/dead:3 tasks/dead:4
  $ swarmbus dead-letters discard --all --reason expired --before 7d --yes`

/** `swarmbus dead-letters discard`: for good. */
export function discardCommand(act: Act, nowMs: () => number): Command {
  return withFilters(new Command('discard'), nowMs, 'most of them, the oldest first (default: all)')
    .description('drop dead letters for good')
    .argument('[ids...]', 'their ids in the list, as tasks/dead:3')
    .option('--all', 'all that the filters choose')
    .option('--yes', 'do not ask')
    .addHelpText('after', EXAMPLES)
    .action(act(discard))
}

async function discard(call: Call, ids: readonly string[], options: Options): Promise<number> {
  const { io } = call
  const { all = false, yes = false } = options
  chosenWell('discard', ids, all, options)
  if (!yes && !(io.stdin.isTTY && io.stderr.isTTY)) {
    throw usage('discarding cannot be undone, and there is no terminal to ask at', 'give --yes')
  }
  const { withKept } = await import('../open.ts')
  return withKept(call, async (kept) => {
    const chosen = all ? await idsOf(kept, options) : ids
    if (chosen.length > 0 && !yes && !(await isSure(call, chosen.length))) return EXIT.failed
    return eachById(call, chosen, 'discarded', (id) => kept.bus.deadLetters.discard(id))
  })
}

async function idsOf({ bus }: Kept, options: Options): Promise<readonly string[]> {
  const filter = filterOf(options)
  const limit = options.limit ?? (await bus.deadLetters.count(filter))
  if (limit === 0) return []
  return (await bus.deadLetters.list({ ...filter, limit, order: 'oldest' })).map(({ id }) => id)
}

async function isSure(call: Call, count: number): Promise<boolean> {
  const { io, out } = call
  const stop = call.stop()
  await io.stderr.write(`Discard ${counted(count, 'dead letter')}? They cannot be brought back. [y/N] `)
  const sure = await isYes(io.stdin, stop.signal)
  if (!sure) await out.note('nothing was discarded')
  return sure
}
