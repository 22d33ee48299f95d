import { isBusError } from '../../kit/errors.ts'
import type { SnapshotHead } from './bootstrap.ts'
import type { StreamRecord } from './follow.ts'
import { WRONG_SEQUENCE } from './io.ts'
import type { Machine } from './machine.ts'
import type { Place } from './place.ts'
import { seqOf } from './records.ts'
import { type AlongEntry, alongsOf, firstAlong, type Segment, takeSnapshot } from './snapshot.ts'

const EVERY_RECORDS = 50_000
const EVERY_BYTES = 64 * 1_024 * 1_024
/** So many entries that came along with settlements are worth a segment; as many are in one at most. */
const SEGMENT = 2_000
/** While so many records wait to be applied, none is taken. */
const MOST_BEHIND = 1_000
const MOST_TRIES = 3

/**
 * Keeps the stream of a channel small, and the start of a process short. Nothing is removed but what a snapshot stands for; and of the
 * operations, those stay that follow the snapshot before the newest, for a process that is just beginning with it.
 */
export class Janitor {
  readonly #channel: Place
  #records = 0
  #bytes = 0
  #newest: SnapshotHead | undefined
  #before: SnapshotHead | undefined
  /** The sequence of the newest snapshot's head. */
  #newestAt = 0
  #cleaning: Promise<void> | undefined
  /** What is not needed any more once the newest snapshot of this process is stored: all before these sequences. */
  #spare: {
    readonly trimmed: readonly { name: string; seq: number }[]
    readonly entries: number
    readonly alongs: number
  } = { trimmed: [], entries: 0, alongs: 0 }

  constructor(channel: Place) {
    this.#channel = channel
  }

  /** A record was applied; so many more wait behind it. */
  saw({ seq, subject, data }: StreamRecord, pending: number): void {
    if (subject === 's') {
      this.#before = this.#newest
      this.#newestAt = seq
      this.#newest = JSON.parse(new TextDecoder().decode(data)) as SnapshotHead
      this.#records = 0
      this.#bytes = 0
      return
    }
    if (subject === 't' || subject === 'i') return
    // Entries count as well: behind a snapshot a process that begins receives them whole, before it their headers alone.
    this.#records++
    this.#bytes += data.length
    if ((this.#records < EVERY_RECORDS && this.#bytes < EVERY_BYTES) || pending > MOST_BEHIND) return
    // One does it: the first of all by name, and the others when it does not.
    const first = [...this.#channel.machine.instances.keys()].sort()[0]
    if (first === this.#channel.sender.instance || this.#records > EVERY_RECORDS * 2 || this.#bytes > EVERY_BYTES * 2) {
      this.clean().catch(() => undefined)
    }
  }

  /** Stores a snapshot, and removes what is not needed any more. */
  clean(): Promise<void> {
    this.#cleaning ??= this.#clean().finally(() => {
      this.#cleaning = undefined
    })
    return this.#cleaning
  }

  async #clean(): Promise<void> {
    const { link } = this.#channel.hall.io
    const from = this.#channel.machine.seq
    for (let tries = 1; ; tries++) {
      try {
        // What the one before the newest contains may go: so there must be two, and for some servers two from now on.
        do await this.#snapshot()
        while (this.#before === undefined || (miscounts(link.version) && this.#before.seq < from))
        break
      } catch (error) {
        // Another process was first: what lies between may be removed soon, and is in neither.
        if (tries === MOST_TRIES || !isBusError(error) || error.details.errCode !== WRONG_SEQUENCE) throw error
        await this.#channel.sync()
      }
    }
    await this.#purge()
  }

  async #snapshot(): Promise<void> {
    const { names, machine, hall } = this.#channel
    const { io } = hall
    const most = Math.floor((io.link.connection.info?.max_payload ?? 1_048_576) * 0.9)
    const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
    const put = async (subject: string, bytes: Uint8Array, headers?: string): Promise<number> => {
      for (;;) {
        try {
          return (await io.publish(names.root + subject, bytes, headers)).seq
        } catch (error) {
          // Nothing may be removed before it is stored.
          if (!isBusError(error, 'STORE_FULL') || !(await hall.reserve.spend())) throw error
        }
      }
    }
    const expected = `Nats-Expected-Last-Subject-Sequence: ${this.#newestAt}`
    const along = firstAlong(machine)
    const trimmed = [...machine.parts.values()].map(({ name, first }) => ({ name, seq: seqOf(first) }))
    const kept = [...machine.parts.values()].filter(({ count }) => count > 0)
    const entries = Math.min(Number.MAX_SAFE_INTEGER, ...kept.map(({ first }) => seqOf(first)))
    const alongs = Math.min(seqOf(Math.min(along, Number.MAX_SAFE_INTEGER)), ...[...machine.outgoing.keys()].map(seqOf))
    const segments = (this.#newest?.segments ?? []).filter(({ to }) => to >= along)
    const fresh = segmentsOf(machine, segments.at(-1)?.to ?? 0, most)
    const bytes = encode(takeSnapshot(machine, fresh.at(-1)?.to ?? segments.at(-1)?.to ?? 0))
    const { seq } = machine
    for (const { segment, to } of fresh) segments.push({ seq: await put('i', segment), to })
    const pieces: number[] = []
    for (let at = 0; at < bytes.length; at += most) pieces.push(await put('t', bytes.subarray(at, at + most)))
    const head: SnapshotHead = { v: 1, seq, pieces, segments }
    await this.#channel.reached(await put('s', encode(head), expected))
    this.#spare = { trimmed, entries, alongs }
  }

  async #purge(): Promise<void> {
    const { names, hall } = this.#channel
    const { io } = hall
    const { trimmed, entries, alongs } = this.#spare
    const purge = async (filter: string, seq: number): Promise<void> => {
      if (seq > 1) await io.must(`STREAM.PURGE.${names.stream}`, { filter: names.root + filter, seq })
    }
    const [newest, before] = [this.#newest, this.#before]
    if (newest === undefined || before === undefined) return
    // A stream of several copies may take the snapshots of two processes at the same moment: the later one contains less then.
    const contained = Math.min(before.seq, newest.seq)
    const pieces = Math.min(...before.pieces, ...newest.pieces)
    const segments = [...before.segments, ...newest.segments].map(({ seq }) => seq)
    // First what needs no filter.
    const floor = Math.min(entries, alongs, contained, pieces, ...segments)
    if (floor > 1) await io.must(`STREAM.PURGE.${names.stream}`, { seq: floor })
    for (const { name, seq } of trimmed) await purge(`e.*.${names.part(name).token}`, seq)
    await purge('o', contained)
    await purge('x', contained)
    await purge('a', Math.min(contained, alongs))
    await purge('t', pieces)
    await purge('i', Math.min(contained, ...segments))
    await io.must(`STREAM.PURGE.${names.stream}`, { filter: `${names.root}s`, keep: 2 })
  }
}

