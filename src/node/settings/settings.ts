import { checkOption, type Rule, shown } from '../../kit/check.ts'
import { BusError } from '../../kit/errors.ts'
import type { OpenOptions } from '../node.ts'
import { backendOf, masked, readBackendUrl } from '../url.ts'

/** What the settings of a united system come to: `openBus(url, options)`, and `{ group }` for subscriptions. */
export interface SystemSettings {
  /** For `openBus`, with the secrets in it. */
  readonly url: string
  /** The group in which its components, or agents, subscribe. */
  readonly group: string
  readonly options: OpenOptions
  /** What somebody ought to know: what was decided for want of a setting, and what a setting cannot do here. */
  readonly warnings: readonly string[]
}

/** The variables of a process, as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What a prefix may be: it separates swarms on one broker. */
export const aPrefix: Rule = {
  allowed: 'letters, digits, - and _',
  ok: (value) => typeof value === 'string' && /^[A-Za-z0-9_-]+$/.test(value),
}

/** A variable that is set; an empty one counts as not set. */
export function variable(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim()
  return value === undefined || value === '' ? undefined : value
}

/** True when the url names a broker, which other processes share. */
export function isBroker(url: string): boolean {
  const kind = backendOf(readBackendUrl(url).scheme)
  return kind === 'redis' || kind === 'nats'
}

/**
 * The url of a broker with the prefix among its settings: the one that is given, else the one that the url has already. Throws
 * INVALID_OPTION when both are there and differ.
 */
export function withPrefix(
  owner: string,
  field: string,
  url: string,
  given: string | undefined,
  other: string,
): string {
  const { address, settings } = readBackendUrl(url)
  const stated = settings.get('prefix')
  if (given !== undefined && stated !== undefined && stated !== given) {
    throw refusal(owner, field, given, `"${stated}", as the url has it, or a url without a prefix`)
  }
  const prefix = given ?? stated ?? other
  checkOption(owner, field, prefix, aPrefix)
  const all = new URLSearchParams([...settings])
  all.set('prefix', prefix)
  return `${address}?${all}`
}

/** INVALID_OPTION, naming field, value and what is allowed. */
export function refusal(owner: string, field: string, value: unknown, allowed: string): BusError {
  return new BusError('INVALID_OPTION', `${owner}: "${field}" is ${shown(value)}; allowed: ${allowed}`, {
    details: { owner, field, value: shown(value), allowed },
  })
}

/** What a url may name. */
export type Kind = 'memory' | 'sqlite' | 'redis' | 'nats'

/** Throws INVALID_OPTION, in which no password stands, unless the url names such a backend. */
export function checkUrl(owner: string, field: string, url: string, kinds: readonly Kind[]): void {
  const kind = backendOf(readBackendUrl(url).scheme)
  if (kind === undefined || !kinds.includes(kind)) {
    throw refusal(owner, field, masked(url), `a url of ${kinds.join(', ')}`)
  }
}
