import { BusError, describeThrown, type ErrorCode } from '../../kit/errors.ts'

/** A server: what a fault names, without secrets. */
export interface Place {
  readonly host: string
  readonly port: number
}

/** Host and port, as in a URL. */
export function placeText({ host, port }: Place): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

interface Row {
  readonly answer: RegExp
  readonly code: ErrorCode
  /** What to change; undefined where the answer itself says it. */
  readonly change?: string
}

/** What the server answers when it refuses a command; the first row that fits counts. Whatever fits none is STORE_FAILED. */
const ANSWERS: readonly Row[] = [
  { answer: /^NOAUTH/, code: 'BROKER_REFUSED', change: 'name the user and the password in the URL' },
  {
    answer: /^WRONGPASS|^ERR invalid (?:username-)?password|^ERR AUTH .*without any password/i,
    code: 'BROKER_REFUSED',
    change: 'correct the user or the password in the URL',
  },
  { answer: /^NOPERM/, code: 'BROKER_REFUSED', change: 'give the user this right (ACL SETUSER)' },
  { answer: /^ERR unknown command/i, code: 'BROKER_REFUSED', change: 'use a newer server, or undo its rename-command' },
  {
    answer: /cluster support disabled/,
    code: 'BROKER_REFUSED',
    change: 'name it by "redis://", or set cluster-enabled yes',
  },
  // A link to a cluster follows them.
  {
    answer: /^(?:MOVED|ASK) /,
    code: 'BROKER_REFUSED',
    change: 'it is a node of a cluster: name it by "redis+cluster://"',
  },
  { answer: /^DENIED/, code: 'BROKER_REFUSED', change: 'set a password, or protected-mode no' },
  { answer: /No space left on device|\bOOM command not allowed/, code: 'STORE_FULL' },
  {
    answer: /^MISCONF|-MISCONF/,
    code: 'BROKER_REFUSED',
    change: 'mend what keeps the server from writing its files (disk, rights of its folder)',
  },
  { answer: /^READONLY|-READONLY/, code: 'BROKER_REFUSED', change: 'name the master in the URL, not a replica' },
  {
    answer: /^NOREPLICAS|-NOREPLICAS/,
    code: 'BROKER_REFUSED',
    change: 'start the replicas, or lower min-replicas-to-write',
  },
  // All of them say that the command was not begun, and pass by themselves.
  { answer: /^(?:LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|UNBLOCKED)\b/, code: 'BROKER_UNREACHABLE' },
  { answer: /^ERR max number of clients/i, code: 'BROKER_UNREACHABLE' },
]

/** The error for what the server answered to a command. */
export function answerFault(place: Place, what: string, cause: Error): BusError {
  const row = ANSWERS.find(({ answer }) => answer.test(cause.message))
  const change = row?.change === undefined ? '' : `; ${row.change}`
  const text = `Redis at ${placeText(place)} answered ${what} with "${cause.message}"${change}`
  return new BusError(row?.code ?? 'STORE_FAILED', text, {
    cause,
    details: { ...place, answer: /^\S*/.exec(cause.message)?.[0] },
  })
}

/** Surely not carried out. */
export function unreachable(place: Place | string, why: string, cause?: unknown): BusError {
  const at = typeof place === 'string' ? place : placeText(place)
  return new BusError('BROKER_UNREACHABLE', `no connection to Redis at ${at}: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    details: typeof place === 'string' ? { url: place } : { ...place },
  })
}

/** It is not known whether it was carried out. */
export function unknown(place: Place, what: string, why: string, cause?: unknown): BusError {
  const text = `Redis at ${placeText(place)} did not answer ${what}: ${why}; it is not known whether it was carried out`
  return new BusError('BROKER_TIMEOUT', text, { ...(cause === undefined ? {} : { cause }), details: { ...place } })
}

const UNTRUSTED = /CERT|ALTNAME|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/
const NO_TLS = /^(?:EPROTO|ERR_SSL_)/

/** The error for a connection that could not be opened. */
export function openFault(place: Place, cause: unknown, { tls }: { readonly tls: boolean }): BusError {
  if (cause instanceof BusError) return cause
  const code = String((cause as { code?: unknown } | undefined)?.code ?? '')
  const why = cause instanceof Error ? cause.message || code : describeThrown(cause)
  if (UNTRUSTED.test(code)) {
    const text = `the certificate of Redis at ${placeText(place)} is not trusted (${why}); name its authority: client: { socket: { ca } }`
    return new BusError('BROKER_REFUSED', text, { cause, details: { ...place, code } })
  }
  if (NO_TLS.test(code)) {
    const text = `Redis at ${placeText(place)} does not answer by TLS (${why}); use "redis://", or set its tls-port`
    return new BusError('BROKER_REFUSED', text, { cause, details: { ...place, code } })
  }
  // A server that expects the other way says nothing, or hangs up.
  const hint = /no answer|closed|ECONNRESET/.test(why)
    ? `; does this port expect ${tls ? 'redis:// (no TLS)' : 'rediss:// (TLS)'}?`
    : ''
  return unreachable(place, `${why}${hint}`, cause)
}
