import { isBusError } from '../kit/errors.ts'
import type { MessageLog } from '../log/log.ts'
import { DEAD_GROUP } from './channel.ts'
import { readDeadRecord } from './record.ts'
import { sleepUntil } from './sleep.ts'
import type { GroupWorker } from './worker.ts'
import type { WorkerHost } from './worker-host.ts'

/** Milliseconds before a start that met a fault of the log is tried again. */
const AGAIN_MS = 1_000

/** Starts a worker. Where dead letters halt their sessions, those are found first, before anything is handed out; given up once `isOver`. */
export async function startWorker(host: WorkerHost, worker: GroupWorker, isOver: () => boolean): Promise<void> {
  const { dead, policy } = worker.channel
  const { env, log } = host
  if (policy.afterDeadLetter === 'go-on') worker.start([])
  while (policy.afterDeadLetter === 'halt' && !isOver()) {
    try {
      worker.start(await haltedSessions(log, dead, worker.group))
      return
    } catch (error) {
      if (isBusError(error, 'BUS_CLOSED')) return
      host.announce('log.failed', { stream: dead, group: worker.group, error })
      await sleepUntil(env, env.monotonicMs() + AGAIN_MS, undefined)
    }
  }
}

/** The sessions of which a message died in the group, and whose dead letter nobody has redriven or discarded yet. */
async function haltedSessions(log: MessageLog, dead: string, group: string): Promise<Set<string>> {
  const sessions = new Set<string>()
  for await (const entry of log.read(dead, { openFor: DEAD_GROUP })) {
    if (entry.type === 'gap' || entry.message.session === undefined) continue
    const record = readDeadRecord(entry.note)
    const died = record?.reason !== 'expired' && record?.reason !== 'cancelled'
    if (record?.group === group && died) sessions.add(entry.message.session)
  }
  return sessions
}
