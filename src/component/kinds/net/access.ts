import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { BusError } from '../../../kit/errors.ts'

/** Who may come in. */
export interface AccessRules {
  /** The name of the component, for messages. */
  readonly owner: string
  readonly host: string
  /** Without one only this machine may come in. */
  readonly apiKey: string | undefined
  /** Origins of pages in browsers beside the server's own; `*` for all, which needs a key. */
  readonly origins: readonly string[]
}

/** What is wrong with a request, as it is answered; undefined: it may come in. */
export interface Refusal {
  readonly status: 401 | 403
  readonly error: string
}

/** Decides on every request, and on every socket before it is opened. */
export interface Access {
  refuse(request: IncomingMessage): Refusal | undefined
  /** What a browser is told, so that the page of an allowed origin may read the answer. Never that it may send cookies along. */
  headers(request: IncomingMessage): Readonly<Record<string, string>>
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1', '[::1]'])

/** True when only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host)
}

/** Makes the rules. Throws CONFIG_INVALID for those that let in anybody: a foreign host, or every origin, without a key. */
export function makeAccess({ owner, host, apiKey, origins }: AccessRules): Access {
  if (apiKey === '') throw open(owner, 'its `api_key` is empty')
  if (apiKey === undefined && !isLoopback(host)) {
    throw open(
      owner,
      `it would listen on "${host}" for everybody: give it an \`api_key\`, or leave \`host\` at 127.0.0.1`,
    )
  }
  if (apiKey === undefined && origins.includes('*')) {
    throw open(
      owner,
      '`allowed_origins: "*"` lets every page of every browser in: give it an `api_key`, or name the origins',
    )
  }

  function originRefusal(request: IncomingMessage): Refusal | undefined {
    const { origin, host: named } = request.headers
    // A page of a stranger whose name was pointed at this machine has a Host of its own (DNS rebinding).
    if (apiKey === undefined && !isLoopback(hostName(named)))
      return { status: 403, error: 'this server answers for this machine only' }
    if (origin === undefined || origins.includes('*') || origins.includes(origin)) return undefined
    if (named !== undefined && origin.replace(/^https?:\/\//, '') === named) return undefined
    return { status: 403, error: 'pages of this origin may not ask here: see `allowed_origins`' }
  }

  return Object.freeze({
    refuse(request: IncomingMessage): Refusal | undefined {
      const refusal = originRefusal(request)
      if (refusal !== undefined || apiKey === undefined) return refusal
      const given = keyOf(request)
      return given !== undefined && isSame(given, apiKey)
        ? undefined
        : { status: 401, error: 'the key is missing or wrong' }
    },
    headers(request: IncomingMessage): Readonly<Record<string, string>> {
      const { origin } = request.headers
      if (origin === undefined || originRefusal(request) !== undefined) return {}
      return {
        'access-control-allow-origin': origin,
        'access-control-allow-headers': 'authorization, content-type, x-api-key',
        'access-control-allow-methods': 'GET, POST, OPTIONS',
        vary: 'Origin',
      }
    },
  })
}

function open(owner: string, text: string): BusError {
  return new BusError('CONFIG_INVALID', `"${owner}": ${text}`, { details: { component: owner } })
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:\d+$/, '')
}

/** The key as `Authorization: Bearer`, as `X-API-Key`, or, for sockets of browsers, which cannot set either, as `?api_key=`. */
function keyOf(request: IncomingMessage): string | undefined {
  const bearer = /^Bearer\s+(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (bearer !== undefined) return bearer
  const header = request.headers['x-api-key']
  if (typeof header === 'string') return header
  return addressOf(request).searchParams.get('api_key') ?? undefined
}

/** Path and query of a request. What is no address counts as `/`: a client may send anything. */
export function addressOf({ url }: IncomingMessage): URL {
  return URL.parse(url ?? '/', 'http://localhost') ?? new URL('http://localhost/')
}

/** Compares hashes, which are of one length, in a time that tells nothing. */
function isSame(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(a), hash(b))
}
