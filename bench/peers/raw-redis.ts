import { createClient } from 'redis'
import { timed } from '../harness/clock.ts'
import { dataOf, mustBe } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'
import { redisServer } from './servers.ts'
import { inFlight } from './windows.ts'

/** The client of Redis alone: one XADD a message, pipelined. */
export function rawXadd(total: number, window: number): Contestant {
  return {
    name: `raw XADD, ${window} in flight`,
    kind: 'limit',
    async open(scale) {
      const count = scale.count(total)
      const server = await redisServer()
      const client = await createClient({ url: server.url }).connect()
      let kept = 0
      return {
        async pass() {
          const pass = await timed(count, () =>
            inFlight(count, window, (id) => client.xAdd('raw', '*', { m: JSON.stringify(dataOf(id)) })),
          )
          kept += count
          mustBe('kept entries', await client.xLen('raw'), kept)
          return pass
        },
        async close() {
          client.destroy()
          await server[Symbol.asyncDispose]()
        },
      }
    },
  }
}

const BATCH = 200

/** The client alone: entries that are there are read in batches by a group and acknowledged. */
export function rawReadAck(total: number): Contestant {
  return {
    name: 'raw XREADGROUP + XACK',
    kind: 'limit',
    async open(scale) {
      const count = scale.count(total)
      const server = await redisServer()
      const client = await createClient({ url: server.url }).connect()
      await client.xGroupCreate('raw', 'g', '0', { MKSTREAM: true })
      return {
        async pass() {
          await inFlight(count, 1_000, (id) => client.xAdd('raw', '*', { m: JSON.stringify(dataOf(id)) }))
          return timed(count, async () => {
            for (let seen = 0; seen < count; ) {
              const found = (await client.xReadGroup('g', 'c', { key: 'raw', id: '>' }, { COUNT: BATCH })) as
                | { messages: { id: string; message: Record<string, string> }[] }[]
                | null
              const messages = found?.[0]?.messages ?? []
              for (const { message } of messages) JSON.parse(message.m ?? '')
              await client.xAck(
                'raw',
                'g',
                messages.map(({ id }) => id),
              )
              seen += messages.length
            }
          })
        },
        async close() {
          client.destroy()
          await server[Symbol.asyncDispose]()
        },
      }
    },
  }
}
