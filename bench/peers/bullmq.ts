import { Queue, Worker } from 'bullmq'
import { timed } from '../harness/clock.ts'
import { dataOf, mustBe } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'
import { redisServer } from './servers.ts'
import { inFlight } from './windows.ts'

const CONCURRENCY = 100
const BULK = 200

/** BullMQ: jobs added, alone or many a call, done by a worker, and removed. */
export function bullmq(total: number, window: number, bulk: boolean): Contestant {
  return {
    name: bulk ? `BullMQ, addBulk of ${BULK}` : 'BullMQ',
    kind: 'peer',
    async open(scale) {
      const count = scale.count(total)
      const server = await redisServer()
      const connection = { host: '127.0.0.1', port: server.port, maxRetriesPerRequest: null }
      const queue = new Queue('bench', { connection, defaultJobOptions: { removeOnComplete: true, attempts: 3 } })
      let done = 0
      let target = 0
      let last = Promise.withResolvers<void>()
      const worker = new Worker('bench', async () => undefined, { connection, concurrency: CONCURRENCY })
      worker.on('completed', () => {
        if (++done === target) last.resolve()
      })
      await worker.waitUntilReady()
      return {
        async pass() {
          target = done + count
          last = Promise.withResolvers()
          const pass = await timed(count, async () => {
            if (bulk) {
              await inFlight(Math.ceil(count / BULK), Math.max(1, Math.floor(window / BULK)), (batch) => {
                const size = Math.min(BULK, count - batch * BULK)
                return queue.addBulk(
                  Array.from({ length: size }, (_, index) => ({ name: 'task', data: dataOf(batch * BULK + index) })),
                )
              })
            } else await inFlight(count, window, (id) => queue.add('task', dataOf(id)))
            await last.promise
          })
          mustBe('done jobs', done, target)
          return pass
        },
        async close() {
          await worker.close(true)
          await queue.close()
          await server[Symbol.asyncDispose]()
        },
      }
    },
  }
}

/** BullMQ: jobs are only added. */
export function bullmqAdd(total: number, window: number): Contestant {
  return {
    name: `BullMQ add, ${window} in flight`,
    kind: 'peer',
    async open(scale) {
      const count = scale.count(total)
      const server = await redisServer()
      const connection = { host: '127.0.0.1', port: server.port, maxRetriesPerRequest: null }
      const queue = new Queue('bench', { connection })
      let kept = 0
      return {
        async pass() {
          const pass = await timed(count, () => inFlight(count, window, (id) => queue.add('task', dataOf(id))))
          kept += count
          mustBe('waiting jobs', await queue.getWaitingCount(), kept)
          return pass
        },
        async close() {
          await queue.close()
          await server[Symbol.asyncDispose]()
        },
      }
    },
  }
}
