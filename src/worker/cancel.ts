import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { Entry, MessageLog } from '../log/log.ts'
import type { Message } from '../message/message.ts'
import type { Channel } from './channel.ts'
import { type DeadRecord, deadRecord, writeStory } from './record.ts'

/** What ends messages that wait in the log. */
export interface CancelHost {
  readonly env: Env
  readonly log: MessageLog
  /** A message became a dead letter. */
  buried(channel: Channel, record: DeadRecord, message: Message): void
}

/** Ends a message that nobody has in hand for every group of its channel, with a record for each. Resolves to how many that were. */
export async function cancelKept({ env, log, buried }: CancelHost, channel: Channel, id: string): Promise<number> {
  const found = await log.find(channel.name, id)
  if (found === undefined) return 0
  const { stream, offset } = found
  const entry = await entryAt(log, stream, offset)
  const error = new BusError('CANCELLED', `message "${id}" was cancelled`)
  let count = 0
  for (const { group } of await log.groups(stream)) {
    const record = deadRecord(
      { group, stream, offset, reason: 'cancelled', diedAt: env.wallMs() },
      { attempts: [] },
      error,
    )
    const along = channel.policy.deadLetters ? { stream: channel.dead, note: writeStory(record) } : undefined
    if (!(await log.settle(stream, group, offset, 'dropped', along))) continue
    count++
    if (entry !== undefined) buried(channel, record, entry.message)
  }
  return count
}

async function entryAt(log: MessageLog, stream: string, offset: string): Promise<Entry | undefined> {
  for await (const entry of log.read(stream, { from: offset })) {
    return entry.type === 'entry' && entry.offset === offset ? entry : undefined
  }
  return undefined
}
