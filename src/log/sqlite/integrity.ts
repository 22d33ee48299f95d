import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { aFlag, aFunction, aText, checkOption, checkOptions } from '../../kit/check.ts'
import { BusError, describeThrown } from '../../kit/errors.ts'
import { fromFault } from './faults.ts'
import type { Asked, ThreadOptions, Told } from './protocol.ts'
import type { Report } from './report.ts'
import { threadFile } from './store.ts'

export type { Finding, Report, StreamReport } from './report.ts'

/** How a file is inspected. */
export interface InspectOptions {
  /** Then makes the file whole with what is left: losses become gaps. Default false: nothing is changed. */
  readonly acceptLoss?: boolean
  /** Told how many entries have been compared, of how many. */
  readonly onProgress?: (checked: number, total: number) => void
}

/**
 * Looks at every page and record of the file of a log, in a thread of its own: the pages of the database, each checksum, that no offset
 * is missing, what groups have settled, and the mark of what was acknowledged. Throws STORE_LOCKED while somebody holds the file,
 * SCHEMA_TOO_NEW, INVALID_OPTION, and STORE_FAILED for a file that is no log of swarmbus.
 */
export async function inspectFile(file: string, options: InspectOptions = {}): Promise<Report> {
  checkOption('inspectFile', 'file', file, aText)
  checkOptions('inspectFile', options, { acceptLoss: aFlag, onProgress: aFunction })
  const { acceptLoss = false, onProgress } = options
  const path = resolve(file)
  const workerData: ThreadOptions = {
    file: path,
    synchronous: 'FULL',
    acceptLoss,
    dedupMs: 600_000,
    dedupLimit: 1_000_000,
    reserveBytes: 0,
    failAt: undefined,
  }
  const worker = new Worker(threadFile(import.meta.url), { workerData, execArgv: [], name: 'swarmbus-inspect' })
  try {
    return await new Promise<Report>((done, reject) => {
      worker.on('message', (told: Told) => {
        if (told.type === 'progress') onProgress?.(told.checked, told.total)
        else if (told.type === 'answer') done(told.answer as Report)
        else reject(fromFault(told.fault))
      })
      worker.on('error', (error: unknown) => {
        const text = `the inspection of ${path} failed: ${describeThrown(error)}`
        reject(new BusError('STORE_FAILED', text, { cause: error, details: { file: path } }))
      })
      worker.on('exit', () => reject(new BusError('STORE_FAILED', `the inspection of ${path} ended without a report`)))
      const asked: Asked = { id: 1, question: { type: 'inspect' } }
      worker.postMessage(asked)
    })
  } finally {
    await worker.terminate()
  }
}
