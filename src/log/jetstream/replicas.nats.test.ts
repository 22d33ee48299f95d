import { expect, test } from 'vitest'
import { logsOnServer } from '../../../test/conformance/logs.ts'
import { startNatsCluster } from '../../../test/servers/nats-cluster.ts'
import { connectNats } from '../../broker/nats/connect.ts'
import type { NatsLink } from '../../broker/nats/link.ts'
import { items } from '../conformance/harness.ts'
import { type JetStreamLogOptions, jetStreamLog } from './jetstream.ts'

const open = logsOnServer<NatsLink, JetStreamLogOptions>({
  name: 'jetstream, three copies',
  start: () => startNatsCluster(),
  connect: connectNats,
  make: jetStreamLog,
  options: { graceMs: 0, replicas: 3 },
})

test('[I13] processes that keep a channel small at the same moment take nothing from each other, nor from one that begins', async () => {
  const losses: unknown[] = []
  const options: JetStreamLogOptions = { prefix: 'janitors', replicas: 3, onEvent: (event) => void losses.push(event) }
  const logs = await Promise.all([open(options), open(options), open(options)])
  const rounds = 12
  const each = 40
  const done: unknown[] = []
  const consuming = logs.map(async (log) => {
    for await (const delivery of log.consume('c/a', 'g', { maxInFlight: 20 })) {
      done.push(delivery.message.data)
      await delivery.settle('acked')
      if (done.length === rounds * each) return
    }
  })
  for (let round = 0; round < rounds; round++) {
    await Promise.all([
      ...logs.map((log) => log.trim('c/a', { maxCount: 10 })),
      logs[round % 3]?.append('c/a', items(each, round * each)),
    ])
  }
  await expect.poll(() => new Set(done).size, { timeout: 20_000 }).toBe(rounds * each)
  const fresh = await open(options)
  expect((await fresh.groups('c/a'))[0]).toMatchObject({ acked: rounds * each, pending: 0, leased: 0 })
  expect(losses.filter((event) => (event as { type: string }).type === 'data-loss')).toEqual([])
  for (const log of [...logs, fresh]) await log[Symbol.asyncDispose]()
  await Promise.all(consuming)
}, 60_000)
