import type { GroupOp, OpenEntry, StoredGroup } from '../store.ts'
import { checkOfPair, checkOfParts } from './layout.ts'
import type { Statements } from './statements.ts'
import type { StreamState, Streams } from './streams.ts'

/** What the thread must know of a group to change its rows. */
interface GroupState {
  readonly n: number
  readonly stream: StreamState
  readonly name: string
  /** The checksums of its open entries: their sum stands in the row, so that none can vanish. */
  readonly open: Map<number, number>
  opened: number
  /** How many rows of `done` there are. */
  done: number
  position: number
}

/** The rows of groups. */
export interface Members {
  change(op: GroupOp): void
  leave(stream: string, group: string): void
  /** Removes the rows of a group that is not among the loaded ones. */
  erase(n: number): void
  settle(): void
  undo(): void
  /** Reads all. `bad` names those whose rows do not fit their checksums, by a sentence; these are not among the groups. */
  load(): { readonly groups: readonly StoredGroup[]; readonly bad: readonly BadGroup[] }
  /** All groups, after some have been repaired. */
  reload(): readonly StoredGroup[]
}

/** A group whose rows cannot be trusted. */
export interface BadGroup {
  readonly n: number
  readonly stream: StreamState | undefined
  readonly group: string
}

const WRITE = 'INSERT OR REPLACE INTO groups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'
const READ =
  'SELECT n, stream, name, start, position, acked, dead, expired, dropped, skipped, begun, opened, crc FROM groups'
const READ_OPEN = 'SELECT offset, attempts, due_at, delay_ms, held, note, crc FROM open WHERE owner = ?'
const READ_DONE = 'SELECT offset, crc FROM done WHERE owner = ?'

function bytesOf(offsets: readonly number[]): Uint8Array | null {
  return offsets.length === 0 ? null : new Uint8Array(Float64Array.from(offsets).buffer)
}

function offsetsOf(bytes: unknown): readonly number[] {
  if (!(bytes instanceof Uint8Array)) return []
  return [...new Float64Array(Uint8Array.from(bytes).buffer, 0, bytes.length >> 3)]
}

function checkOfGroup(numbers: readonly (number | string)[], begun: unknown): number {
  return begun instanceof Uint8Array ? checkOfParts(numbers, begun) : checkOfParts([...numbers, null])
}

function checkOfOpen(owner: number, entry: Omit<OpenEntry, 'note'>, note: Uint8Array | null): number {
  const parts = [
    owner,
    entry.offset,
    entry.attempts,
    entry.dueAt ?? null,
    entry.delayMs,
    entry.held ? 1 : 0,
    note === null ? 0 : 1,
  ]
  return note === null ? checkOfParts(parts) : checkOfParts(parts, note)
}

