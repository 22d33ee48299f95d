import { statSync } from 'node:fs'
import { Command } from 'commander'
import type { KeptLedger } from '../../bus/kept-verbs.ts'
import type { Gap } from '../../log/log.ts'
import type { Act, Call } from '../call.ts'
import { EXIT } from '../faults.ts'
import type { Kept } from '../open.ts'
import { bytesText, pad } from '../text.ts'

/** `swarmbus stats`: the whole log in figures. */
export function statsCommand(act: Act): Command {
  return new Command('stats')
    .description('show the figures of the whole log: size, lanes, balance, gaps')
    .action(act(stats))
}

async function stats(call: Call): Promise<number> {
  const { withKept } = await import('../open.ts')
  const { out } = call
  return withKept(call, async (kept) => {
    const figures = await figuresOf(kept)
    if (out.json) {
      await out.document(figures)
      return EXIT.ok
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
    return EXIT.ok
  })
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
