import { anObject, checkOptions, milliseconds } from '../../kit/check.ts'
import { systemEnv } from '../../kit/env.ts'
import { parseRedisUrl } from './address.ts'
import { clusterLink } from './cluster.ts'
import { type Access, openConnection } from './connection.ts'
import type { RedisLink, RedisLinkOptions } from './link.ts'
import { oneServer } from './one.ts'
import { openMaster } from './sentinel.ts'

const RULES = {
  env: anObject,
  connectTimeoutMs: milliseconds(1),
  commandTimeoutMs: milliseconds(1),
  retryMs: milliseconds(1),
  longestRetryMs: milliseconds(1),
  client: anObject,
}

/**
 * Connects to Redis: `redis://host:port/db`, `redis+sentinel://host:port,host:port/master`, `redis+cluster://host:port,host:port`, or `rediss`
 * for TLS; `user:password@` before the host. Resolves once the server answered. Rejects with INVALID_OPTION, with BROKER_UNREACHABLE when
 * nobody answers, or with BROKER_REFUSED (password, certificate), naming host and port, and never the password.
 */
export async function connectRedis(url: string, options: RedisLinkOptions = {}): Promise<RedisLink> {
  checkOptions('connectRedis', options, RULES)
  const { env = systemEnv(), connectTimeoutMs = 5_000, commandTimeoutMs = 5_000 } = options
  const { retryMs = 50, longestRetryMs = 2_000, client = {} } = options
  const address = parseRedisUrl(url)
  const { tls, username, password, database, kind } = address
  const access: Access = {
    ...{ env, tls, database, connectTimeoutMs, commandTimeoutMs, client, sharded: kind === 'cluster' },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  }
  const waits = { env, retryMs, longestRetryMs }
  switch (kind) {
    case 'single':
      return oneServer({ ...waits, address, open: () => openConnection(address.places[0], access) })
    case 'sentinel':
      return oneServer({ ...waits, address, open: () => openMaster(address, access) })
    case 'cluster':
      return clusterLink({ ...waits, address, access })
    default:
      return kind satisfies never
  }
}
