import { aFlag, aText, checkOptions, type Rule, whole } from '../../kit/check.ts'
import { BusError } from '../../kit/errors.ts'
import type { OpenOptions } from '../node.ts'
import { masked } from '../url.ts'
import { checkUrl, type Environment, refusal, type SystemSettings, variable, withPrefix } from './settings.ts'

/** The part `messaging` of a configuration of Cortex. What is not there yet is refused by name, never ignored. */
export interface CortexMessaging {
  /** False: there is to be no bus. Default true; GATEWAY_MESSAGING_ENABLED wins. */
  readonly enabled?: boolean
  /** `host:port`, or a url of redis. Default `localhost:6379`; GATEWAY_REDIS_ADDR wins. */
  readonly redis_addr?: string
  readonly redis_password?: string
  /** Default 0. */
  readonly redis_db?: number
  /** False: in memory, in this process alone. Default true; GATEWAY_USE_REDIS wins. */
  readonly use_redis?: boolean
  /** Not there yet: agents send no heartbeats of their own. Refused with UNSUPPORTED. */
  readonly heartbeat_interval?: string | number
  /** Not there yet: there is no gateway for sockets. Refused with UNSUPPORTED. */
  readonly websocket_port?: number
  /** False: what cannot be handled is counted and told of, but not kept. Default true. */
  readonly enable_dlq?: boolean
  /** True: the figures of `bus.stats()`, which are always counted; false is refused with UNSUPPORTED. */
  readonly enable_metrics?: boolean
  /** True: the highest waiting level is served first, which is always so; false is refused with UNSUPPORTED. */
  readonly priority_processing?: boolean
}

/** What the settings of Cortex come to: nothing to be opened, or what `openBus` needs. */
export type CortexSettings =
  | { readonly enabled: false; readonly warnings: readonly string[] }
  | (SystemSettings & { readonly enabled: true })

const OWNER = 'cortexSettings'
const PREFIX = 'cortex'

const RULES: Readonly<Record<string, Rule>> = {
  enabled: aFlag,
  redis_addr: aText,
  redis_password: { allowed: 'a text', ok: (value) => typeof value === 'string' },
  redis_db: whole(0, 9_999),
  use_redis: aFlag,
  heartbeat_interval: { allowed: 'a text or a number', ok: (value) => ['string', 'number'].includes(typeof value) },
  websocket_port: whole(0, 65_535),
  enable_dlq: aFlag,
  enable_metrics: aFlag,
  priority_processing: aFlag,
}

/**
 * What the messaging settings of Cortex come to; the environment (GATEWAY_MESSAGING_ENABLED, GATEWAY_REDIS_ADDR, GATEWAY_USE_REDIS)
 * wins over what is given, and says so in `warnings` where they differ. The prefix on the broker is `cortex`, the group `agents`; a
 * task is tried three times, with waits of 5 and 15 s, and lives for an hour. Throws INVALID_OPTION naming field, value and what is
 * allowed, and UNSUPPORTED for what is not there.
 *
 * @example
 * const settings = cortexSettings({ redis_addr: '10.0.0.5:6379', redis_db: 2 }, process.env)
 * if (settings.enabled) await using bus = await openBus(settings.url, settings.options)
 */
export function cortexSettings(messaging: CortexMessaging | undefined, environment: Environment): CortexSettings {
  const given = messaging ?? {}
  checkOptions(OWNER, given, RULES)
  mustBeThere(given)
  const warnings: string[] = []
  const enabled = flag(given.enabled, 'enabled', 'GATEWAY_MESSAGING_ENABLED', environment, warnings)
  const useRedis = flag(given.use_redis, 'use_redis', 'GATEWAY_USE_REDIS', environment, warnings)
  const url = redisUrl(given, environment, useRedis ? warnings : [])
  if (!enabled) return Object.freeze({ enabled, warnings })
  if (!useRedis) {
    warnings.push('"use_redis" is false: nothing outlives this process, and no other process hears it')
    for (const field of ['redis_addr', 'redis_password', 'redis_db'] as const) {
      if (given[field] !== undefined) warnings.push(`"${field}" is not used, since "use_redis" is false`)
    }
  }
  const options: OpenOptions = { preset: 'cortex', defaults: { deadLetters: given.enable_dlq ?? true } }
  return Object.freeze({ enabled, url: useRedis ? url : 'memory:', group: 'agents', options, warnings })
}

/** Throws UNSUPPORTED for what would have no effect. */
function mustBeThere(given: CortexMessaging): void {
  const refuse = (field: keyof CortexMessaging, why: string): never => {
    throw new BusError('UNSUPPORTED', `${OWNER}: "${field}" cannot be obeyed: ${why}`, {
      details: { owner: OWNER, field, value: given[field] },
    })
  }
  if (given.websocket_port !== undefined) refuse('websocket_port', 'this version has no gateway for sockets')
  if (given.heartbeat_interval !== undefined) {
    refuse(
      'heartbeat_interval',
      'in this version agents send no heartbeats; processes notice each other without being told how often',
    )
  }
  if (given.enable_metrics === false)
    refuse('enable_metrics', 'the figures of the bus are always counted; leave it away')
  if (given.priority_processing === false) {
    refuse(
      'priority_processing',
      'the highest waiting level is always served first; publish everything with one level instead',
    )
  }
}

const FLAGS: Readonly<Record<string, boolean>> = { 1: true, t: true, true: true, 0: false, f: false, false: false }

function flag(
  given: boolean | undefined,
  field: string,
  name: string,
  environment: Environment,
  warnings: string[],
): boolean {
  const text = variable(environment, name)
  if (text === undefined) return given ?? true
  const value = FLAGS[text.toLowerCase()]
  if (value === undefined) throw refusal(OWNER, name, text, 'true, false, 1, 0, t, f')
  if (given !== undefined && given !== value) warnings.push(`${name} is ${value} and wins over "${field}"`)
  return value
}

function redisUrl(given: CortexMessaging, environment: Environment, warnings: string[]): string {
  const { redis_addr, redis_password: password = '', redis_db } = given
  const outer = variable(environment, 'GATEWAY_REDIS_ADDR')
  if (outer !== undefined && redis_addr !== undefined && outer !== redis_addr) {
    warnings.push(`GATEWAY_REDIS_ADDR is ${masked(outer)} and wins over "redis_addr"`)
  }
  const field = outer === undefined ? 'redis_addr' : 'GATEWAY_REDIS_ADDR'
  const address = outer ?? redis_addr ?? 'localhost:6379'
  if (address.includes('://')) return wholeUrl(field, address, given)
  if (!/^(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]/?#@]+)(?::\d{1,5})?$/.test(address)) {
    throw refusal(OWNER, field, masked(address), 'host:port, or a url of redis')
  }
  const who = password === '' ? '' : `:${encodeURIComponent(password)}@`
  return withPrefix(OWNER, field, `redis://${who}${address}/${redis_db ?? 0}`, undefined, PREFIX)
}

/** A url says password and database itself. */
function wholeUrl(field: string, url: string, { redis_password, redis_db }: CortexMessaging): string {
  checkUrl(OWNER, field, url, ['redis'])
  if (redis_password)
    throw refusal(OWNER, 'redis_password', '***', `nothing beside a url in ${field}, which has its own`)
  if (redis_db) throw refusal(OWNER, 'redis_db', redis_db, `nothing beside a url in ${field}, which has its own`)
  return withPrefix(OWNER, field, url, undefined, PREFIX)
}
