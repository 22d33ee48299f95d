import type { DatabaseSync } from 'node:sqlite'
import { keyTables } from './schema.ts'
import type { Statements } from './statements.ts'
import type { Streams } from './streams.ts'

// Hot path. Keys of the duplicate window lie in two generations: new ones go to the current one; when that is `dedupMs` old, or full,
// the older one is dropped and takes its place. So a key is known for at least one window (or `dedupLimit` keys), at most two.
//
// Nearly every key is a UUIDv7 above all before it. Such a key cannot be a repeat and is not searched for; and those of one commit
// are written together, sorted, up to 32 in a row of `runs_<g>`. Since each row lies above all earlier ones, the rows never overlap:
// one search finds the only row in which a key can be. Any other key has a row of its own in `keys_<g>`.

/** Where the first message of a key lies. `id` is the key itself when undefined. */
export interface KeyPlace {
  readonly stream: number
  readonly offset: number
  readonly id: string | undefined
}

/** A UUID as three numbers of 52, 52 and 24 bits: they compare like the text. */
interface Uuid {
  readonly high: number
  readonly middle: number
  readonly low: number
}

/** A key as it was read: a UUID, or any text. */
export type Key = Uuid | string

/** The keys of the duplicate window. */
export interface Keys {
  /** Reads the key that lies at `at`; as text when it is no UUID in small letters. */
  read(bytes: Buffer, at: number, length: number): Key
  /** Where the key was stored first, within its channel. */
  find(key: Key, channel: number): KeyPlace | undefined
  /** Remembers a key that {@link Keys.find} did not find. `id` unless the key is the id. */
  add(key: Key, channel: number, stream: number, offset: number, id: string | undefined): void
  /** Before a transaction; starts a new generation when the window says so. */
  begin(wallMs: number | undefined): void
  /** Writes what was remembered. */
  flush(): void
  undo(): void
  load(): void
}

/** A key that waits for {@link Keys.flush}. */
interface Waiting {
  readonly key: Uuid
  readonly channel: number
  readonly stream: number
  readonly offset: number
}

const HEX = new Uint8Array(256).fill(255)
for (let digit = 0; digit < 16; digit++) HEX[digit.toString(16).charCodeAt(0)] = digit

/** Bytes of a key in a run, with its stream (u32) and offset (f64); a row of 32 fits into a page without overflow. */
const ENTRY = 28
const RUN = 32
const LEAST: Uuid = { high: -1, middle: 0, low: 0 }

function compare(one: Uuid, two: Uuid): number {
  return one.high - two.high || one.middle - two.middle || one.low - two.low
}

function writeUuid(bytes: Buffer, at: number, { high, middle, low }: Uuid): void {
  bytes.writeUInt32BE(Math.floor(high / 0x10_0000), at)
  bytes.writeUInt32BE((high % 0x10_0000) * 0x1000 + Math.floor(middle / 0x100_0000_0000), at + 4)
  bytes.writeUInt32BE(Math.floor(middle / 0x100) % 0x1_0000_0000, at + 8)
  bytes.writeUInt32BE((middle % 0x100) * 0x100_0000 + low, at + 12)
}

