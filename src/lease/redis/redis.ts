import type { RedisLink, RedisReply } from '../../broker/redis/link.ts'
import { aRedisLink, aRedisPrefix } from '../../broker/redis/names.ts'
import { anObject, checkOption, checkOptions, whole } from '../../kit/check.ts'
import { type Env, systemEnv } from '../../kit/env.ts'
import { BusError, describeThrown, isBusError } from '../../kit/errors.ts'
import type { Leases } from '../lease.ts'
import { leasesOver } from '../leases.ts'
import type { Claim, LeaseTable } from '../table.ts'

const LIMIT = 10_000
/** Between two looks at a lease that somebody holds. */
const FIRST_POLL_MS = 10
const LAST_POLL_MS = 250
const POLL_GROWTH = 1.5
/** Longer times to live are this one: some 30 000 years. */
const LONGEST_MS = 1e15

/**
 * One script for all that changes something, sent whole with each call: a server that forgot its scripts cannot put calls out of order.
 * A token is the server's time in microseconds, or one more than the last one: it rises also on a server that lost all its keys. With it
 * stands which call it was given to, so that one whose answer was lost can be taken back.
 */
const LUA = `
local verb, mark, ttl = ARGV[1], ARGV[2], ARGV[3]
local owner = redis.call('GET', KEYS[1])
if verb == 'take' then
  if owner then return false end
  local time = redis.call('TIME')
  local next = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('GET', KEYS[2])) or 0) + 1)
  local token = string.format('%.0f', next)
  redis.call('SET', KEYS[2], token)
  redis.call('SET', KEYS[1], token .. ' ' .. mark, 'PX', ttl)
  return token
end
if not owner then return 0 end
local token, call = string.match(owner, '^(%d+) (.*)$')
if mark ~= (verb == 'forget' and call or token) then return 0 end
if verb == 'extend' then redis.call('PEXPIRE', KEYS[1], ttl) else redis.call('DEL', KEYS[1]) end
return 1
`

/** How {@link redisLeases} work. */
export interface RedisLeasesOptions {
  /** Separates swarms on one server. Default `swarmbus`. */
  readonly prefix?: string
  readonly env?: Env
  /** Most leases held, calls under way and waits together; more are refused with QUEUE_FULL. Default 10 000. */
  readonly limit?: number
}

const RULES = { prefix: aRedisPrefix, env: anObject, limit: whole(1) }

/**
 * Owners in any process that reaches the same Redis. An owner counts its time by its own monotonic clock, from before it asked; the server
 * by its wall clock, from when it was asked. So where the server's clock is set forward, or a failover loses the last writes, the name is
 * given away while its owner still counts: until then both believe to own it, and only the higher token tells who does. Where that clock is
 * set back, the name stays taken so much longer. Who waits looks again every 5 to 375 ms; those who wait get the lease in no order.
 * Without a connection calls reject with STORE_FAILED, waits too, and what is held runs out. The link stays open. Throws INVALID_OPTION.
 */
export function redisLeases(link: RedisLink, options: RedisLeasesOptions = {}): Leases {
  checkOption('redisLeases', 'link', link, aRedisLink)
  checkOptions('redisLeases', options, RULES)
  const { prefix = 'swarmbus', env = systemEnv(), limit = LIMIT } = options
  return leasesOver(tableOf(link, prefix, env), { name: 'redis', shared: true, env, limit })
}

function tableOf(link: RedisLink, prefix: string, env: Env): LeaseTable {
  // One slot of a cluster for all names, and one count of tokens, so that nothing is left of names that nobody holds.
  const tokens = `{${prefix}:leases}:token`
  const caller = env.random().toString(36).slice(2)
  const watches = new Set<Disposable>()
  let calls = 0
  const keyOf = (name: string): string => `{${prefix}:leases}:owner:${name}`

  async function ask(name: string, args: readonly string[]): Promise<RedisReply> {
    try {
      return await link.command(tokens, args)
    } catch (cause) {
      if (isBusError(cause, 'STORE_FAILED')) throw cause
      throw new BusError('STORE_FAILED', `the lease of "${name}": ${describeThrown(cause)}`, {
        cause,
        details: { name },
      })
    }
  }

  function change(verb: string, name: string, mark: string, ttlMs: number): Promise<RedisReply> {
    // Not a part of a millisecond less than its owner counts.
    const ttl = String(Math.min(LONGEST_MS, Math.ceil(ttlMs)))
    return ask(name, ['EVAL', LUA, '2', keyOf(name), tokens, verb, mark, ttl])
  }

  async function take(name: string, ttlMs: number): Promise<Claim | undefined> {
    const sinceMs = env.monotonicMs()
    const call = `${caller}-${++calls}`
    try {
      const token = tokenOf(await change('take', name, call, ttlMs))
      return token === undefined ? undefined : { token, sinceMs }
    } catch (error) {
      if (isBusError((error as BusError).cause, 'BROKER_TIMEOUT')) forgetLater(name, call)
      throw error
    }
  }

  /** What was perhaps taken, and nobody knows of, is given back as soon as the server can be asked; else it runs out. */
  function forgetLater(name: string, call: string): void {
    const forget = (): void => void change('forget', name, call, 1).catch(() => undefined)
    if (link.watch.isUp) {
      forget()
      return
    }
    const watching = link.watch.on(({ type }) => {
      if (type !== 'restored') return
      watching[Symbol.dispose]()
      watches.delete(watching)
      forget()
    })
    watches.add(watching)
  }

  return {
    take,

    async wait(name, ttlMs, signal) {
      for (let pollMs = FIRST_POLL_MS; !signal.aborted; pollMs = Math.min(pollMs * POLL_GROWTH, LAST_POLL_MS)) {
        const claim = await take(name, ttlMs)
        if (claim !== undefined) return claim
        await pause(env, pollMs * (0.5 + env.random()), signal)
      }
      return undefined
    },

    extend: async (name, token, ttlMs) => (await change('extend', name, String(token), ttlMs)) === 1,
    drop: async (name, token) => (await change('drop', name, String(token), 1)) === 1,
    owner: async (name) => tokenOf(await ask(name, ['GET', keyOf(name)])),

    async close() {
      // The names of a closed participant were dropped; the link belongs to who made it.
      for (const watching of watches) watching[Symbol.dispose]()
    },
  }
}

/** The number with which the answer begins. */
function tokenOf(reply: RedisReply): number | undefined {
  return reply === null ? undefined : Number.parseInt(String(reply), 10)
}

/** Resolves after the time, or at once when the signal is aborted. */
function pause(env: Env, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      done()
    }
    const timer = env.after(delayMs, end)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
