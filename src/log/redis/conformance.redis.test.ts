import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import type { RedisLink } from '../../broker/redis/link.ts'
import { logConformance } from '../conformance/suite.ts'
import type { MessageLog } from '../log.ts'
import { type RedisLogOptions, redisLog } from './redis.ts'

const DEAD_AFTER_MS = 60

interface Made {
  readonly link: RedisLink
  readonly options: RedisLogOptions
}

let server: Server
let watcher: RedisLink
let count = 0
const made = new WeakMap<MessageLog, Made>()
const links: RedisLink[] = []
const abandoned: MessageLog[] = []

beforeAll(async () => {
  server = await startRedis()
  watcher = await connectRedis(server.url)
})
afterAll(async () => {
  for (const log of abandoned) await log[Symbol.asyncDispose]()
  for (const link of links) await link[Symbol.asyncDispose]()
  await watcher[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function open(options: RedisLogOptions): Promise<MessageLog> {
  const link = await connectRedis(server.url)
  links.push(link)
  const log = await redisLog(link, options)
  made.set(log, { link, options })
  return log
}

/** The ids of the connections that the server has. */
async function connections(): Promise<readonly string[]> {
  return String(await watcher.command(undefined, ['CLIENT', 'LIST'])).match(/(?<=^id=)\d+/gm) ?? []
}

/** What a killed process leaves: its connections are cut, and nothing was given back. */
async function abandon(log: MessageLog): Promise<void> {
  const { link } = made.get(log) as Made
  const id = String(await link.command(undefined, ['CLIENT', 'ID']))
  await link[Symbol.asyncDispose]()
  abandoned.push(log)
  await expect.poll(connections).not.toContain(id)
}

logConformance(
  {
    make: (options) => open({ prefix: `t${++count}`, deadAfterMs: DEAD_AFTER_MS, ...options }),
    async reopen(log) {
      const { link, options } = made.get(log) as Made
      await log[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
      return open(options)
    },
    async crash(log) {
      await abandon(log)
      await sleep(2 * DEAD_AFTER_MS)
      return open((made.get(log) as Made).options)
    },
    another: (log) => open((made.get(log) as Made).options),
    abandon,
  },
  (title, run) =>
    test(`${title} (redis)`, { timeout: 30_000 }, async () => {
      await expect(run()).resolves.toBeUndefined()
    }),
)