function readUuid(bytes: Buffer, at: number): Uuid {
  const [one, two] = [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
  const [three, four] = [bytes.readUInt32BE(at + 8), bytes.readUInt32BE(at + 12)]
  return {
    high: one * 0x10_0000 + (two >>> 12),
    middle: (two & 0xfff) * 0x100_0000_0000 + three * 0x100 + (four >>> 24),
    low: four & 0xff_ffff,
  }
}

/** The 16 bytes of a UUID. */
function bytesOf(key: Uuid): Buffer {
  const bytes = Buffer.alloc(16)
  writeUuid(bytes, 0, key)
  return bytes
}

/** The text of a key. */
export function textOfKey(key: Key): string {
  if (typeof key === 'string') return key
  const hex = bytesOf(key).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Keeps keys for `dedupMs`, at most `dedupLimit` in each generation. */
export function keepKeys(
  database: DatabaseSync,
  statements: Statements,
  streams: Streams,
  dedupMs: number,
  dedupLimit: number,
): Keys {
  const entries = Buffer.alloc(ENTRY * RUN)
  /** Ascending, all above `max`. */
  const waiting: Waiting[] = []
  let generation = 0
  let since = 0
  let max = LEAST
  /** Keys in the current generation; rows of single keys in both. */
  let count = 0
  let singles = 0
  let before = { generation, since, count, singles, max }

  function placeIn(parity: number, key: Uuid, channel: number): KeyPlace | undefined {
    const sql = `SELECT entries FROM runs_${parity} WHERE low <= ? ORDER BY low DESC LIMIT 1`
    const row = statements.of(sql).get(bytesOf(key)) as { entries: Uint8Array } | undefined
    if (!(row?.entries instanceof Uint8Array)) return undefined
    const run = Buffer.from(row.entries.buffer, row.entries.byteOffset, row.entries.length)
    for (let at = 0; at + ENTRY <= run.length; at += ENTRY) {
      if (compare(readUuid(run, at), key) !== 0) continue
      const stream = run.readUInt32LE(at + 16)
      if (streams.numbered(stream)?.channel === channel) {
        return { stream, offset: run.readDoubleLE(at + 20), id: undefined }
      }
    }
    return undefined
  }
  function singleIn(parity: number, key: Key, channel: number): KeyPlace | undefined {
    const sql = `SELECT stream, offset, id FROM keys_${parity} WHERE key = ? AND channel = ?`
    const row = statements.of(sql).get(typeof key === 'string' ? key : bytesOf(key), channel)
    if (row === undefined) return undefined
    const { stream, offset, id } = row as { stream: number; offset: number; id: string | null }
    return { stream, offset, id: id ?? undefined }
  }
  /** Where a key above `max` belongs among those that wait. */
  function slot(key: Uuid): number {
    let high = waiting.length
    if (high === 0 || compare((waiting[high - 1] as Waiting).key, key) < 0) return high
    let low = 0
    while (low < high) {
      const middle = (low + high) >> 1
      if (compare((waiting[middle] as Waiting).key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
  function measure(): void {
    const [current, older] = [generation & 1, 1 - (generation & 1)]
    const sizeOf = (sql: string): number => (statements.of(sql).get() as { size: number | null }).size ?? 0
    const inRuns = (parity: number): number =>
      sizeOf(`SELECT sum(length(entries)) / ${ENTRY} AS size FROM runs_${parity}`)
    const single = (parity: number): number => sizeOf(`SELECT count(*) AS size FROM keys_${parity}`)
    count = inRuns(current) + single(current)
    singles = single(current) + single(older)
    max = LEAST
    for (const parity of [0, 1]) {
      const run = statements.of(`SELECT entries FROM runs_${parity} ORDER BY low DESC LIMIT 1`).get()?.entries
      if (run instanceof Uint8Array && run.length >= ENTRY) raise(readUuid(Buffer.from(run), run.length - ENTRY))
      // Bytes sort behind texts, so the largest key is a UUID if there is one.
      const key = statements.of(`SELECT max(key) AS key FROM keys_${parity}`).get()?.key
      if (key instanceof Uint8Array && key.length === 16) raise(readUuid(Buffer.from(key), 0))
    }
  }
  function raise(key: Uuid): void {
    if (compare(key, max) > 0) max = key
  }
  function set(name: string, value: number): void {
    statements.of('UPDATE meta SET value = ? WHERE name = ?').run(value, name)
  }
  function turn(wallMs: number): void {
    if (since === 0) set('since', (since = wallMs))
    if (count === 0 || (count < dedupLimit && wallMs - since < dedupMs)) return
    set('generation', ++generation)
    set('since', (since = wallMs))
    for (const { name, sql } of keyTables(generation & 1)) database.exec(`DROP TABLE ${name}; ${sql}`)
    measure()
  }

  return {
    read(bytes, at, length) {
      const isUuid = length === 36 && bytes[at + 8] === 45 && bytes[at + 13] === 45 && bytes[at + 18] === 45
      if (isUuid && bytes[at + 23] === 45) {
        wrong = 0
        const high = hex(bytes, at, 8) * 0x10_0000 + hex(bytes, at + 9, 4) * 16 + hex(bytes, at + 14, 1)
        const middle =
          (hex(bytes, at + 15, 3) * 0x1_0000 + hex(bytes, at + 19, 4)) * 0x100_0000 + hex(bytes, at + 24, 6)
        const low = hex(bytes, at + 30, 6)
        if (wrong < 16) return { high, middle, low }
      }
      return bytes.toString('utf8', at, at + length)
    },
    find(key, channel) {
      if (typeof key !== 'string' && compare(key, max) > 0) {
        for (let at = slot(key); at < waiting.length; at++) {
          const one = waiting[at] as Waiting
          if (compare(one.key, key) !== 0) return undefined
          if (one.channel === channel) return { stream: one.stream, offset: one.offset, id: undefined }
        }
        return undefined
      }
      for (const parity of [generation & 1, 1 - (generation & 1)]) {
        // Single rows first: a key that came again behind its window has one, and its old place is still in a run.
        const place =
          (singles > 0 ? singleIn(parity, key, channel) : undefined) ??
          (typeof key === 'string' ? undefined : placeIn(parity, key, channel))
        if (place !== undefined) return place
      }
      return undefined
    },
    add(key, channel, stream, offset, id) {
      count++
      if (typeof key !== 'string' && id === undefined && compare(key, max) > 0) {
        const one = { key, channel, stream, offset }
        const at = slot(key)
        const next = waiting[at]
        // The same key in another channel gets a row of its own: in runs every key is there once.
        if (next === undefined || compare(next.key, key) !== 0) {
          waiting.splice(at, 0, one)
          return
        }
      }
      singles++
      // Replaced: a row that was found but pointed to nowhere.
      const sql = `INSERT OR REPLACE INTO keys_${generation & 1} VALUES (?, ?, ?, ?, ?)`
      statements.of(sql).run(typeof key === 'string' ? key : bytesOf(key), channel, stream, offset, id ?? null)
      if (typeof key === 'string' || compare(key, max) <= 0) return
      // No longer above all: what waits below it must be in a row before it counts.
      this.flush()
      raise(key)
    },
    begin(wallMs) {
      before = { generation, since, count, singles, max }
      if (wallMs !== undefined) turn(wallMs)
    },
    flush() {
      for (let from = 0; from < waiting.length; from += RUN) {
        const most = Math.min(RUN, waiting.length - from)
        for (let index = 0; index < most; index++) {
          const { key, stream, offset } = waiting[from + index] as Waiting
          writeUuid(entries, index * ENTRY, key)
          entries.writeUInt32LE(stream, index * ENTRY + 16)
          entries.writeDoubleLE(offset, index * ENTRY + 20)
        }
        statements
          .of(`INSERT INTO runs_${generation & 1} VALUES (?, ?)`)
          .run(entries.subarray(0, 16), entries.subarray(0, most * ENTRY))
      }
      const last = waiting.at(-1)
      if (last !== undefined) raise(last.key)
      waiting.length = 0
    },
    undo() {
      ;({ generation, since, count, singles, max } = before)
      waiting.length = 0
    },
    load() {
      const rows = statements.rows('SELECT name, value FROM meta').all() as readonly [string, number][]
      for (const [name, value] of rows) {
        if (name === 'generation') generation = value
        if (name === 'since') since = value
      }
      measure()
    },
  }
}

/** Set to 16 or more by {@link hex} when it meets what is no digit. */
let wrong = 0

/** Hex digits, at most 8, as one number. */
function hex(bytes: Buffer, from: number, digits: number): number {
  let value = 0
  for (let at = from; at < from + digits; at++) {
    const digit = HEX[bytes[at] as number] as number
    wrong |= digit
    value = (value << 4) | digit
  }
  return value >>> 0
}
