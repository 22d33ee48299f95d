import { startNats } from '../../test/servers/nats.ts'
import { startRedis } from '../../test/servers/redis.ts'
import type { Server } from '../../test/servers/server.ts'

/** The same server for all contestants of a row: what it acknowledged survives kill -9 of the server (level `process`). */
export function redisServer(): Promise<Server> {
  return startRedis({ appendonly: 'yes', appendfsync: 'everysec' })
}

/** JetStream in files, as nats-server sets it up. */
export function natsServer(): Promise<Server> {
  return startNats()
}