/** Servers before 2.9.15 do not count the room of what they remove by subject as free, until they start anew. */
function miscounts([major, minor, patch]: readonly [number, number, number]): boolean {
  return major < 2 || (major === 2 && (minor < 9 || (minor === 9 && patch < 15)))
}

/** Entries that came along with settlements behind an offset, in segments that are full. */
function segmentsOf(machine: Machine, after: number, most: number): { segment: Uint8Array; to: number }[] {
  const all = [...machine.parts.values()]
    .flatMap((part) => alongsOf(part, after).map((along) => [part.name, along] as const))
    .sort((a, b) => a[1][0] - b[1][0])
  const segments: { segment: Uint8Array; to: number }[] = []
  for (let at = 0; at + SEGMENT <= all.length; ) {
    let count = SEGMENT
    let segment = segmentOf(all.slice(at, at + count))
    // Sessions may have long names.
    for (; segment.length > most && count > 1; segment = segmentOf(all.slice(at, at + count))) count >>= 1
    at += count
    segments.push({ segment, to: (all[at - 1] as (typeof all)[number])[1][0] })
  }
  return segments
}

function segmentOf(list: readonly (readonly [string, AlongEntry])[]): Uint8Array {
  const byPart: Segment = [...Map.groupBy(list, ([part]) => part)].map(([part, of]) => [
    part,
    of.map(([, along]) => along),
  ])
  return new TextEncoder().encode(JSON.stringify(byPart))
}
