import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { threadId } from 'node:worker_threads'
import { BusError, describeThrown } from '../kit/errors.ts'

// All SQL of the leases. It blocks, so it runs in `sqlite-thread.ts`.

/** "swLs": tells a file of leases from any other SQLite file. */
const APPLICATION_ID = 0x73774c73
const SCHEMA_VERSION = 1
/** The low byte of SQLite's extended codes. */
const SQLITE_BUSY = 5

const SCHEMA = `
  CREATE TABLE machine (one INTEGER PRIMARY KEY CHECK (one = 1), token INTEGER NOT NULL, boot TEXT NOT NULL, seen REAL NOT NULL) STRICT;
  CREATE TABLE leases (name TEXT PRIMARY KEY, token INTEGER NOT NULL, due REAL NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO machine VALUES (1, 0, '', 0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/** The clock of the machine, and when it began to count. */
export interface MachineClock {
  /** Monotonic milliseconds, the same in every process of the machine. */
  nowMs(): number
  /** Differs after every start of the machine; empty where the system tells none. */
  readonly boot: string
}

/** A file of leases, opened by one thread. Every call is one transaction and blocks; all throw STORE_FAILED. */
export interface SqliteTable {
  /** The new token; undefined when somebody holds the name. */
  take(name: string, ttlMs: number): number | undefined
  extend(name: string, token: number, ttlMs: number): boolean
  drop(name: string, token: number): boolean
  owner(name: string): number | undefined
  close(): void
}

/** A failure of the file. `details.busy` is true when another process held it all the time that was waited for. */
export function storeFailed(file: string, doing: string, cause: unknown): BusError {
  const busy = ((cause as { errcode?: number } | null)?.errcode ?? 0) % 256 === SQLITE_BUSY
  return new BusError('STORE_FAILED', `the lease file ${file} could not be ${doing}: ${describeThrown(cause)}`, {
    cause,
    details: { file, busy },
  })
}

/**
 * Opens the file, making it (0600) and its folder (0700) where they are missing. Throws STORE_FAILED, also for a file that is not one of
 * leases, which stays as it is; SCHEMA_TOO_NEW.
 */
export function openSqliteTable(file: string, clock: MachineClock, busyTimeoutMs: number): SqliteTable {
  let db: DatabaseSync | undefined
  try {
    if (!existsSync(file)) make(file)
    db = new DatabaseSync(file, { timeout: busyTimeoutMs })
    prepare(db, file)
    return tableOf(db, file, clock)
  } catch (error) {
    if (db?.isOpen) db.close()
    throw error instanceof BusError ? error : storeFailed(file, 'opened', error)
  }
}

/** Makes an empty file for this user alone; SQLite would make it 0644. Its journals get the rights of the file. */
function make(file: string): void {
  const folder = dirname(file)
  const top = mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Under another name first: closing a file ends all locks that this process has on it, also those of another thread's connection.
  const draft = `${file}.${process.pid}-${threadId}.new`
  closeSync(openSync(draft, 'w', 0o600))
  try {
    linkSync(draft, file)
  } catch (error) {
    // Somebody else was first.
    if (!existsSync(file)) throw error
  } finally {
    unlinkSync(draft)
  }
  // A power cut that took the file away again would begin the tokens anew.
  const last = top === undefined ? folder : dirname(top)
  for (let at = folder; ; at = dirname(at)) {
    syncFolder(at)
    if (at === last || at === dirname(at)) return
  }
}

function syncFolder(folder: string): void {
  // Windows opens no folders, and its file system needs it not.
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Reads what the file is before anything is written to it. */
function prepare(db: DatabaseSync, file: string): void {
  const fresh = kindOf(db, file) === 'empty'
  const { journal_mode: mode } = db.prepare('PRAGMA journal_mode = WAL').get() as { journal_mode: string }
  if (mode !== 'wal') throw new Error(`its file system allows no write-ahead log, only "${mode}"`)
  if (!fresh) return
  db.exec('BEGIN IMMEDIATE')
  // Another process may have been first.
  if (kindOf(db, file) === 'empty') db.exec(SCHEMA)
  db.exec('COMMIT')
}

function kindOf(db: DatabaseSync, file: string): 'empty' | 'ours' {
  const found = db
    .prepare(
      `SELECT (SELECT application_id FROM pragma_application_id) AS id, (SELECT user_version FROM pragma_user_version) AS version,
        (SELECT count(*) FROM sqlite_schema) AS tables`,
    )
    .get() as { id: number; version: number; tables: number }
  if (found.id === 0 && found.version === 0 && found.tables === 0) return 'empty'
  if (found.id !== APPLICATION_ID) throw storeFailed(file, 'used', new Error('it belongs to another program'))
  if (found.version > SCHEMA_VERSION) {
    throw new BusError('SCHEMA_TOO_NEW', `the lease file ${file} has version ${found.version}`, {
      details: { file, version: found.version, known: SCHEMA_VERSION },
    })
  }
  return 'ours'
}

interface Row {
  readonly last: number
  readonly boot: string
  readonly seen: number
  /** Of the name that was asked for; null when nobody took it. */
  readonly token: number | null
  readonly due: number | null
}

/** What is true at one moment. */
interface Found {
  readonly nowMs: number
  /** The newest token of all names. */
  readonly last: number
  /** The token of the present owner of the name. */
  readonly owner: number | undefined
  /** False when the machine was started anew since: nothing that is written is held. */
  readonly sameRun: boolean
}

function tableOf(db: DatabaseSync, file: string, clock: MachineClock): SqliteTable {
  const sql = {
    row: db.prepare(
      'SELECT m.token AS last, m.boot, m.seen, l.token, l.due FROM machine AS m LEFT JOIN leases AS l ON l.name = ?',
    ),
    note: db.prepare('UPDATE machine SET token = ?, boot = ?, seen = ?'),
    void: db.prepare('DELETE FROM leases'),
    expire: db.prepare('DELETE FROM leases WHERE due <= ?'),
    take: db.prepare('INSERT INTO leases (name, token, due) VALUES (?, ?, ?)'),
    extend: db.prepare('UPDATE leases SET due = ? WHERE name = ?'),
    drop: db.prepare('DELETE FROM leases WHERE name = ?'),
  }

  function look(name: string): Found {
    const row = sql.row.get(name) as Row | undefined
    if (row === undefined) throw new Error('the row of the machine is missing')
    // After the reading: what is called held has not run out by then.
    const nowMs = clock.nowMs()
    // Where the start has no name, a clock behind the last one seen tells of a new one. One that has passed that again does not; then
    // leases of before count for what they had left, which delays the next owner and never makes two.
    const sameRun = row.boot === clock.boot && (row.boot !== '' || row.seen <= nowMs)
    const held = row.token !== null && row.due !== null && nowMs < row.due && sameRun
    return { nowMs, last: row.last, owner: held ? (row.token ?? undefined) : undefined, sameRun }
  }

  function attempt<T>(doing: string, run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw storeFailed(file, doing, error)
    }
  }

  /** One write transaction. `run` gets what is true inside of it, however long the file was waited for. */
  function write<T>(name: string, run: (found: Found) => { readonly result: T; readonly last?: number }): T {
    return attempt('written', () => {
      db.exec('BEGIN IMMEDIATE')
      try {
        const found = look(name)
        if (found.sameRun) sql.expire.run(found.nowMs)
        else sql.void.run()
        const { result, last = found.last } = run(found)
        sql.note.run(last, clock.boot, found.nowMs)
        db.exec('COMMIT')
        return result
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK')
        throw error
      }
    })
  }

  const owner = (name: string): number | undefined => attempt('read', () => look(name).owner)
  const sync = (level: 'FULL' | 'NORMAL'): void => attempt('written', () => db.exec(`PRAGMA synchronous = ${level}`))

  return {
    owner,

    take(name, ttlMs) {
      // Most of those who wait ask in vain: reading disturbs nobody.
      if (owner(name) !== undefined) return undefined
      // A token must outlive a power cut. A renewal need not: after the cut all leases are void.
      sync('FULL')
      try {
        return write(name, ({ nowMs, last, owner: other }) => {
          if (other !== undefined) return { result: undefined }
          sql.take.run(name, last + 1, nowMs + ttlMs)
          return { result: last + 1, last: last + 1 }
        })
      } finally {
        sync('NORMAL')
      }
    },

    extend: (name, token, ttlMs) =>
      write(name, ({ nowMs, owner: present }) => {
        if (present === token) sql.extend.run(nowMs + ttlMs, name)
        return { result: present === token }
      }),

    drop: (name, token) =>
      write(name, ({ owner: present }) => {
        if (present === token) sql.drop.run(name)
        return { result: present === token }
      }),

    close: () => attempt('closed', () => db.close()),
  }
}
