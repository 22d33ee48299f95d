import { BusError } from '../kit/errors.ts'

/** What the url of a backend says. */
export interface BackendUrl {
  /** `memory`, `sqlite`, `redis`, `nats` …; empty when there is none. */
  readonly scheme: string
  /** As the backend itself takes it: without the settings behind `?`. */
  readonly address: string
  /** The settings behind `?`, of a broker. */
  readonly settings: ReadonlyMap<string, string>
}

/** Redis, and how it may be reached. */
const REDIS = /^rediss?(\+(cluster|sentinel))?$/
/** The settings of each broker. */
const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  redis: ['prefix', 'replicas'],
  nats: ['prefix', 'replicas', 'storage', 'sync'],
}
const ALLOWED =
  'memory:, sqlite:FILE, redis://HOST, rediss://HOST, redis+cluster://HOST,HOST, redis+sentinel://HOST/MASTER, nats://HOST, tls://HOST'

/** Which backend a scheme names; undefined for none of ours. */
export function backendOf(scheme: string): 'memory' | 'sqlite' | 'redis' | 'nats' | undefined {
  if (scheme === 'memory' || scheme === 'sqlite') return scheme
  if (REDIS.test(scheme)) return 'redis'
  return scheme === 'nats' || scheme === 'tls' ? 'nats' : undefined
}

/** Takes the url apart. Throws INVALID_OPTION for a setting that the broker does not have. */
export function readBackendUrl(url: string): BackendUrl {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? ''
  const kind = backendOf(scheme)
  if (kind === undefined || kind === 'memory' || kind === 'sqlite') return { scheme, address: url, settings: new Map() }
  const at = url.indexOf('?')
  const address = at < 0 ? url : url.slice(0, at)
  const settings = new Map(at < 0 ? [] : new URLSearchParams(url.slice(at + 1)))
  const known = SETTINGS[kind] as readonly string[]
  for (const name of settings.keys()) {
    if (!known.includes(name)) refuseUrl(url, `"${name}" is no setting of it; there are ${known.join(', ')}`)
  }
  return { scheme, address, settings }
}

/** The whole number that a setting states; undefined without it. */
export function numberIn(url: string, settings: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = settings.get(name)
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,3}$/.test(text)) refuseUrl(url, `"${name}" is a whole number from 1 on`)
  return Number(text)
}

/** The file of a `sqlite:` url, empty when it names none; undefined for another scheme. */
export function sqliteFile(url: string): string | undefined {
  return /^sqlite:(?:\/\/)?(.*)$/s.exec(url)?.[1]
}

/** Throws INVALID_OPTION, in which no password stands. */
export function refuseUrl(url: string, why: string): never {
  throw new BusError('INVALID_OPTION', `openBus: "${masked(url)}" cannot be used; ${why}`, {
    details: { owner: 'openBus', field: 'url', value: masked(url), allowed: ALLOWED },
  })
}

/** The url without its password. */
export function masked(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)([^/]*)@/i, (_all, scheme: string, who: string) => {
    const user = who.split(':')[0]
    return `${scheme}${who.includes(':') ? `${user}:***` : '***'}@`
  })
}
