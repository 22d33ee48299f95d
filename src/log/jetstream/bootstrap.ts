import { BusError } from '../../kit/errors.ts'
import { metaOf } from './bodies.ts'
import { Follower, type StreamRecord } from './follow.ts'
import {
  faultOf,
  type Io,
  jsonIn,
  type Kept,
  NAME_IN_USE,
  NO_STREAM,
  type StreamDetails,
  SUBJECTS_IN_USE,
} from './io.ts'
import { Machine, type MachineEvents } from './machine.ts'
import { type ChannelNames, nameOfToken } from './names.ts'
import type { EntryHead } from './part.ts'
import { META_HEADER, offsetOf } from './records.ts'
import { headOfAlong, machineOf, type Segment, type Snapshot } from './snapshot.ts'

/** How the streams of a log are made. */
export interface StreamSettings {
  readonly dedupMs: number
  readonly storage: 'file' | 'memory'
  readonly replicas: number
}

/** What the record of a snapshot says: where its pieces lie. */
export interface SnapshotHead {
  readonly v: 1
  /** The last sequence that it contains. */
  readonly seq: number
  readonly pieces: readonly number[]
  /** Where the segments lie, and up to which offset each one goes. Ascending. */
  readonly segments: readonly { readonly seq: number; readonly to: number }[]
}

/** What a process begins with. */
export interface Boot {
  readonly machine: Machine
  /** Entries that the snapshot stands for, and that are not there. */
  readonly missing: readonly number[]
}

/** What stands at the beginning of a stream's description, before the name of its channel. */
export const DESCRIPTION = 'swarmbus log: '

const AGAIN_MS = 20
const LEADER_AGAIN_MS = 100

/** The stream of a channel; undefined when there is none. */
export async function streamDetails(io: Io, names: ChannelNames): Promise<StreamDetails | undefined> {
  const untilMs = io.env.monotonicMs() + io.timeoutMs
  for (;;) {
    const info = await io.api<StreamDetails>(`STREAM.INFO.${names.stream}`)
    if (info.error?.err_code === NO_STREAM) return undefined
    if (info.error !== undefined) throw faultOf(info.error)
    // Whoever is not the leader knows that there is a stream, and says that there is nothing in it.
    if (info.cluster === undefined || info.cluster.leader !== undefined) {
      io.met(info)
      return info
    }
    if (io.env.monotonicMs() >= untilMs) {
      throw new BusError('BROKER_TIMEOUT', `the copies of the channel "${names.channel}" have no leader`)
    }
    await io.rest(LEADER_AGAIN_MS)
  }
}

/** Throws BROKER_REFUSED for a stream that keeps less than is promised: it was made with other settings. */
function mustKeep({ config }: StreamDetails, names: ChannelNames, { replicas, storage }: StreamSettings): void {
  const { num_replicas: copies = 1, storage: place = 'file', name } = config
  const differs = (setting: string, has: unknown, asked: unknown, change: string): BusError =>
    new BusError(
      'BROKER_REFUSED',
      `the channel "${names.channel}" was made with ${setting} ${has}, and ${asked} is asked for; ${change}`,
      { details: { setting, value: has, allowed: asked, stream: name } },
    )
  if (copies < replicas) {
    throw differs('replicas', copies, replicas, `run: nats stream edit ${name} --replicas ${replicas}`)
  }
  if (place === 'memory' && storage === 'file') {
    throw differs(
      'storage',
      place,
      storage,
      `open it with ?storage=memory, or remove the stream ${name} and what it has`,
    )
  }
}

/** Makes the stream of a channel if there is none. Resolves once it takes records. */
export async function ensureStream(io: Io, names: ChannelNames, settings: StreamSettings): Promise<StreamDetails> {
  const details = (await streamDetails(io, names)) ?? (await makeStream(io, names, settings))
  mustKeep(details, names, settings)
  await io.listens(`${names.root}f`)
  return details
}

async function makeStream(io: Io, names: ChannelNames, settings: StreamSettings): Promise<StreamDetails> {
  const made = await io.api<StreamDetails>(`STREAM.CREATE.${names.stream}`, {
    name: names.stream,
    description: DESCRIPTION + names.channel,
    subjects: [`${names.root}>`],
    retention: 'limits',
    discard: 'new',
    storage: settings.storage,
    num_replicas: settings.replicas,
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    duplicate_window: Math.max(100, settings.dedupMs) * 1e6,
    allow_direct: true,
  })
  if (made.error === undefined) {
    io.met(made)
    return made
  }
  // Another process makes it at the same moment. Of two in a cluster the later one may hear that there is none.
  const isMade = [NAME_IN_USE, SUBJECTS_IN_USE, NO_STREAM].includes(made.error.err_code as number)
  for (let tries = 0; isMade && tries < 5; tries++) {
    const other = await streamDetails(io, names)
    if (other !== undefined) return other
    await io.rest(AGAIN_MS)
  }
  throw faultOf(made.error)
}

