import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { timed } from '../harness/clock.ts'
import { dataOf, mustBe } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'
import { natsServer } from './servers.ts'
import { inFlight } from './windows.ts'

const utf8 = new TextEncoder()

/** The client of NATS alone: a JetStream publish a message, with an id for the duplicate window as ours has one. */
export function rawJetStreamPublish(total: number, window: number): Contestant {
  return {
    name: `raw publish, ${window} in flight`,
    kind: 'limit',
    async open(scale) {
      const count = scale.count(total)
      const server = await natsServer()
      const nc = await connect({ servers: `127.0.0.1:${server.port}` })
      const manager = await jetstreamManager(nc)
      await manager.streams.add({ name: 'raw', subjects: ['raw'] })
      const js = jetstream(nc)
      let kept = 0
      return {
        async pass() {
          const from = kept
          const pass = await timed(count, () =>
            inFlight(count, window, (id) =>
              js.publish('raw', utf8.encode(JSON.stringify(dataOf(id))), { msgID: String(from + id) }),
            ),
          )
          kept += count
          mustBe('kept messages', (await manager.streams.info('raw')).state.messages, kept)
          return pass
        },
        async close() {
          await nc.close()
          await server[Symbol.asyncDispose]()
        },
      }
    },
  }
}

/** The client alone: messages that are there are consumed and acknowledged one by one. */
export function rawConsumeAck(total: number): Contestant {
  return {
    name: 'raw consume + ack',
    kind: 'limit',
    async open(scale) {
      const count = scale.count(total)
      const server = await natsServer()
      const nc = await connect({ servers: `127.0.0.1:${server.port}` })
      const manager = await jetstreamManager(nc)
      await manager.streams.add({ name: 'raw', subjects: ['raw'] })
      await manager.consumers.add('raw', { durable_name: 'g', ack_policy: AckPolicy.Explicit, max_ack_pending: 10_000 })
      const js = jetstream(nc)
      return {
        async pass() {
          await inFlight(count, 1_000, (id) => js.publish('raw', utf8.encode(JSON.stringify(dataOf(id)))))
          const consumer = await js.consumers.get('raw', 'g')
          return timed(count, async () => {
            const messages = await consumer.consume({ max_messages: 1_000 })
            let seen = 0
            for await (const message of messages) {
              message.json()
              message.ack()
              if (++seen === count) break
            }
            await nc.flush()
          })
        },
        async close() {
          await nc.close()
          await server[Symbol.asyncDispose]()
        },
      }
    },
  }
}
