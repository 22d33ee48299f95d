import type { ChannelInfo } from '../bus/kept-verbs.ts'
import { channelOf, type MessageLog } from '../log/log.ts'
import { channelLedger } from '../reliability/ledger.ts'
import { DEAD, DEAD_GROUP } from './channel.ts'

/** The kept channels of a log with their ledgers, by name. */
export async function channelInfos(log: MessageLog): Promise<readonly ChannelInfo[]> {
  const streams = await log.streams()
  const groups = await log.groups()
  const names = [...new Set(streams.map((one) => channelOf(one.stream)))].sort()
  return names.map((name) => {
    const lanes = streams.filter((one) => channelOf(one.stream) === name && !one.stream.endsWith(`/${DEAD}`))
    const own = groups.filter((one) => channelOf(one.stream) === name && !one.stream.endsWith(`/${DEAD}`))
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
