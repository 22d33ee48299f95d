import type { StoredGroup } from '../store.ts'
import { kindOf } from './faults.ts'
import { type Records, recordsIn, writeRow } from './layout.ts'
import type { Marked } from './mark.ts'
import type { BadGroup, Members } from './members.ts'
import { rowsFrom } from './read.ts'
import type { Statements } from './statements.ts'
import type { StreamState, Streams } from './streams.ts'

/** A run of offsets without an entry that can be trusted; both ends are included. */
export interface Hole {
  readonly stream: StreamState
  readonly from: number
  readonly to: number
  readonly reason: 'damaged' | 'lost'
}

/** A stream that lies below its mark: what was acknowledged from `next` on is not there. */
export interface Short {
  readonly stream: string
  readonly next: number
  readonly marked: number
}

/** What is wrong in a file, and what its groups say; found without changing anything. */
export interface Survey {
  readonly badStreams: readonly { readonly n: number; readonly name: string }[]
  readonly badGroups: readonly BadGroup[]
  /** Streams with fewer groups than they had. */
  readonly lacking: readonly { readonly stream: StreamState; readonly found: number }[]
  readonly short: readonly Short[]
  readonly markDamaged: boolean
  readonly groups: readonly StoredGroup[]
}

/** Reads all small rows and compares them with the mark. The parts must be empty still. */
export function surveyRows(streams: Streams, members: Members, marked: Marked | undefined | 'damaged'): Survey {
  const badStreams = streams.load()
  const { groups, bad } = members.load()
  const found = new Map<string, number>()
  for (const { stream } of groups) found.set(stream, (found.get(stream) ?? 0) + 1)
  for (const { stream } of bad) if (stream !== undefined) found.set(stream.name, (found.get(stream.name) ?? 0) + 1)
  const lacking = [...streams.all.values()]
    .map((stream) => ({ stream, found: found.get(stream.name) ?? 0 }))
    .filter((one) => one.found !== one.stream.groups)
  const short: Short[] = []
  if (marked !== undefined && marked !== 'damaged') {
    for (const [stream, next] of marked) {
      const known = streams.all.get(stream)?.next ?? 1
      if (known < next) short.push({ stream, next: known, marked: next })
    }
  }
  return { badStreams, badGroups: bad, lacking, short, markDamaged: marked === 'damaged', groups }
}

/** The first offset of a stream that some group has not settled; the first kept one when it has no group. */
export function pendingFrom(stream: StreamState, groups: readonly StoredGroup[]): number {
  let from = Number.POSITIVE_INFINITY
  for (const group of groups) {
    if (group.stream !== stream.name) continue
    from = Math.min(from, group.position)
    for (const entry of group.open) from = Math.min(from, entry.offset)
  }
  return Math.max(stream.first, Number.isFinite(from) ? from : stream.first)
}

const SLICE_BYTES = 4_194_304
const SLICE_ROWS = 1_024

/** Compares every checksum from an offset on, and that no offset is missing. Gives back the holes and how many entries are sound. */
export function scan(
  statements: Statements,
  stream: StreamState,
  from: number,
  onRows: (rows: number) => void = () => undefined,
): { readonly holes: readonly Hole[]; readonly good: number } {
  const holes: { stream: StreamState; from: number; to: number; reason: 'damaged' | 'lost' }[] = []
  const kept = Math.max(1, stream.next - stream.first)
  const size = Math.max(64, (stream.total - stream.base) / kept)
  const slice = Math.max(1, Math.min(SLICE_ROWS, Math.floor(SLICE_BYTES / size)))
  let records: Records = recordsIn(new ArrayBuffer(65_536))
  let expected = from
  let good = 0
  function hole(first: number, last: number, reason: 'damaged' | 'lost'): void {
    const previous = holes.at(-1)
    if (previous?.reason === reason && previous.to === first - 1) previous.to = last
    else holes.push({ stream, from: first, to: last, reason })
  }
  while (expected < stream.next) {
    const rows = rowsFrom({ statements }, stream, expected, slice)
    for (const row of rows) {
      const offset = row[0] as number
      if (expected < offset) hole(expected, offset - 1, 'lost')
      const written = writeRow(records, 0, row)
      records = written.records
      if (written.end === 0) hole(offset, offset, 'damaged')
      else good++
      expected = offset + 1
    }
    onRows(rows.length)
    if (rows.length > 0) continue
    hole(expected, stream.next - 1, 'lost')
    expected = stream.next
  }
  return { holes, good }
}

/** The holes without what the table of gaps tells already. */
export function unknownHoles(statements: Statements, holes: readonly Hole[]): readonly Hole[] {
  return holes.flatMap((hole) => {
    const sql = 'SELECT first, last FROM gaps WHERE stream = ? AND last >= ? AND first <= ? ORDER BY first'
    const known = statements.rows(sql).all(hole.stream.n, hole.from, hole.to) as readonly [number, number][]
    const left: Hole[] = []
    let from = hole.from
    for (const [first, last] of known) {
      if (first > from) left.push({ ...hole, from, to: first - 1 })
      from = Math.max(from, last + 1)
    }
    if (from <= hole.to) left.push({ ...hole, from })
    return left
  })
}

/** True when the fault is one of the file's content, so that a repair may help. */
export function isDamage(error: unknown): boolean {
  return kindOf(error) === 'corrupt'
}
