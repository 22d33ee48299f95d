import { Command } from 'commander'
import type { Replayed, ReplayOptions } from '../../bus/kept-verbs.ts'
import type { Gap } from '../../log/log.ts'
import { type Act, type Call, exitOf } from '../call.ts'
import { EXIT } from '../faults.ts'
import type { Output } from '../output.ts'
import { endAt, parsePace, parseText, patternText, type Start, startAt, wholeFrom } from '../parse.ts'
import { counted } from '../text.ts'

interface Options {
  readonly from?: Start
  readonly to?: { readonly id: string } | { readonly time: number }
  readonly last?: number
  readonly session?: string
  readonly agent?: string
  readonly pace?: 'fast' | 'original' | number
}

const EXAMPLES = `
Examples:
  $ swarmbus replay 'tasks.>' --file swarm.db
  $ swarmbus replay '>' --session user-42 --from 2026-11-21T08:00 --to 2026-11-21T09:00
  $ swarmbus replay 'tasks.*' --last 100 --json | jq .message.data
  $ swarmbus replay 'tasks.>' --pace 10                # ten times as fast as it was`

/** `swarmbus replay PATTERN`: kept messages once, in the order of their storing. */
export function replayCommand(act: Act, nowMs: () => number): Command {
  return new Command('replay')
    .description('print kept messages, in the order in which they were stored')
    .argument('<pattern>', 'topics: * is one token, a last > is one or more', patternText)
    .option('--from <start>', 'begin: first, an offset, a message id, or a time', startAt(nowMs))
    .option('--to <end>', 'end: a message id (the last one), or a time (excluded)', endAt(nowMs))
    .option('--last <n>', 'only the newest so many', wholeFrom(1))
    .option('--session <id>', 'only this session', parseText)
    .option('--agent <name>', 'only messages from or to this agent', parseText)
    .option('--pace <pace>', 'fast (default), original, or how many times faster', parsePace)
    .addHelpText('after', EXAMPLES)
    .action(act(replay))
}

async function replay(call: Call, pattern: string, options: Options): Promise<number> {
  const { withKept } = await import('../open.ts')
  const { entryJson, messageLines } = await import('../messages.ts')
  const { out } = call
  return withKept(call, async ({ bus }) => {
    const stop = call.stop()
    const gaps = gapsTold(out)
    const lineOf = messageLines(out)
    const { from, to, last, session, agent, pace } = options
    const chosen: ReplayOptions = {
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      ...(last === undefined ? {} : { last }),
      ...(session === undefined ? {} : { session }),
      ...(agent === undefined ? {} : { agent }),
      ...(pace === undefined ? {} : { pace }),
      onGap: gaps.tell,
      signal: stop.signal,
    }
    let count = 0
    for await (const entry of bus.replay(pattern, chosen).entries()) {
      if (stop.signal.aborted) break
      count++
      await out.entry(entryJson(entry as Replayed), () => lineOf(entry))
    }
    await gaps.told()
    await out.note(`${counted(count, 'message')}${stop.interrupted() ? ', interrupted' : ''}`)
    return gaps.count() > 0 && !stop.interrupted() ? EXIT.damaged : exitOf(stop)
  })
}

/** Tells of holes that are not from retention while messages are printed. */
export function gapsTold(out: Output): {
  tell(gap: Gap): void
  count(): number
  /** Resolves when everything was written. */
  told(): Promise<void>
} {
  const writing: Promise<void>[] = []
  let holes = 0
  return {
    tell(gap) {
      if (gap.reason === 'trimmed') return
      holes++
      const text = `"${gap.stream}" lacks ${gap.from} to ${gap.to}: ${gap.reason}`
      writing.push(out.warn(text, { gap }))
    },
    count: () => holes,
    async told() {
      await Promise.all(writing)
    },
  }
}
