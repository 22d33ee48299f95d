import type { MessageLog } from '../log/log.ts'
import { DEAD_GROUP } from './channel.ts'
import { readDeadRecord } from './record.ts'

/** The sessions of which a message died in the group, and whose dead letter nobody has redriven or discarded yet. */
export async function haltedSessions(log: MessageLog, dead: string, group: string): Promise<Set<string>> {
  const sessions = new Set<string>()
  for await (const entry of log.read(dead, { openFor: DEAD_GROUP })) {
    if (entry.type === 'gap' || entry.message.session === undefined) continue
    const record = readDeadRecord(entry.note)
    const died = record?.reason !== 'expired' && record?.reason !== 'cancelled'
    if (record?.group === group && died) sessions.add(entry.message.session)
  }
  return sessions
}
