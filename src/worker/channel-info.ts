import type { ChannelInfo } from '../bus/kept-verbs.ts'
import { channelOf, type MessageLog, streamOf } from '../log/log.ts'
import { PRIORITIES } from '../message/priority.ts'
import { channelLedger } from '../reliability/ledger.ts'
import { DEAD, DEAD_GROUP } from './channel.ts'

/** What a channel's messages lie in. Streams of other kinds, as of a blackboard, make no channel. */
const PARTS: ReadonlySet<string> = new Set([...PRIORITIES, DEAD])

const isLane = ({ stream }: { readonly stream: string }, name: string): boolean =>
  PRIORITIES.some((priority) => stream === streamOf(name, priority))

/** The kept channels of a log with their ledgers, by name. */
export async function channelInfos(log: MessageLog): Promise<readonly ChannelInfo[]> {
  const streams = await log.streams()
  const groups = await log.groups()
  const ours = streams.filter(({ stream }) => PARTS.has(stream.slice(channelOf(stream).length + 1)))
  const names = [...new Set(ours.map((one) => channelOf(one.stream)))].sort()
  return names.map((name) => {
    // A channel has streams of other kinds beside its lanes: dead letters, remembered keys.
    const lanes = streams.filter((one) => isLane(one, name))
    const own = groups.filter((one) => isLane(one, name))
    const dead = streams.find((one) => one.stream === `${name}/${DEAD}`)
    const settled = groups.find((one) => one.stream === `${name}/${DEAD}` && one.group === DEAD_GROUP)
    return {
      name,
      level: log.level,
      messages: lanes.reduce((sum, one) => sum + one.count, 0),
      bytes: lanes.reduce((sum, one) => sum + one.bytes, dead?.bytes ?? 0),
      deadLetters: settled === undefined ? (dead?.count ?? 0) : settled.pending + settled.leased + settled.delayed,
      groups: [...new Set(own.map((one) => one.group))].sort(),
      ledger: channelLedger(lanes, own),
    }
  })
}
