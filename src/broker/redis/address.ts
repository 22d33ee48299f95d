import { BusError } from '../../kit/errors.ts'
import { type Place, placeText } from './faults.ts'

/** What a URL says. */
export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  readonly tls: boolean
  readonly username?: string
  readonly password?: string
  /** One for a single server; sentinels, or nodes of the cluster, otherwise. */
  readonly places: readonly [Place, ...Place[]]
  readonly database: number
  /** What the sentinels call the master. */
  readonly master: string
  /** For people: as it was given, without user and password. */
  readonly shown: string
}

const PORT = { single: 6379, cluster: 6379, sentinel: 26_379 }
const FORM = /^(rediss?)(?:\+(cluster|sentinel))?:\/\/(?:(.*)@)?([^/@]+)(?:\/([^/]*))?$/
const SHAPES =
  'redis://host:port/db, redis+cluster://host:port,host:port, redis+sentinel://host:port,host:port/master; rediss for TLS; user:password@ before the host'

function refuse(why: string): never {
  throw new BusError('INVALID_OPTION', `connectRedis: the URL ${why}; allowed: ${SHAPES}`, {
    details: { owner: 'connectRedis', field: 'url', allowed: SHAPES },
  })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse('has a user or password with a "%" that is not encoded')
  }
}

function placeOf(text: string, port: number): Place {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s?#]+))(?::(\d{1,5}))?$/.exec(text)
  if (match === null) refuse('has a server that is not host:port')
  const number = match[3] === undefined ? port : Number(match[3])
  if (number < 1 || number > 65_535) refuse('has a port that does not exist')
  return { host: match[1] ?? match[2] ?? '', port: number }
}

/** What the URL says. Throws INVALID_OPTION, in which no password stands. */
export function parseRedisUrl(url: string): RedisAddress {
  const match = FORM.exec(String(url))
  if (match === null) refuse('cannot be read')
  const [, scheme, special, login, hosts = '', path = ''] = match
  const kind = (special ?? 'single') as RedisAddress['kind']
  const [first, ...rest] = hosts.split(',').map((text) => placeOf(text, PORT[kind]))
  if (first === undefined) refuse('names no server')
  if (kind === 'single' && rest.length > 0) refuse('names several servers')
  if (kind === 'sentinel' && path === '') refuse('does not name the master')
  if (kind !== 'sentinel' && !/^\d{0,4}$/.test(path)) refuse('has a database that is no number')
  const database = kind === 'sentinel' ? 0 : Number(path)
  if (kind === 'cluster' && database !== 0) refuse('names a database; a cluster has only 0')
  const [, user = '', password] = /^([^:]*)(?::(.*))?$/s.exec(login ?? '') ?? []
  const places = [first, ...rest] as const
  return {
    kind,
    tls: scheme === 'rediss',
    ...(user === '' ? {} : { username: decoded(user) }),
    ...(password === undefined || password === '' ? {} : { password: decoded(password) }),
    places,
    database,
    master: kind === 'sentinel' ? decoded(path) : '',
    shown: `${scheme}${special === undefined ? '' : `+${special}`}://${places.map(placeText).join(',')}${path === '' ? '' : `/${path}`}`,
  }
}
