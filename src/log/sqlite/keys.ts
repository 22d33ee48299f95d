import type { DatabaseSync } from 'node:sqlite'
import { KEY_COLUMNS } from './schema.ts'
import type { Statements } from './statements.ts'

// Hot path. Keys of the duplicate window lie in two generations: new ones go to the current one; when that is `dedupMs` old, or full,
// the older one is dropped and takes its place. So a key is known for at least one window (or `dedupLimit` keys), at most two.
//
// Nearly every key is a UUIDv7 that is larger than all before it: such a key cannot be a repeat, and is not searched for.

/** Where the first message of a key lies. `id` is the key itself when undefined. */
export interface KeyPlace {
  readonly stream: number
  readonly offset: number
  readonly id: string | undefined
}

/** A key in the form in which it is stored: 16 bytes for a UUID, else text. Valid until the next one is read. */
export type Key = Uint8Array | string

/** The keys of the duplicate window. */
export interface Keys {
  /** Reads the UUID that lies at `at`; as text when it is none. */
  read(bytes: Buffer, at: number, length: number): Key
  /** Where the key was stored first, within its channel. */
  find(key: Key, channel: number): KeyPlace | undefined
  /** Remembers a key that {@link Keys.find} did not find. `id` unless the key is the id. */
  add(key: Key, channel: number, stream: number, offset: number, id: string | undefined): void
  /** Starts a new generation when the window says so. */
  turn(wallMs: number): void
  /** Before a transaction, so that {@link Keys.undo} can go back. */
  begin(): void
  undo(): void
  load(): void
}

const HEX = new Uint8Array(128).fill(255)
for (let digit = 0; digit < 16; digit++) HEX[digit.toString(16).charCodeAt(0)] = digit

/** Keeps keys for `dedupMs`, at most `dedupLimit` in each generation. */
export function keepKeys(database: DatabaseSync, statements: Statements, dedupMs: number, dedupLimit: number): Keys {
  const scratch = Buffer.alloc(16)
  let generation = 0
  let since = 0
  /** Keys in the current generation, and in the older one. */
  let count = 0
  let older = 0
  // The largest UUID of both generations, as four numbers; -1: none.
  let [max0, max1, max2, max3] = [-1, 0, 0, 0]
  let before = { generation, since, count, older }

  function isAbove(): boolean {
    const one = scratch.readUInt32BE(0)
    if (one !== max0) return one > max0
    const two = scratch.readUInt32BE(4)
    if (two !== max1) return two > max1
    const three = scratch.readUInt32BE(8)
    if (three !== max2) return three > max2
    return scratch.readUInt32BE(12) > max3
  }
  function raise(bytes: Buffer): void {
    max0 = bytes.readUInt32BE(0)
    max1 = bytes.readUInt32BE(4)
    max2 = bytes.readUInt32BE(8)
    max3 = bytes.readUInt32BE(12)
  }
  function findIn(parity: number, key: Key, channel: number): KeyPlace | undefined {
    const sql = `SELECT stream, offset, id FROM keys_${parity} WHERE key = ? AND channel = ?`
    const row = statements.of(sql).get(key, channel)
    if (row === undefined) return undefined
    const { stream, offset, id } = row as { stream: number; offset: number; id: string | null }
    return { stream, offset, id: id ?? undefined }
  }
  function measure(): void {
    max0 = -1
    max1 = max2 = max3 = 0
    for (const parity of [0, 1]) {
      // Bytes sort behind texts, so the largest key is a UUID if there is one.
      const row = statements.of(`SELECT max(key) AS key FROM keys_${parity}`).get() as { key: unknown }
      if (!(row.key instanceof Uint8Array) || row.key.length !== 16) continue
      scratch.set(row.key)
      if (isAbove()) raise(scratch)
    }
  }
  function sizeOf(parity: number): number {
    return (statements.of(`SELECT count(*) AS size FROM keys_${parity}`).get() as { size: number }).size
  }

  return {
    read(bytes, at, length) {
      if (length !== 36) return bytes.toString('utf8', at, at + length)
      let from = at
      for (let index = 0; index < 16; index++) {
        if (index === 4 || index === 6 || index === 8 || index === 10) {
          if (bytes[from++] !== 45) return bytes.toString('utf8', at, at + length)
        }
        const high = HEX[bytes[from++] as number] as number
        const low = HEX[bytes[from++] as number] as number
        if (!(high < 16 && low < 16)) return bytes.toString('utf8', at, at + length)
        scratch[index] = (high << 4) | low
      }
      return scratch
    },
    find(key, channel) {
      if (key === scratch && isAbove()) return undefined
      return (
        (count > 0 ? findIn(generation & 1, key, channel) : undefined) ??
        (older > 0 ? findIn(1 - (generation & 1), key, channel) : undefined)
      )
    },
    add(key, channel, stream, offset, id) {
      // Replaced: a row that was found but pointed to nowhere.
      const sql = `INSERT OR REPLACE INTO keys_${generation & 1} VALUES (?, ?, ?, ?, ?)`
      statements.of(sql).run(key, channel, stream, offset, id ?? null)
      count++
      // Raised even if the transaction is undone: a maximum that is too high only costs a search.
      if (key === scratch && isAbove()) raise(scratch)
    },
    turn(wallMs) {
      if (since === 0) {
        since = wallMs
        statements.of("UPDATE meta SET value = ? WHERE name = 'since'").run(since)
      }
      if (count === 0 || (count < dedupLimit && wallMs - since < dedupMs)) return
      generation++
      const parity = generation & 1
      database.exec(`DROP TABLE keys_${parity}; CREATE TABLE keys_${parity} (${KEY_COLUMNS}) WITHOUT ROWID`)
      since = wallMs
      older = count
      count = 0
      statements.of("UPDATE meta SET value = ? WHERE name = 'generation'").run(generation)
      statements.of("UPDATE meta SET value = ? WHERE name = 'since'").run(since)
      measure()
    },
    begin() {
      before = { generation, since, count, older }
    },
    undo() {
      ;({ generation, since, count, older } = before)
      measure()
    },
    load() {
      const rows = statements.rows('SELECT name, value FROM meta').all() as readonly [string, number][]
      for (const [name, value] of rows) {
        if (name === 'generation') generation = value
        if (name === 'since') since = value
      }
      count = sizeOf(generation & 1)
      older = sizeOf(1 - (generation & 1))
      measure()
    },
  }
}
