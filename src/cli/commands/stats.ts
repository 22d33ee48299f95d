import { statSync } from 'node:fs'
import { Command } from 'commander'
import type { KeptLedger } from '../../bus/kept-verbs.ts'
import type { Gap } from '../../log/log.ts'
import { type Act, type Call, exitOf } from '../call.ts'
import type { Kept } from '../open.ts'
import { timeAt } from '../parse.ts'
import type { Report } from '../report.ts'
import { bytesText, localTime, pad } from '../text.ts'

interface Options {
  readonly since?: number
}

const EXAMPLES = `
Examples:
  $ swarmbus stats --file swarm.db
  $ swarmbus stats --since 7d --url redis://localhost:6379    # the report of a week

A report counts what the log still has: "at least" says that retention has removed some. When a message was handled is not kept.`

/** `swarmbus stats`: the whole log in figures. */
export function statsCommand(act: Act, nowMs: () => number): Command {
  return new Command('stats')
    .description('show the figures of the whole log: size, lanes, balance, gaps')
    .option(
      '--since <time>',
      'and what was published, and died, at or after: a time, or how long ago (7d)',
      timeAt(nowMs),
    )
    .addHelpText('after', EXAMPLES)
    .action(act(stats))
}

async function stats(call: Call, { since }: Options): Promise<number> {
  const { withKept } = await import('../open.ts')
  const { out } = call
  return withKept(call, async (kept) => {
    const figures = await figuresOf(kept)
    const stop = call.stop()
    const report = since === undefined ? undefined : await reportSince(call, kept, since, stop.signal)
    if (out.json) {
      await out.document(report === undefined ? figures : { ...figures, report })
      return exitOf(stop)
    }
    const { ledger, lanes, gaps, fileBytes } = figures
    const line = (name: string, text: string): Promise<void> => out.text(`${out.look('bold', pad(name, 13))} ${text}`)
    await line('log', `${figures.url} (level ${figures.level})`)
    if (fileBytes !== undefined) await line('file', bytesText(fileBytes))
    await line('channels', String(figures.channels))
    await line('messages', `${figures.messages} (${bytesText(figures.bytes)})`)
    for (const [lane, count] of Object.entries(lanes)) if (count > 0) await line(`  ${lane}`, String(count))
    await line('dead letters', String(figures.deadLetters))
    await line('groups', String(figures.groups))
    await line('balance', balanceOf(ledger, figures.balanced))
    await line('gaps', gaps.length === 0 ? 'none' : gaps.map(gapText).join('; '))
    if (report === undefined) return exitOf(stop)
    const least = report.atLeast ? 'at least ' : ''
    await line('since', localTime(since ?? 0))
    await line('  published', `${least}${report.published}${partsOf(report.byChannel)}`)
    await line('  by lane', partsOf(report.byLane).slice(2) || 'none')
    await line('  died', `${sumOf(report.died)}${partsOf(report.died)}`)
    return exitOf(stop)
  })
}

async function reportSince({ out }: Call, kept: Kept, since: number, signal: AbortSignal): Promise<Report> {
  const { reportOf } = await import('../report.ts')
  return reportOf(kept, since, signal, (count) => out.progress(`${count} messages read`))
}

function partsOf(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

interface Figures {
  readonly url: string
  readonly level: string
  readonly fileBytes: number | undefined
  readonly channels: number
  readonly messages: number
  readonly bytes: number
  readonly lanes: Readonly<Record<string, number>>
  readonly deadLetters: number
  readonly groups: number
  readonly ledger: KeptLedger
  /** published is the sum of all the others. */
  readonly balanced: boolean
  /** Holes that are not from retention. */
  readonly gaps: readonly Gap[]
}

async function figuresOf({ bus, log, url, file }: Kept): Promise<Figures> {
  const channels = await bus.channels()
  const streams = await log.streams()
  const lanes: Record<string, number> = {}
  for (const { stream, count } of streams) {
    const lane = stream.slice(stream.lastIndexOf('/') + 1)
    if (lane !== 'dead') lanes[lane] = (lanes[lane] ?? 0) + count
  }
  const sum = (of: (channel: (typeof channels)[number]) => number): number =>
    channels.reduce((total, channel) => total + of(channel), 0)
  const ledger: KeptLedger = {
    published: sum((one) => one.ledger.published),
    acked: sum((one) => one.ledger.acked),
    pending: sum((one) => one.ledger.pending),
    leased: sum((one) => one.ledger.leased),
    delayed: sum((one) => one.ledger.delayed),
    held: sum((one) => one.ledger.held),
    dead: sum((one) => one.ledger.dead),
    expired: sum((one) => one.ledger.expired),
    dropped: sum((one) => one.ledger.dropped),
  }
  const { published, ...others } = ledger
  return {
    url,
    level: log.level,
    fileBytes: file === undefined ? undefined : statSync(file).size,
    channels: channels.length,
    messages: sum((one) => one.messages),
    bytes: sum((one) => one.bytes),
    lanes,
    deadLetters: sum((one) => one.deadLetters),
    groups: sum((one) => one.groups.length),
    ledger,
    balanced: published === Object.values(others).reduce((total, count) => total + count, 0),
    gaps: streams.flatMap((stream) => stream.gaps).filter((gap) => gap.reason !== 'trimmed'),
  }
}

function balanceOf({ published, ...others }: KeptLedger, balanced: boolean): string {
  const parts = Object.entries(others).filter(([, count]) => count !== 0)
  const sum = parts.length === 0 ? '0' : parts.map(([name, count]) => `${count} ${name}`).join(' + ')
  return `${published} published ${balanced ? '=' : '≠'} ${sum}${balanced ? '' : ': it does not balance'}`
}

function gapText({ stream, from, to, reason }: Gap): string {
  return `${stream} ${from} to ${to} (${reason})`
}
