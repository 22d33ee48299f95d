import { BusError } from '../../kit/errors.ts'

/** Where NATS is, and who asks. */
export interface NatsAddress {
  /** `host:port`, IPv6 in brackets. */
  readonly servers: readonly string[]
  readonly tls: boolean
  readonly user?: string
  readonly pass?: string
  readonly token?: string
}

const SHAPE = /^(nats|tls):\/\/(?:(?<who>[^@/]*)@)?(?<hosts>[^@/?#]+)\/?$/i
const HOST = /^(?:\[[0-9a-f:.]+\]|[^\s:[\]]+)(?::\d{1,5})?$/i
const PORT = 4222

/**
 * Reads `nats://HOST:PORT,HOST:PORT`, also with `USER:PASSWORD@` or `TOKEN@` in front, percent-encoded, and `tls://` for TLS.
 * Throws INVALID_OPTION, without showing the secret.
 */
export function parseNatsUrl(url: string): NatsAddress {
  const parts = typeof url === 'string' ? SHAPE.exec(url.trim()) : null
  const hosts = parts?.groups?.hosts?.split(',') ?? []
  if (parts === null || !hosts.every(isHost)) wrong()
  const tls = parts[1]?.toLowerCase() === 'tls'
  const servers = hosts.map((host) => (/:\d+$/.test(host) ? host : `${host}:${PORT}`))
  const who = parts.groups?.who
  if (!who) return { servers, tls }
  const colon = who.indexOf(':')
  if (colon < 0) return { servers, tls, token: decoded(who) }
  return { servers, tls, user: decoded(who.slice(0, colon)), pass: decoded(who.slice(colon + 1)) }
}

function isHost(host: string): boolean {
  const port = /:(\d+)$/.exec(host)?.[1]
  return HOST.test(host) && (port === undefined || (Number(port) > 0 && Number(port) < 65_536))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    wrong()
  }
}

function wrong(): never {
  const allowed = 'nats://HOST:PORT[,HOST:PORT…] or tls://…, with USER:PASSWORD@ or TOKEN@ before the first host'
  throw new BusError('INVALID_OPTION', `connectNats: "url" cannot be read; allowed: ${allowed}`, {
    details: { owner: 'connectNats', field: 'url', allowed },
  })
}
