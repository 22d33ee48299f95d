import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { logsOnServer } from '../../../test/conformance/logs.ts'
import { startRedis } from '../../../test/servers/redis.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import type { RedisLink } from '../../broker/redis/link.ts'
import { redisLog } from './redis.ts'

const DEAD_AFTER_MS = 60

let watcher: RedisLink

/** The ids of the connections that the server has. */
async function connections(): Promise<readonly string[]> {
  return String(await watcher.command(undefined, ['CLIENT', 'LIST'])).match(/(?<=^id=)\d+/gm) ?? []
}

logsOnServer({
  name: 'redis',
  timeoutMs: 30_000,
  async start() {
    const server = await startRedis()
    watcher = await connectRedis(server.url)
    return {
      url: server.url,
      async [Symbol.asyncDispose]() {
        await watcher[Symbol.asyncDispose]()
        await server[Symbol.asyncDispose]()
      },
    }
  },
  connect: connectRedis,
  make: redisLog,
  options: { deadAfterMs: DEAD_AFTER_MS },
  async cut(link) {
    const id = String(await link.command(undefined, ['CLIENT', 'ID']))
    await link[Symbol.asyncDispose]()
    await expect.poll(connections).not.toContain(id)
  },
  dead: () => sleep(2 * DEAD_AFTER_MS),
})
