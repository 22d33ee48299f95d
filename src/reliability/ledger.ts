import type { KeptLedger } from '../bus/kept-verbs.ts'
import type { GroupInfo, StreamInfo } from '../log/log.ts'

/** Where every message of a channel is: each is in exactly one of the figures, once for each group that reads it. */
export type ChannelLedger = KeptLedger

const NOTHING: ChannelLedger = {
  published: 0,
  acked: 0,
  pending: 0,
  leased: 0,
  delayed: 0,
  held: 0,
  dead: 0,
  expired: 0,
  dropped: 0,
}

/** The fields of a ledger. */
export const LEDGER_FIELDS: readonly (keyof ChannelLedger)[] = Object.keys(NOTHING) as (keyof ChannelLedger)[]

/** Adds up ledgers: the lanes of a channel, or channels. */
export function addLedgers(ledgers: Iterable<ChannelLedger>): ChannelLedger {
  const sum = { ...NOTHING }
  for (const ledger of ledgers) for (const field of LEDGER_FIELDS) sum[field] += ledger[field]
  return sum
}

/** The ledger of one group on one stream. */
export function groupLedger(group: GroupInfo): ChannelLedger {
  const { published, acked, pending, leased, delayed, dead, expired, dropped } = group
  return { published, acked, pending, leased, delayed, held: 0, dead, expired, dropped }
}

/**
 * The ledger of the given streams, the lanes of one channel: what their groups report, and as `held` the entries of streams that no
 * group reads. Groups of other streams are left out, so the whole list of a log may be given.
 */
export function channelLedger(streams: readonly StreamInfo[], groups: readonly GroupInfo[]): ChannelLedger {
  const names = new Set(streams.map(({ stream }) => stream))
  const mine = groups.filter(({ stream }) => names.has(stream))
  const read = new Set(mine.map(({ stream }) => stream))
  const held = streams
    .filter(({ stream }) => !read.has(stream))
    .map(({ count }) => ({ ...NOTHING, published: count, held: count }))
  return addLedgers([...mine.map(groupLedger), ...held])
}

/** Published messages that are in none of the other figures; negative for messages counted twice; 0 when the ledger balances. */
export function balance(ledger: ChannelLedger): number {
  const { published, acked, pending, leased, delayed, held, dead, expired, dropped } = ledger
  return published - (acked + pending + leased + delayed + held + dead + expired + dropped)
}