/** What is known of the entry of a record; undefined when its part has no readable name. */
export function headOf(
  record: StreamRecord,
  headersOnly: boolean,
):
  | { readonly part: string; readonly head: EntryHead; readonly delay: number; readonly note: string | undefined }
  | undefined {
  // e.p.<part> without further words, e.m.<part> with.
  const kind = record.subject[2]
  const meta = kind === 'm' ? metaOf(record.header(META_HEADER)) : {}
  const part = meta.p ?? partNameOf(record.subject.slice(4))
  if (part === undefined) return undefined
  const bytes = headersOnly ? Number(record.header('Nats-Msg-Size') ?? 0) : record.data.length
  const { s: session, x: expires = Number.POSITIVE_INFINITY, d: delay = 0, n: note } = meta
  return { part, head: { offset: offsetOf(record.seq, 0), at: record.at, bytes, session, expires }, delay, note }
}

const parts = new Map<string, string | undefined>()

function partNameOf(token: string): string | undefined {
  if (parts.has(token)) return parts.get(token)
  let name: string | undefined
  try {
    name = nameOfToken(token)
  } catch {
    name = undefined
  }
  if (parts.size > 10_000) parts.clear()
  parts.set(token, name)
  return name
}

/** The newest snapshot of a channel, when there is one. */
export async function newestSnapshot(io: Io, names: ChannelNames): Promise<SnapshotHead | undefined> {
  const record = await io.get(names.stream, { last_by_subj: `${names.root}s` })
  return record === undefined ? undefined : jsonIn<SnapshotHead>(record)
}

/** The machine of the newest snapshot, or a new one: what follows its sequence is still to be applied. */
export async function bootMachine(io: Io, names: ChannelNames, events: MachineEvents): Promise<Boot> {
  for (let tries = 0; tries < 5; tries++) {
    const head = await newestSnapshot(io, names)
    if (head === undefined) return { machine: new Machine(names.channel, events), missing: [] }
    const get = (seqs: readonly number[]) => Promise.all(seqs.map((seq) => io.get(names.stream, { seq })))
    const [pieces, segments] = await Promise.all([get(head.pieces), get(head.segments.map(({ seq }) => seq))])
    // A newer one has taken its place meanwhile.
    if ([...pieces, ...segments].some((piece) => piece === undefined)) continue
    const entries = await indexUpTo(io, names, head.seq)
    for (const segment of segments) {
      for (const [part, alongs] of jsonIn<Segment>(segment as Kept)) {
        const list = entries.get(part) ?? []
        entries.set(part, list)
        for (const along of alongs) list.push(headOfAlong(along))
      }
    }
    const snapshot = JSON.parse(Buffer.concat(pieces.map((piece) => (piece as Kept).data)).toString()) as Snapshot
    const missing: number[] = []
    const machine = machineOf(names.channel, snapshot, entries, events, (seq) => void missing.push(seq))
    // A newer one may have trimmed what is missing.
    if (missing.length > 0 && (await newestSnapshot(io, names))?.seq !== head.seq) continue
    return { machine, missing }
  }
  throw new BusError('DATA_LOSS', `the state of the channel "${names.channel}" is gone: its snapshot lacks pieces`)
}

/** All entries with records of their own up to a sequence. Only their headers are transferred. */
async function indexUpTo(io: Io, names: ChannelNames, last: number): Promise<Map<string, EntryHead[]>> {
  const found = new Map<string, EntryHead[]>()
  const done = Promise.withResolvers<void>()
  let wall = 0
  const follower = new Follower(io, {
    stream: names.stream,
    root: names.root,
    from: 1,
    filter: `${names.root}e.>`,
    headersOnly: true,
    record(record, pending) {
      const read = record.seq <= last ? headOf(record, true) : undefined
      if (read !== undefined) {
        wall = Math.max(wall, read.head.at)
        let list = found.get(read.part)
        if (list === undefined) found.set(read.part, (list = []))
        list.push({ ...read.head, at: wall })
      }
      if (pending === 0 || record.seq >= last) done.resolve()
    },
    broken: () => done.reject(new BusError('BROKER_TIMEOUT', 'the records of the stream stopped coming')),
  })
  const lost = io.link.watch.on((event) => {
    if (event.type === 'lost') done.reject(new BusError('BROKER_TIMEOUT', 'the connection was lost'))
  })
  try {
    if ((await follower.start()) === 0) done.resolve()
    await done.promise
    return found
  } finally {
    done.promise.catch(() => undefined)
    lost[Symbol.dispose]()
    follower.end()
  }
}
