import type { Env } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { MessageLog } from '../log/log.ts'

// The only file that knows all backends.

/** Which log a bus keeps its messages in, and how that was decided. */
export interface BackendChoice {
  /** As it is given to {@link openLog}; secrets are shown as `***`. */
  readonly url: string
  /** For people: "given", or the variable that names it, or that nothing does. */
  readonly why: string
}

/** Variables that name a backend, in the order in which they are looked at. */
const VARIABLES = ['SWARMBUS_URL', 'REDIS_URL', 'NATS_URL'] as const

/** Decides on the backend: what is given, else the environment, else memory. The url is not checked here. */
export function chooseBackend(
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): BackendChoice & { readonly secretUrl: string } {
  if (given !== undefined) return { secretUrl: given, url: masked(given), why: 'given' }
  for (const name of VARIABLES) {
    const value = environment[name]
    if (value !== undefined && value !== '') return { secretUrl: value, url: masked(value), why: `from ${name}` }
  }
  const why = `none of ${VARIABLES.join(', ')} is set: nothing outlives this process`
  return { secretUrl: 'memory:', url: 'memory:', why }
}

/** How a log is opened. */
export interface OpenLogOptions {
  readonly env?: Env
  /** Milliseconds within which a repeated id or idempotency key is stored once. Default 600 000. */
  readonly dedupMs?: number
  /** Goes on with a log that lacks messages which it had acknowledged; what is lost becomes a gap. Default false: DATA_LOSS. */
  readonly acceptLoss?: boolean
}

/** Opens the log of a url. Throws INVALID_OPTION for one that cannot be read, UNSUPPORTED for a scheme that is not there, and what the log throws. */
export async function openLog(url: string, options: OpenLogOptions = {}): Promise<MessageLog> {
  const { env, dedupMs } = options
  const shared = { ...(env === undefined ? {} : { env }), ...(dedupMs === undefined ? {} : { dedupMs }) }
  const colon = url.indexOf(':')
  const scheme = colon < 0 ? '' : url.slice(0, colon)
  const rest = url.slice(colon + 1)
  switch (scheme) {
    case 'memory': {
      if (rest !== '') refuse(url, 'memory: takes nothing behind the colon')
      const { memoryLog } = await import('../log/memory.ts')
      return memoryLog(shared)
    }
    case 'sqlite': {
      const file = sqliteFile(url) ?? ''
      if (file === '') refuse(url, 'name the file: sqlite:FILE')
      const { sqliteLog } = await import('../log/sqlite/sqlite.ts')
      return sqliteLog(file, {
        ...shared,
        ...(options.acceptLoss === undefined ? {} : { acceptLoss: options.acceptLoss }),
      })
    }
    case 'redis':
    case 'rediss':
    case 'nats':
    case 'ws':
    case 'wss':
      throw new BusError(
        'UNSUPPORTED',
        `"${masked(url)}": this version has no backend for ${scheme}://; there are memory: and sqlite:FILE`,
        { details: { field: 'url', scheme, allowed: 'memory:, sqlite:FILE' } },
      )
    default:
      return refuse(url, 'begin with memory: or sqlite:')
  }
}

/** The file of a `sqlite:` url, empty when it names none; undefined for another scheme. */
export function sqliteFile(url: string): string | undefined {
  return /^sqlite:(?:\/\/)?(.*)$/s.exec(url)?.[1]
}

function refuse(url: string, allowed: string): never {
  throw new BusError('INVALID_OPTION', `openBus: "${masked(url)}" is no url of a backend; ${allowed}`, {
    details: { owner: 'openBus', field: 'url', value: masked(url), allowed: 'memory:, sqlite:FILE' },
  })
}

/** The url without its password. */
export function masked(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)([^/@]*)@/i, (_all, scheme: string, who: string) => {
    const user = who.split(':')[0]
    return `${scheme}${who.includes(':') ? `${user}:***` : '***'}@`
  })
}
