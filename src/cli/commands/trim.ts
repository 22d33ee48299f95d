import { Command } from 'commander'
import type { TrimOptions } from '../../log/log.ts'
import { type Act, type Call, usage } from '../call.ts'
import { CliError, EXIT } from '../faults.ts'
import { isYes } from '../input.ts'
import type { Kept } from '../open.ts'
import { parseDuration, parseText, wholeFrom } from '../parse.ts'
import { counted } from '../text.ts'

interface Options {
  readonly maxCount?: number
  readonly maxAge?: number
  readonly unread?: boolean
  readonly yes?: boolean
}

const EXAMPLES = `
Examples:
  $ swarmbus trim tasks --max-age 7d --file swarm.db --yes
  $ swarmbus trim tasks --max-count 10000 --url redis://localhost:6379

What some group has not settled stays, and so does everything behind it; dead letters stay. What went cannot be replayed.`

/** `swarmbus trim CHANNEL`: removes what is settled and old. */
export function trimCommand(act: Act): Command {
  return new Command('trim')
    .description('remove the oldest messages of a channel, as far as every group has settled them')
    .argument('<channel>', 'the channel', parseText)
    .option('--max-count <n>', 'keep the newest so many of each lane', wholeFrom(0))
    .option('--max-age <duration>', 'keep what was stored within it, as 12h or 7d', parseDuration)
    .option('--unread', 'lanes that no group reads, too: what waits there for its first reader is lost')
    .option('--yes', 'do not ask')
    .addHelpText('after', EXAMPLES)
    .action(act(trim))
}

async function trim(call: Call, channel: string, options: Options): Promise<number> {
  const { io } = call
  const { maxCount, maxAge, yes = false } = options
  if (maxCount === undefined && maxAge === undefined) {
    throw usage('nothing says what may go', 'give --max-count, --max-age, or both: what exceeds one of them goes')
  }
  if (!yes && !(io.stdin.isTTY && io.stderr.isTTY)) {
    throw usage('trimming cannot be undone, and there is no terminal to ask at', 'give --yes')
  }
  const { withKept } = await import('../open.ts')
  return withKept(call, async (kept) => {
    const lanes = await lanesOf(kept, channel)
    if (!yes && !(await isSure(call, channel))) return EXIT.failed
    const limits: TrimOptions = {
      ...(maxCount === undefined ? {} : { maxCount }),
      ...(maxAge === undefined ? {} : { storedBefore: Math.max(0, Math.floor(io.clock.wallMs() - maxAge)) }),
    }
    return trimLanes(call, kept, lanes, { channel, limits, unread: options.unread === true })
  })
}

/** The streams of the channel without that of its dead letters. Throws when there is no such channel. */
async function lanesOf({ log }: Kept, channel: string): Promise<readonly string[]> {
  const lanes = (await log.streams(channel)).map(({ stream }) => stream).filter((stream) => !stream.endsWith('/dead'))
  if (lanes.length > 0) return lanes
  throw new CliError(EXIT.failed, `there is no channel "${channel}"`, '`swarmbus channels` lists them')
}

async function isSure(call: Call, channel: string): Promise<boolean> {
  const { io, out } = call
  const stop = call.stop()
  await io.stderr.write(`Trim "${channel}"? What goes cannot be replayed any more. [y/N] `)
  const sure = await isYes(io.stdin, stop.signal)
  if (!sure) await out.note('nothing was trimmed')
  return sure
}

interface Trimming {
  readonly channel: string
  readonly limits: TrimOptions
  readonly unread: boolean
}

async function trimLanes(
  { out }: Call,
  { log }: Kept,
  lanes: readonly string[],
  { channel, limits, unread }: Trimming,
): Promise<number> {
  const removed: Record<string, number> = {}
  const skipped: string[] = []
  for (const lane of lanes) {
    const name = lane.slice(channel.length + 1)
    // To the log, what nobody reads is settled by everybody.
    if (!unread && (await log.groups(lane)).length === 0) skipped.push(name)
    else removed[name] = await log.trim(lane, limits)
  }
  const left = (await log.streams(channel)).reduce(
    (sum, { stream, count }) => sum + (lanes.includes(stream) ? count : 0),
    0,
  )
  const gone = Object.values(removed).reduce((sum, count) => sum + count, 0)
  if (out.json) await out.document({ channel, removed: gone, left, lanes: removed, unread: skipped })
  else {
    await out.text(`${counted(gone, 'message')} of ${channel} removed, ${left} left`)
    if (skipped.length > 0) {
      await out.warn(`no group reads ${skipped.join(', ')}: nothing was removed there; --unread does`, {
        unread: skipped,
      })
    }
  }
  return EXIT.ok
}
