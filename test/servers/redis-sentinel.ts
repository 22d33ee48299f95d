import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ping, type RedisSettings, startRedis } from './redis.ts'
import { type Server, startServer } from './server.ts'

/** What the sentinel calls the master. */
export const MASTER = 'swarm'

/** A master, a replica, and one sentinel that is enough to promote it. Disposal ends them all. */
export interface SentinelSet extends AsyncDisposable {
  /** Names the sentinel. */
  readonly url: string
  readonly master: Server
  readonly replica: Server
  readonly sentinel: Server
}

/** Starts them; `settings` are those of the master and of the replica. */
export async function startSentinelSet(settings: RedisSettings = {}): Promise<SentinelSet> {
  const stack = new AsyncDisposableStack()
  try {
    const master = stack.use(await startRedis({ 'repl-diskless-sync-delay': '0', ...settings }))
    const replica = stack.use(await startRedis({ replicaof: `127.0.0.1 ${master.port}`, ...settings }))
    const sentinel = stack.use(await startSentinel(master.port))
    return {
      url: `redis+sentinel://127.0.0.1:${sentinel.port}/${MASTER}`,
      master,
      replica,
      sentinel,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

function startSentinel(masterPort: number): Promise<Server> {
  const watches = [
    `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} 1`,
    `sentinel down-after-milliseconds ${MASTER} 500`,
    `sentinel failover-timeout ${MASTER} 2000`,
  ]
  return startServer({
    name: 'sentinel',
    url: (port) => `redis+sentinel://127.0.0.1:${port}/${MASTER}`,
    command(port, folder) {
      // It writes down what it learns.
      const file = join(folder, 'sentinel.conf')
      writeFileSync(file, ['bind 127.0.0.1', `port ${port}`, `dir ${folder}`, ...watches, ''].join('\n'))
      return ['redis-server', file, '--sentinel']
    },
    ping,
  })
}
