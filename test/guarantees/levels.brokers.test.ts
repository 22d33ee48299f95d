import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { type MessageLog, sqliteLog } from '../../src/log/index.ts'
import { until } from '../kept/support.ts'
import { startNats } from '../servers/nats.ts'
import { startNatsCluster } from '../servers/nats-cluster.ts'
import { startRedis } from '../servers/redis.ts'
import type { Server } from '../servers/server.ts'
import { documented } from './document.ts'

/** A log as people set it up: its url or code, what is set, and how to open it. */
type Row = readonly [where: string, settings: string, open: () => Promise<string | MessageLog>]

/** What a Redis server says about its replication. */
async function told(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write('INFO replication\r\n')
    const [bytes] = (await once(socket, 'data', { signal: AbortSignal.timeout(1_000) })) as [Buffer]
    return bytes.toString()
  } finally {
    socket.destroy()
  }
}

const ended: (() => Promise<void> | void)[] = []
let rows: readonly Row[] = []

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'swarmbus-levels-'))
  ended.push(() => rmSync(folder, { recursive: true, force: true }))
  const started = async (starting: Promise<Server>): Promise<Server> => {
    const server = await starting
    ended.push(async () => server[Symbol.asyncDispose]())
    return server
  }
  const redis = (settings: Readonly<Record<string, string>>) => async (): Promise<string> =>
    (await started(startRedis(settings))).url
  const nats = await started(startNats())
  const relaxed = async (): Promise<MessageLog> => {
    const log = await sqliteLog(join(folder, 'normal.db'), { synchronous: 'NORMAL' })
    ended.unshift(async () => log[Symbol.asyncDispose]())
    return log
  }
  rows = [
    ['`memory:`', '', async () => 'memory:'],
    ['`sqlite:FILE`', '', async () => `sqlite:${join(folder, 'full.db')}`],
    ['`sqliteLog(FILE)`', "`synchronous: 'NORMAL'`", relaxed],
    ['`redis://`', '`appendonly no`', redis({ appendonly: 'no' })],
    ['`redis://`', '`appendonly yes`, `appendfsync no`', redis({ appendfsync: 'no' })],
    ['`redis://`', '`appendonly yes`, `appendfsync everysec`', redis({ appendfsync: 'everysec' })],
    ['`redis://`', '`appendonly yes`, `appendfsync always`', redis({ appendfsync: 'always' })],
    [
      '`redis://…?replicas=1`',
      'one replica',
      async () => {
        const main = await started(startRedis())
        const replica = await started(startRedis({ replicaof: `127.0.0.1 ${main.port}` }))
        await until(async () => (await told(replica.port)).includes('master_link_status:up'), 'the replica')
        return `${main.url}?replicas=1`
      },
    ],
    ['`nats://…?storage=memory`', '', async () => `${nats.url}?storage=memory&prefix=m`],
    ['`nats://`', 'files, server 2.9', async () => nats.url],
    [
      '`nats://A,B,C?replicas=3`',
      'three servers in one cluster',
      async () => {
        const cluster = await startNatsCluster()
        ended.push(async () => cluster[Symbol.asyncDispose]())
        return `${cluster.url}?replicas=3`
      },
    ],
  ]
})

afterAll(async () => {
  for (const end of ended) await end()
})

test('[C14] [W20] what each backend acknowledges is the level that its settings prove, as docs/guarantees.md says', async () => {
  const found: string[][] = []
  for (const [where, settings, open] of rows) {
    const bus = await openBus(await open())
    const { level } = await bus.publish('work.a', 1)
    await bus.close()
    found.push([where, settings, `\`${level}\``])
  }
  documented('levels', [['Log', 'Settings', 'Level'], ...found])
}, 60_000)
