import { Command } from 'commander'
import type { GroupInfo } from '../../log/log.ts'
import type { Act, Call } from '../call.ts'
import { EXIT } from '../faults.ts'
import { groupOf } from '../letters.ts'
import { parseText } from '../parse.ts'

interface Options {
  readonly channel?: string
}

/** One group in one channel, over all its lanes. */
interface Sum {
  readonly channel: string
  readonly group: string
  readonly patterns: string
  readonly published: number
  readonly acked: number
  readonly pending: number
  readonly leased: number
  readonly delayed: number
  readonly dead: number
  readonly expired: number
  readonly dropped: number
}

/** `swarmbus groups`: who reads, and how far each has come. */
export function groupsCommand(act: Act): Command {
  return new Command('groups')
    .description('list the groups with what each has done and has before it')
    .option('--channel <name>', 'only of this channel', parseText)
    .action(act(groups))
}

async function groups(call: Call, options: Options): Promise<number> {
  const { withKept } = await import('../open.ts')
  const { out } = call
  return withKept(call, async ({ log }) => {
    const sums = sumsOf(await log.groups()).filter(
      ({ channel }) => options.channel === undefined || channel === options.channel,
    )
    if (out.json) await out.document(sums)
    else if (sums.length === 0) await out.text('no groups: nobody has read yet')
    else {
      await out.table(
        [
          { title: 'CHANNEL', look: 'cyan' },
          { title: 'GROUP' },
          { title: 'ACKED', side: 'right' },
          { title: 'PENDING', side: 'right' },
          { title: 'LEASED', side: 'right' },
          { title: 'DELAYED', side: 'right' },
          { title: 'DEAD', side: 'right' },
          { title: 'EXPIRED', side: 'right' },
          { title: 'DROPPED', side: 'right' },
          { title: 'READS', gives: true, look: 'dim' },
        ],
        sums.map(({ channel, group, patterns, ...counts }) => [
          channel,
          group,
          ...[counts.acked, counts.pending, counts.leased, counts.delayed].map(String),
          ...[counts.dead, counts.expired, counts.dropped].map(String),
          patterns,
        ]),
      )
    }
    return EXIT.ok
  })
}

function sumsOf(infos: readonly GroupInfo[]): readonly Sum[] {
  const sums = new Map<string, Sum>()
  for (const info of infos) {
    const slash = info.stream.lastIndexOf('/')
    // The open dead letters of a channel are kept as a group of their own.
    if (info.stream.slice(slash) === '/dead') continue
    const channel = info.stream.slice(0, slash)
    const key = `${channel}\n${info.group}`
    const { name, patterns } = groupOf(info.group)
    const before = sums.get(key)
    const add = (field: keyof GroupInfo & keyof Sum): number => Number(before?.[field] ?? 0) + Number(info[field])
    sums.set(key, {
      channel,
      group: name,
      patterns,
      published: add('published'),
      acked: add('acked'),
      pending: add('pending'),
      leased: add('leased'),
      delayed: add('delayed'),
      dead: add('dead'),
      expired: add('expired'),
      dropped: add('dropped'),
    })
  }
  return [...sums.values()].sort((a, b) => (`${a.channel} ${a.group}` < `${b.channel} ${b.group}` ? -1 : 1))
}
