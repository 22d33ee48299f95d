import type { Access } from './connection.ts'
import { type Connection, openConnection } from './connection.ts'
import { type Place, placeText } from './faults.ts'
import type { RedisReply } from './link.ts'
import { SLOTS } from './slot.ts'

/** Which master serves which slot. */
export interface Topology {
  /** By slot; undefined where nobody serves it. */
  readonly slots: readonly (string | undefined)[]
  /** By the text of the place. */
  readonly masters: ReadonlyMap<string, Place>
}

/** What `CLUSTER SLOTS` says; `asked` is who answered. */
export function readTopology(answer: RedisReply, asked: Place): Topology {
  const slots = new Array<string | undefined>(SLOTS).fill(undefined)
  const masters = new Map<string, Place>()
  for (const range of Array.isArray(answer) ? answer : []) {
    const [from, to, master] = range as readonly [number, number, readonly [Buffer | null, number]]
    const place = placeOf(String(master[0] ?? ''), Number(master[1]), asked)
    masters.set(placeText(place), place)
    slots.fill(placeText(place), from, to + 1)
  }
  return { slots, masters }
}

/** The node that `MOVED slot host:port` or `ASK slot host:port` names. */
export function redirection(
  message: string,
  asked: Place,
): { readonly slot: number; readonly place: Place } | undefined {
  const match = /^(?:MOVED|ASK) (\d+) (.*):(\d+)$/.exec(message)
  return match === null
    ? undefined
    : { slot: Number(match[1]), place: placeOf(match[2] ?? '', Number(match[3]), asked) }
}

/** A node that does not know its own name is where it was asked. */
function placeOf(host: string, port: number, asked: Place): Place {
  return { host: host === '' || host === '?' ? asked.host : host, port }
}

/** What the first node says that answers: one of those that are connected, or one of the given places. */
export async function askTopology(
  connected: readonly Connection[],
  places: readonly Place[],
  access: Access,
): Promise<Topology> {
  const known = connected.map(async (connection) =>
    readTopology(await connection.command(['CLUSTER', 'SLOTS']), connection.place),
  )
  try {
    return await Promise.any(known)
  } catch {
    return Promise.any(places.map((place) => askPlace(place, access)))
  }
}

async function askPlace(place: Place, access: Access): Promise<Topology> {
  const connection = await openConnection(place, access)
  try {
    return readTopology(await connection.command(['CLUSTER', 'SLOTS']), place)
  } finally {
    connection.end('it was asked')
  }
}
