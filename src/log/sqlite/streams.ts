import { BusError } from '../../kit/errors.ts'
import { channelOf } from '../log.ts'
import { checkOfParts } from './layout.ts'
import { entryTable } from './schema.ts'
import type { Statements } from './statements.ts'

/** What the thread knows of a stream; the same stands in its row. */
export interface StreamState {
  readonly n: number
  readonly name: string
  /** The number of the first stream of its channel. */
  readonly channel: number
  next: number
  first: number
  /** Bytes of all entries there ever were, and of those before `first`. */
  total: number
  base: number
  newestAt: number
  /** How many groups it has: a group that vanishes is missed. */
  groups: number
}

/** The rows of streams, all of them in memory too. */
export interface Streams {
  readonly all: ReadonlyMap<string, StreamState>
  numbered(n: number): StreamState | undefined
  /** The number that stands for a channel; undefined as long as it has no stream. */
  channel(name: string): number | undefined
  /** The stream, made with its table unless it is there. Inside a transaction. */
  open(name: string): StreamState
  /** Takes in a stream whose row was made anew. Inside a transaction. */
  adopt(stream: StreamState): void
  /** Says that the state was changed; the row follows with {@link Streams.flush}. */
  touch(stream: StreamState): void
  /** Writes the rows of all touched streams; gives them back. */
  flush(): readonly StreamState[]
  /** The touched ones are kept. */
  settle(): void
  /** The transaction is undone: what was touched is read again. */
  undo(): void
  /** Reads all rows. Gives back the names of those that do not fit their checksums; these are not kept. */
  load(): readonly { readonly n: number; readonly name: string }[]
}

const READ = 'SELECT n, name, channel, next, first, total, base, newest_at, groups, crc FROM streams'
const WRITE = 'INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'

function checkOf(stream: StreamState): number {
  const { n, name, channel, next, first, total, base, newestAt, groups } = stream
  return checkOfParts([n, name, channel, next, first, total, base, newestAt, groups])
}

function fromRow(row: readonly unknown[]): StreamState | undefined {
  const [n, name, channel, next, first, total, base, newestAt, groups, crc] = row as [
    number,
    string,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const stream = { n, name, channel, next, first, total, base, newestAt, groups }
  return checkOf(stream) === crc ? stream : undefined
}

/** The streams of a database; empty until {@link Streams.load}. */
export function keepStreams(database: { exec(sql: string): void }, statements: Statements): Streams {
  const all = new Map<string, StreamState>()
  const numbers = new Map<number, StreamState>()
  const channels = new Map<string, number>()
  const touched = new Set<StreamState>()
  const fresh = new Set<StreamState>()
  let last = 0

  function add(stream: StreamState): void {
    all.set(stream.name, stream)
    numbers.set(stream.n, stream)
    if (stream.n === stream.channel) channels.set(channelOf(stream.name), stream.n)
    if (stream.n > last) last = stream.n
  }
  function remove(stream: StreamState): void {
    all.delete(stream.name)
    numbers.delete(stream.n)
    if (stream.n === stream.channel) channels.delete(channelOf(stream.name))
    if (stream.n === last) last--
  }
  return {
    all,
    numbered: (n) => numbers.get(n),
    channel: (name) => channels.get(name),
    open(name) {
      const known = all.get(name)
      if (known !== undefined) return known
      const n = last + 1
      database.exec(entryTable(n))
      const channel = channels.get(channelOf(name)) ?? n
      const stream = { n, name, channel, next: 1, first: 1, total: 0, base: 0, newestAt: 0, groups: 0 }
      add(stream)
      fresh.add(stream)
      touched.add(stream)
      return stream
    },
    adopt(stream) {
      add(stream)
      touched.add(stream)
    },
    touch: (stream) => void touched.add(stream),
    flush() {
      for (const stream of touched) {
        const { n, name, channel, next, first, total, base, newestAt, groups } = stream
        statements.of(WRITE).run(n, name, channel, next, first, total, base, newestAt, groups, checkOf(stream))
      }
      return [...touched]
    },
    settle() {
      touched.clear()
      fresh.clear()
    },
    undo() {
      for (const stream of [...fresh].reverse()) remove(stream)
      for (const stream of touched) {
        if (fresh.has(stream)) continue
        const row = statements.rows(`${READ} WHERE n = ?`).all(stream.n)[0]
        const kept = row === undefined ? undefined : fromRow(row)
        if (kept === undefined) throw new BusError('STORE_FAILED', `the row of stream "${stream.name}" is damaged`)
        Object.assign(stream, kept)
      }
      touched.clear()
      fresh.clear()
    },
    load() {
      const bad: { n: number; name: string }[] = []
      for (const row of statements.rows(`${READ} ORDER BY n`).all()) {
        const stream = fromRow(row)
        if (stream === undefined) bad.push({ n: Number(row[0]), name: String(row[1]) })
        else add(stream)
        last = Math.max(last, Number(row[0]))
      }
      return bad
    },
  }
}
