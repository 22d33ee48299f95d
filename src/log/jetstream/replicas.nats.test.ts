import { afterAll, beforeAll, expect, test } from 'vitest'
import { type NatsCluster, startNatsCluster } from '../../../test/servers/nats-cluster.ts'
import { connectNats } from '../../broker/nats/connect.ts'
import type { NatsLink } from '../../broker/nats/link.ts'
import { items } from '../conformance/harness.ts'
import { logConformance } from '../conformance/suite.ts'
import type { MessageLog } from '../log.ts'
import { type JetStreamLogOptions, jetStreamLog } from './jetstream.ts'

let cluster: NatsCluster
const links = new Set<NatsLink>()
const abandoned = new Set<MessageLog>()
beforeAll(async () => {
  cluster = await startNatsCluster()
}, 60_000)
afterAll(async () => {
  for (const log of abandoned) await log[Symbol.asyncDispose]()
  for (const link of links) await link[Symbol.asyncDispose]()
  await cluster?.[Symbol.asyncDispose]()
})

interface Made {
  readonly link: NatsLink
  readonly options: JetStreamLogOptions
}

const made = new WeakMap<MessageLog, Made>()
let count = 0

async function open(options: JetStreamLogOptions): Promise<MessageLog> {
  const link = await connectNats(cluster.url)
  links.add(link)
  const log = await jetStreamLog(link, options)
  made.set(log, { link, options })
  return log
}

/** What a killed process leaves: its connection is closed, and nothing was said before. */
async function abandon(log: MessageLog): Promise<void> {
  const { link } = made.get(log) as Made
  abandoned.add(log)
  links.delete(link)
  await link[Symbol.asyncDispose]()
}

logConformance(
  {
    make: (options) => open({ prefix: `suite${++count}`, graceMs: 0, replicas: 3, ...options }),
    async reopen(log) {
      const { link, options } = made.get(log) as Made
      await log[Symbol.asyncDispose]()
      links.delete(link)
      await link[Symbol.asyncDispose]()
      return open(options)
    },
    async crash(log) {
      await abandon(log)
      return open((made.get(log) as Made).options)
    },
    another: (log) => open((made.get(log) as Made).options),
    abandon,
  },
  (title, run) =>
    test(`${title} (jetstream, three copies)`, async () => {
      await expect(run()).resolves.toBeUndefined()
    }),
)

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
