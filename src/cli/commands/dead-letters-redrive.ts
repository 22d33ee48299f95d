import { Command } from 'commander'
import type { RedriveOptions } from '../../bus/kept-verbs.ts'
import { PRIORITIES, type Priority } from '../../message/priority.ts'
import { type Act, type Call, exitOf, usage } from '../call.ts'
import { EXIT } from '../faults.ts'
import { chosenWell, type FilterOptions, filterOf, withFilters } from '../letters.ts'
import type { Kept } from '../open.ts'
import { choice, parseData, parsePositive } from '../parse.ts'
import { eachById } from '../several.ts'
import { counted } from '../text.ts'

interface Options extends FilterOptions {
  readonly all?: boolean
  readonly rate?: number
  readonly data?: string
  readonly text?: boolean
  readonly priority?: Priority
}

const EXAMPLES = `
Examples:
  $ swarmbus dead-letters redrive tasks/dead:3
  $ swarmbus dead-letters redrive tasks/dead:3 --data '{"title":"fix auth","branch":"main"}'
  $ swarmbus dead-letters redrive --all --topic 'tasks.>' --since 1h --rate 20`

/** `swarmbus dead-letters redrive`: back to the group in which they died. */
export function redriveCommand(act: Act, nowMs: () => number): Command {
  return withFilters(new Command('redrive'), nowMs, 'most of them (default: all)')
    .description('put dead letters back for the group in which they died')
    .argument('[ids...]', 'their ids in the list, as tasks/dead:3')
    .option('--all', 'all that the filters choose')
    .option('--rate <n>', 'with --all: at most so many a second', parsePositive)
    .option('--data <data>', 'other data in place of what failed, for one id: JSON or text')
    .option('--text', 'take the data as text, even if it is JSON')
    .addOption(choice('--priority <level>', 'another level, for ids', PRIORITIES))
    .addHelpText('after', EXAMPLES)
    .action(act(redrive))
}

async function redrive(call: Call, ids: readonly string[], options: Options): Promise<number> {
  const { all = false, rate, data, priority } = options
  chosenWell('redrive', ids, all, options)
  if (data !== undefined && ids.length !== 1) throw usage('--data is for one id', 'redrive it alone')
  if (priority !== undefined && all) throw usage('--priority is for ids', 'name the ids')
  if (rate !== undefined && !all) throw usage('--rate goes with --all', 'leave it away for single ids')
  const changes = changesOf(options)
  const { withKept } = await import('../open.ts')
  return withKept(call, async (kept) => {
    if (all) return redriveAll(call, kept, options)
    return eachById(call, ids, 'redriven', (id) => kept.bus.deadLetters.redrive(id, changes))
  })
}

function changesOf({ data, text, priority }: Options): RedriveOptions {
  const changed = data === undefined ? {} : { data: readData(data, text === true) }
  return { ...changed, ...(priority === undefined ? {} : { priority }) }
}

function readData(text: string, asText: boolean): unknown {
  try {
    return parseData(text, asText)
  } catch (error) {
    throw usage(`--data: ${(error as Error).message}`, 'mend the JSON, or give --text')
  }
}

async function redriveAll(call: Call, { bus }: Kept, options: Options): Promise<number> {
  const { out } = call
  const { rate, limit } = options
  const stop = call.stop()
  let [seen, wanted] = [0, 0]
  const done = await bus.deadLetters.redriveAll({
    ...filterOf(options),
    ...(rate === undefined ? {} : { perSecond: rate }),
    ...(limit === undefined ? {} : { limit }),
    signal: stop.signal,
    onProgress(count, total) {
      ;[seen, wanted] = [count, total]
      out.progress(`redriven ${count} of ${total}`)
    },
  })
  const left = stop.interrupted() ? wanted - seen : 0
  if (out.json) await out.document({ redriven: done, interrupted: stop.interrupted() })
  else {
    const rest = stop.interrupted() ? `, interrupted${left > 0 ? `: ${left} left` : ''}` : ''
    await out.text(`${counted(done, 'dead letter')} redriven${rest}`)
  }
  return stop.interrupted() ? exitOf(stop) : EXIT.ok
}
