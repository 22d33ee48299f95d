import { aText, checkOptions, oneOf, type Rule, whole } from '../../kit/check.ts'
import { BusError } from '../../kit/errors.ts'
import { RETRY_PRESETS } from '../../reliability/retry.ts'
import type { OpenOptions } from '../node.ts'
import { masked } from '../url.ts'
import {
  aPrefix,
  checkUrl,
  type Environment,
  isBroker,
  type Kind,
  refusal,
  type SystemSettings,
  variable,
  withPrefix,
} from './settings.ts'

/** The message bus of Woodwork, as its `.ww` files configure it. */
export interface WoodworkBusSettings {
  /** `auto` (default): as WOODWORK_ENV, REDIS_URL and NATS_URL say. `memory` and `in_memory` are the same. */
  readonly type?: WoodworkBusType
  /** Any url that `openBus` takes, in place of a type and the url of a broker. */
  readonly url?: string
  /** Default: REDIS_URL. */
  readonly redis_url?: string
  /** Default: NATS_URL. */
  readonly nats_url?: string
  /** Separates swarms on one broker: letters, digits, - and _. Default: WOODWORK_STREAM_PREFIX, else `woodwork`. */
  readonly stream_prefix?: string
  /** Default: WOODWORK_CONSUMER_GROUP, else `components`. */
  readonly consumer_group?: string
  /** Retries of a message whose envelope states none: one attempt more than that. Default: see {@link woodworkSettings}. */
  readonly max_retries?: number
  /** Most waiting messages of a component. Default: see {@link woodworkSettings}. */
  readonly max_queue_size?: number
  /** Seconds that a dead letter is kept. Default 3 600. */
  readonly dead_letter_ttl?: number
  /** The url that is used when the broker cannot be reached at the start. Default: none, the start fails. */
  readonly fallback?: string
}

/** One of {@link WOODWORK_BUS_TYPES}. */
export type WoodworkBusType = (typeof WOODWORK_BUS_TYPES)[number]

/** What may be the type of a bus of Woodwork. */
export const WOODWORK_BUS_TYPES = ['auto', 'memory', 'in_memory', 'redis', 'nats'] as const

const OWNER = 'woodworkSettings'
const TTL_S = 3_600

const RULES: Readonly<Record<string, Rule>> = {
  type: oneOf(WOODWORK_BUS_TYPES),
  url: aText,
  redis_url: aText,
  nats_url: aText,
  stream_prefix: aPrefix,
  consumer_group: aText,
  max_retries: whole(0, 999),
  max_queue_size: whole(1),
  dead_letter_ttl: {
    allowed: 'seconds above 0',
    ok: (value) => typeof value === 'number' && Number.isFinite(value) && value > 0,
  },
  fallback: aText,
}

/** Queue and retries, where nothing else is said. */
const LIMITS = {
  default: { queue: 10_000, retries: 3 },
  development: { queue: 1_000, retries: 2 },
  redis: { queue: 50_000, retries: 5 },
  nats: { queue: 100_000, retries: 10 },
} as const

interface Choice {
  readonly url: string
  readonly limits: keyof typeof LIMITS
  readonly warnings: readonly string[]
}

/**
 * What the settings of a bus of Woodwork come to; a text is the url of its backend. What is given wins over the environment, and that
 * over defaults. Without a type, WOODWORK_ENV decides (default `development`): memory in development, in production and staging
 * redis if REDIS_URL is set, in the cloud nats if NATS_URL is set, else redis; what ends in memory unasked says so in `warnings`.
 *
 * Queue and retries: 10 000 and 3, in development 1 000 and 2, on redis 50 000 and 5, on nats 100 000 and 10; waits 2, 4, 8 … s. A
 * dead letter is kept for an hour. Throws INVALID_OPTION naming field, value and what is allowed, also for what would have no effect.
 *
 * @example
 * const { url, group, options, warnings } = woodworkSettings({ type: 'redis', max_retries: 1 }, process.env)
 * await using bus = await openBus(url, options)
 * bus.subscribe('agent.analytics', handle, { group })
 */
export function woodworkSettings(
  given: string | WoodworkBusSettings | undefined,
  environment: Environment,
): SystemSettings {
  const settings = typeof given === 'string' ? {} : (given ?? {})
  checkOptions(OWNER, settings, RULES)
  const choice = typeof given === 'string' ? named(given) : chosen(settings, environment)
  const { queue, retries } = LIMITS[choice.limits]
  const { max_retries = retries, max_queue_size: limit = queue, dead_letter_ttl = TTL_S, fallback } = settings
  // A url that is given with a prefix wins over the environment.
  const elsewhere = variable(environment, 'WOODWORK_STREAM_PREFIX') ?? 'woodwork'
  const prefixed = (url: string): string =>
    isBroker(url) ? withPrefix(OWNER, 'stream_prefix', url, settings.stream_prefix, elsewhere) : url
  const group = settings.consumer_group ?? variable(environment, 'WOODWORK_CONSUMER_GROUP') ?? 'components'
  const warnings = [...choice.warnings]
  const shared = isBroker(choice.url)
  if (!shared && settings.stream_prefix !== undefined) {
    warnings.push('"stream_prefix" separates swarms on a broker; in this process there is only one')
  }
  if (fallback !== undefined) {
    checkUrl(OWNER, 'fallback', fallback, ['memory', 'sqlite', 'redis', 'nats'])
    if (!shared) refuse('fallback', fallback, 'nothing beside a backend that needs no connection')
  }
  const options: OpenOptions = {
    preset: 'woodwork',
    limit,
    defaults: {
      retry: { ...RETRY_PRESETS.woodwork, attempts: max_retries + 1 },
      limit,
      deadLetterMaxAgeMs: Math.ceil(dead_letter_ttl * 1_000),
    },
    ...(fallback === undefined ? {} : { fallback: prefixed(fallback) }),
  }
  return Object.freeze({ url: prefixed(choice.url), group, options, warnings })
}

