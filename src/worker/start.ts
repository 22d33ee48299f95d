import { isBusError } from '../kit/errors.ts'
import { sleepUntil } from './sleep.ts'
import type { GroupWorker } from './worker.ts'
import type { WorkerHost } from './worker-host.ts'

/** Milliseconds before a start that met a fault of the log is tried again. */
const AGAIN_MS = 1_000

/** Starts a worker. Where dead letters halt their sessions, those are found first, before anything is handed out; given up once `isOver`. */
export async function startWorker(host: WorkerHost, worker: GroupWorker, isOver: () => boolean): Promise<void> {
  const { dead, policy } = worker.channel
  const { env } = host
  if (policy.afterDeadLetter === 'go-on') worker.start()
  while (policy.afterDeadLetter === 'halt' && !isOver()) {
    try {
      await worker.halts.refresh()
      worker.start()
      return
    } catch (error) {
      if (isBusError(error, 'BUS_CLOSED')) return
      host.announce('log.failed', { stream: dead, group: worker.group, error })
      await sleepUntil(env, env.monotonicMs() + AGAIN_MS, undefined)
    }
  }
}
