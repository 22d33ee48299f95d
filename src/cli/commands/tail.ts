import { Command } from 'commander'
import type { Replayed, ReplayOptions } from '../../bus/kept-verbs.ts'
import type { BusError } from '../../kit/errors.ts'
import type { MessageLog } from '../../log/log.ts'
import { type Act, type Call, exitOf } from '../call.ts'
import { EXIT } from '../faults.ts'
import type { Kept } from '../open.ts'
import { patternText, type Start, startAt, wholeFrom } from '../parse.ts'
import { counted } from '../text.ts'
import { gapsTold } from './replay.ts'

interface Options {
  readonly from?: Start
  readonly last?: number
  readonly follow: boolean
}

const EXAMPLES = `
Examples:
  $ swarmbus tail 'tasks.>' --file swarm.db            # the last 10, then what comes
  $ swarmbus tail '>' --from 15m                       # what was stored in the last 15 minutes, then what comes
  $ swarmbus tail '>' --url redis://localhost:6379     # what the swarm says, as it says it
  $ swarmbus tail 'agent.*' --last 50 --no-follow

On a broker (--url redis://…, nats://…) it follows live, beside all others. A file belongs to one process at a time: while tail
follows it, others wait. Ctrl-C ends it.`

/** Messages shown before following, as `tail -f` does. */
const LAST = 10

/** `swarmbus tail PATTERN`: the newest messages, then each as it is stored. */
export function tailCommand(act: Act, nowMs: () => number): Command {
  return new Command('tail')
    .description('print the newest kept messages, then each as it is stored')
    .argument('<pattern>', 'topics: * is one token, a last > is one or more', patternText)
    .option('--from <start>', 'begin: first, an offset, a message id, or a time', startAt(nowMs))
    .option('--last <n>', `begin with the newest so many (default: ${LAST})`, wholeFrom(0))
    .option('--no-follow', 'end when everything that is there was printed')
    .addHelpText('after', EXAMPLES)
    .action(act(tail))
}

async function tail(call: Call, pattern: string, options: Options): Promise<number> {
  const { withKept } = await import('../open.ts')
  return withKept(call, (kept) => follow(call, kept, pattern, options))
}

/** The newest place of each stream, whether its entry can be read or not. */
async function endsOf(log: MessageLog): Promise<Map<string, string>> {
  const ends = new Map<string, string>()
  for (const { stream } of await log.streams()) {
    for await (const entry of log.read(stream, { last: 1 })) {
      ends.set(stream, entry.type === 'entry' ? entry.offset : entry.to)
    }
  }
  return ends
}

async function follow(call: Call, { bus, log, url }: Kept, pattern: string, options: Options): Promise<number> {
  const { entryJson, messageLines } = await import('../messages.ts')
  const { follow: following } = await import('../follow.ts')
  const { matchesTokens, parsePattern } = await import('../../message/topic.ts')
  const { out, io } = call
  const stop = call.stop()
  const { signal } = stop
  const tokens = parsePattern(pattern)
  const gaps = gapsTold(out)
  const lineOf = messageLines(out)
  let count = 0
  const print = async (entry: Replayed): Promise<void> => {
    count++
    await out.entry(entryJson(entry), () => lineOf(entry))
  }
  const last = options.last ?? (options.from === undefined ? LAST : undefined)
  const shared: ReplayOptions = {
    onGap: gaps.tell,
    signal,
    ...(options.from === undefined ? {} : { from: options.from }),
  }
  // Following begins behind what is read here. A stream from which nothing is read, since all of it is older, goes on behind its end.
  const read = await endsOf(log)
  let newest: Replayed[] = []
  for await (const entry of bus.replay('>', shared).entries()) {
    const at = entry.offset.lastIndexOf(':')
    read.set(entry.offset.slice(0, at), entry.offset.slice(at + 1))
    if (!matchesTokens(tokens, entry.message.topic.split('.'))) continue
    if (last === undefined) await print(entry)
    else {
      newest.push(entry)
      if (newest.length >= 2 * last) newest = last === 0 ? [] : newest.slice(-last)
    }
    if (signal.aborted) break
  }
  for (const entry of last === undefined || last === 0 ? [] : newest.slice(-last)) {
    if (!signal.aborted) await print(entry)
  }
  if (options.follow) {
    const alone = log.supports.shared ? '' : '; it belongs to this process until then'
    if (!signal.aborted) await out.note(`following ${url}, Ctrl-C ends${alone}`)
    const onAway = ({ code, message }: BusError): void => {
      void out.warn(`${message}; following goes on when the broker is back`, { code })
    }
    const chosen = { pattern, read, onGap: gaps.tell, onAway, signal, env: io.clock }
    for await (const entry of following(log, chosen)) await print(entry)
  }
  await gaps.told()
  await out.note(counted(count, 'message'))
  if (gaps.count() > 0) return EXIT.damaged
  // Ctrl-C is how following ends.
  return options.follow ? EXIT.ok : exitOf(stop)
}