function named(url: string): Choice {
  checkUrl(OWNER, 'message_bus', url, ['memory', 'sqlite', 'redis', 'nats'])
  return { url, limits: limitsOf(url), warnings: [] }
}

function limitsOf(url: string): keyof typeof LIMITS {
  if (!isBroker(url)) return 'default'
  return /^rediss?[+:]/i.test(url) ? 'redis' : 'nats'
}

function chosen(settings: WoodworkBusSettings, environment: Environment): Choice {
  const { type = 'auto', url, redis_url, nats_url } = settings
  if (url !== undefined) {
    if (settings.type !== undefined) refuse('url', url, `nothing beside the type "${type}"`)
    for (const field of ['redis_url', 'nats_url'] as const) {
      const other = settings[field]
      if (other !== undefined) refuse(field, other, 'nothing beside "url"')
    }
    return named(url)
  }
  switch (type) {
    case 'auto':
      if (redis_url !== undefined && nats_url !== undefined) {
        refuse('nats_url', nats_url, 'one of "redis_url" and "nats_url", or a type that says which')
      }
      if (redis_url !== undefined) return broker('redis', settings, environment)
      if (nats_url !== undefined) return broker('nats', settings, environment)
      return automatic(environment)
    case 'memory':
    case 'in_memory':
      unused(settings, 'redis_url', type)
      unused(settings, 'nats_url', type)
      return { url: 'memory:', limits: 'default', warnings: [] }
    case 'redis':
      unused(settings, 'nats_url', type)
      return broker('redis', settings, environment)
    case 'nats':
      unused(settings, 'redis_url', type)
      return broker('nats', settings, environment)
    default:
      return type satisfies never
  }
}

/** A setting that would have no effect is a mistake somewhere. */
function unused(settings: WoodworkBusSettings, field: 'redis_url' | 'nats_url', type: string): void {
  const url = settings[field]
  if (url !== undefined) refuse(field, url, `nothing beside the type "${type}"`)
}

function broker(kind: 'redis' | 'nats', settings: WoodworkBusSettings, environment: Environment): Choice {
  const [field, name] = kind === 'redis' ? (['redis_url', 'REDIS_URL'] as const) : (['nats_url', 'NATS_URL'] as const)
  const url = settings[field] ?? variable(environment, name)
  if (url === undefined) {
    throw new BusError('INVALID_OPTION', `${OWNER}: the type "${kind}" needs "${field}", or the variable ${name}`, {
      details: { owner: OWNER, field, allowed: `a url of ${kind}` },
    })
  }
  return { url: checked(settings[field] === undefined ? name : field, url, kind), limits: kind, warnings: [] }
}

function checked(field: string, url: string, kind: Kind): string {
  checkUrl(OWNER, field, url, [kind])
  return url
}

const LOST = 'the bus is in memory: nothing outlives this process, and no other process hears it'

function automatic(environment: Environment): Choice {
  const stage = variable(environment, 'WOODWORK_ENV')?.toLowerCase() ?? 'development'
  const redis = variable(environment, 'REDIS_URL')
  const nats = variable(environment, 'NATS_URL')
  const inMemory = (limits: Choice['limits'], ...warnings: readonly string[]): Choice => {
    return { url: 'memory:', limits, warnings }
  }
  switch (stage) {
    case 'development':
    case 'dev':
      return inMemory('development')
    case 'production':
    case 'prod':
    case 'staging':
      if (redis !== undefined) return broker('redis', {}, environment)
      return inMemory('default', `WOODWORK_ENV is "${stage}" and REDIS_URL is not set: ${LOST}`)
    case 'cloud':
      if (nats !== undefined) return broker('nats', {}, environment)
      if (redis !== undefined) return broker('redis', {}, environment)
      return inMemory('default', `WOODWORK_ENV is "cloud" and neither NATS_URL nor REDIS_URL is set: ${LOST}`)
    default: {
      const known = 'development, dev, production, prod, staging, cloud'
      return inMemory('default', `WOODWORK_ENV is "${stage.slice(0, 60)}", which is none of ${known}: ${LOST}`)
    }
  }
}

function refuse(field: string, value: string, allowed: string): never {
  throw refusal(OWNER, field, masked(value), allowed)
}