/** The groups of a database; empty until {@link Members.load}. */
export function keepMembers(statements: Statements, streams: Streams): Members {
  const all = new Map<string, GroupState>()
  const touched = new Map<string, GroupState | undefined>()
  let last = 0
  const nameOf = (stream: string, group: string): string => `${stream}\n${group}`

  function find(op: GroupOp): GroupState {
    const name = nameOf(op.stream, op.group)
    let group = all.get(name)
    if (!touched.has(name)) touched.set(name, group)
    if (group !== undefined) return group
    const stream = streams.open(op.stream)
    stream.groups++
    streams.touch(stream)
    group = { n: ++last, stream, name: op.group, open: new Map(), opened: 0, done: 0, position: op.position }
    all.set(name, group)
    return group
  }

  function keepDone(group: GroupState, op: GroupOp): void {
    for (const offset of op.done) {
      if (offset < op.position) continue
      const sql = 'INSERT OR IGNORE INTO done VALUES (?, ?, ?)'
      group.done += Number(statements.of(sql).run(group.n, offset, checkOfPair(group.n, offset)).changes)
    }
    if (group.done === 0 || group.position === op.position) return
    const sql = 'DELETE FROM done WHERE owner = ? AND offset < ?'
    group.done -= Number(statements.of(sql).run(group.n, op.position).changes)
  }

  function keepOpen(group: GroupState, op: GroupOp): void {
    for (const offset of op.closed) {
      const crc = group.open.get(offset)
      if (crc === undefined) continue
      group.open.delete(offset)
      group.opened = (group.opened ^ crc) >>> 0
      statements.of('DELETE FROM open WHERE owner = ? AND offset = ?').run(group.n, offset)
    }
    for (const entry of op.open) {
      const note = entry.note === undefined ? null : Buffer.from(entry.note)
      const crc = checkOfOpen(group.n, entry, note)
      group.opened = (group.opened ^ (group.open.get(entry.offset) ?? 0) ^ crc) >>> 0
      group.open.set(entry.offset, crc)
      statements
        .of('INSERT OR REPLACE INTO open VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
        .run(group.n, entry.offset, entry.attempts, entry.dueAt ?? null, entry.delayMs, entry.held ? 1 : 0, note, crc)
    }
  }

  function erase(n: number): void {
    statements.of('DELETE FROM groups WHERE n = ?').run(n)
    statements.of('DELETE FROM done WHERE owner = ?').run(n)
    statements.of('DELETE FROM open WHERE owner = ?').run(n)
  }

  /** Reads the rows of one group. Undefined when they do not fit. */
  function read(row: readonly unknown[]): { readonly state: GroupState; readonly stored: StoredGroup } | undefined {
    const [n, streamNumber, name, start, position, acked, dead, expired, dropped, skipped, begun, opened, crc] =
      row as [number, number, string, number, number, number, number, number, number, number, unknown, number, number]
    const stream = streams.numbered(streamNumber)
    const numbers = [n, streamNumber, name, start, position, acked, dead, expired, dropped, skipped, opened]
    if (stream === undefined || checkOfGroup(numbers, begun) !== crc) return undefined
    const state: GroupState = { n, stream, name, open: new Map(), opened, done: 0, position }
    const open: OpenEntry[] = []
    let sum = 0
    for (const [offset, attempts, dueAt, delayMs, held, note, check] of statements.rows(READ_OPEN).all(n) as readonly [
      number,
      number,
      number | null,
      number,
      number,
      Uint8Array | null,
      number,
    ][]) {
      const entry = { offset, attempts, dueAt: dueAt ?? undefined, delayMs, held: held === 1 }
      if ((note !== null && !(note instanceof Uint8Array)) || checkOfOpen(n, entry, note) !== check) return undefined
      open.push({ ...entry, note: note === null ? undefined : Buffer.from(note).toString() })
      state.open.set(offset, check)
      sum = (sum ^ check) >>> 0
    }
    if (sum !== opened) return undefined
    const done: number[] = []
    for (const [offset, check] of statements.rows(READ_DONE).all(n) as readonly [number, number][]) {
      state.done++
      // A row that does not fit is left out: then the entry is handed out once more, and nothing is lost.
      if (check === checkOfPair(n, offset) && offset >= position) done.push(offset)
    }
    const counts = { acked, dead, expired, dropped, skipped }
    const { name: streamName } = stream
    const stored = { stream: streamName, group: name, start, position, counts, done, open, begun: offsetsOf(begun) }
    return { state, stored }
  }

  function load(): { readonly groups: readonly StoredGroup[]; readonly bad: readonly BadGroup[] } {
    const groups: StoredGroup[] = []
    const bad: BadGroup[] = []
    for (const row of statements.rows(`${READ} ORDER BY n`).all()) {
      const kept = read(row)
      last = Math.max(last, Number(row[0]))
      if (kept === undefined) {
        bad.push({ n: Number(row[0]), stream: streams.numbered(Number(row[1])), group: String(row[2]) })
        continue
      }
      all.set(nameOf(kept.state.stream.name, kept.state.name), kept.state)
      groups.push(kept.stored)
    }
    return { groups, bad }
  }

  return {
    change(op) {
      const group = find(op)
      keepDone(group, op)
      keepOpen(group, op)
      group.position = op.position
      const { acked, dead, expired, dropped, skipped } = op.counts
      const begun = bytesOf(op.begun)
      const { n, stream, name, opened } = group
      const numbers = [n, stream.n, name, op.start, op.position, acked, dead, expired, dropped, skipped] as const
      statements.of(WRITE).run(...numbers, begun, opened, checkOfGroup([...numbers, opened], begun))
    },
    leave(stream, group) {
      const name = nameOf(stream, group)
      const known = all.get(name)
      if (known === undefined) return
      if (!touched.has(name)) touched.set(name, known)
      all.delete(name)
      known.stream.groups--
      streams.touch(known.stream)
      erase(known.n)
    },
    erase,
    settle: () => touched.clear(),
    undo() {
      for (const [name, before] of touched) {
        all.delete(name)
        if (before === undefined) continue
        const row = statements.rows(`${READ} WHERE n = ?`).all(before.n)[0]
        const kept = row === undefined ? undefined : read(row)
        if (kept !== undefined) all.set(name, kept.state)
      }
      touched.clear()
    },
    load,
    reload: () => load().groups,
  }
}
