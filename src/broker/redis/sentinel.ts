import { BusError, isBusError } from '../../kit/errors.ts'
import type { RedisAddress } from './address.ts'
import { type Access, type Connection, openConnection } from './connection.ts'
import { type Place, placeText, unreachable } from './faults.ts'

/** Asks the sentinels who is master now, and connects to it. Rejects with BROKER_UNREACHABLE or BROKER_REFUSED. */
export async function openMaster({ places, master, shown }: RedisAddress, access: Access): Promise<Connection> {
  // Both steps together take as long as one connection may.
  const half: Access = { ...access, connectTimeoutMs: access.connectTimeoutMs / 2 }
  const place = await masterPlace(places, master, shown, half)
  const connection = await openConnection(place, half)
  try {
    const role = await connection.command(['ROLE'])
    if (Array.isArray(role) && String(role[0]) === 'master') return connection
    throw unreachable(place, `the sentinels call it the master "${master}", and it is none yet, or no longer`)
  } catch (error) {
    connection.end('it is no master')
    throw error
  }
}

/** What the first sentinel says that knows it. */
async function masterPlace(sentinels: readonly Place[], master: string, shown: string, access: Access): Promise<Place> {
  try {
    return await Promise.any(sentinels.map((sentinel) => ask(sentinel, master, access)))
  } catch (error) {
    const faults = (error as AggregateError).errors as BusError[]
    const refused = faults.find((fault) => isBusError(fault, 'BROKER_REFUSED'))
    throw (
      refused ?? unreachable(shown, `no sentinel answers (${faults.map(({ message }) => message).join('; ')})`, error)
    )
  }
}

async function ask(sentinel: Place, master: string, access: Access): Promise<Place> {
  const connection = await openSentinel(sentinel, access)
  try {
    const limitMs = Math.min(access.connectTimeoutMs, access.commandTimeoutMs)
    const answer = await connection.command(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master], limitMs)
    if (Array.isArray(answer)) return { host: String(answer[0]), port: Number(answer[1]) }
    const text = `the sentinel at ${placeText(sentinel)} knows no master "${master}"; name one that it watches in the URL`
    throw new BusError('BROKER_REFUSED', text, { details: { ...sentinel, master } })
  } finally {
    connection.end('it was asked')
  }
}

/** Sentinels often have no password where the servers have one. */
async function openSentinel(sentinel: Place, access: Access): Promise<Connection> {
  const { username: _user, password: _word, ...open } = access
  try {
    return await openConnection(sentinel, { ...open, database: 0 })
  } catch (error) {
    const isClosed = isBusError(error, 'BROKER_REFUSED') && error.details.answer === 'NOAUTH'
    if (!isClosed || access.password === undefined) throw error
    return openConnection(sentinel, { ...access, database: 0 })
  }
}
