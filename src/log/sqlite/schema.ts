import type { DatabaseSync } from 'node:sqlite'
import { BusError } from '../../kit/errors.ts'

/** Marks a database as one of swarmbus: the letters `SwBu`. */
export const APPLICATION_ID = 0x5377_4275

/** One step from a version to the next one; runs inside a transaction. */
export type Migration = (database: DatabaseSync) => void

/**
 * The step at index `n` leads from version `n` to `n + 1`. Version 0 is a database that has been claimed but holds nothing.
 *
 * A stream's entries lie in a table of their own, `e_<n>`, which is made with the stream. `total` is the sum of the bytes of all
 * entries up to this one, so that retention by size is a search and not a walk. Rows that say what is settled carry checksums too,
 * for a flipped bit there would lose a message silently.
 */
export const MIGRATIONS: readonly Migration[] = [
  (database) =>
    database.exec(`
      CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
      INSERT INTO meta VALUES ('clean', 1), ('generation', 0), ('since', 0);
      CREATE TABLE streams (
        n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, channel INTEGER NOT NULL, next INTEGER NOT NULL,
        first INTEGER NOT NULL, total INTEGER NOT NULL, base INTEGER NOT NULL, newest_at INTEGER NOT NULL,
        groups INTEGER NOT NULL, crc INTEGER NOT NULL
      );
      CREATE TABLE gaps (
        stream INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (stream, first)
      ) WITHOUT ROWID;
      CREATE TABLE groups (
        n INTEGER PRIMARY KEY, stream INTEGER NOT NULL, name TEXT NOT NULL, start INTEGER NOT NULL,
        position INTEGER NOT NULL, acked INTEGER NOT NULL, dead INTEGER NOT NULL, expired INTEGER NOT NULL,
        dropped INTEGER NOT NULL, skipped INTEGER NOT NULL, begun BLOB, opened INTEGER NOT NULL, crc INTEGER NOT NULL,
        UNIQUE (stream, name)
      );
      CREATE TABLE done (
        owner INTEGER NOT NULL, offset INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (owner, offset)
      ) WITHOUT ROWID;
      CREATE TABLE open (
        owner INTEGER NOT NULL, offset INTEGER NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER,
        delay_ms INTEGER NOT NULL, held INTEGER NOT NULL,
        note BLOB, crc INTEGER NOT NULL, PRIMARY KEY (owner, offset)
      ) WITHOUT ROWID;
      ${[...keyTables(0), ...keyTables(1)].map(({ sql }) => sql).join('; ')};
    `),
]

/** The tables of a generation of keys: see `keys.ts`. `id` is NULL when it is the key itself. */
export function keyTables(parity: number): readonly { readonly name: string; readonly sql: string }[] {
  const [keys, runs] = [`keys_${parity}`, `runs_${parity}`]
  return [
    {
      name: keys,
      sql: `CREATE TABLE ${keys} (
        key NOT NULL, channel INTEGER NOT NULL, stream INTEGER NOT NULL, offset INTEGER NOT NULL, id TEXT,
        PRIMARY KEY (key, channel)
      ) WITHOUT ROWID`,
    },
    { name: runs, sql: `CREATE TABLE ${runs} (low BLOB PRIMARY KEY, entries BLOB NOT NULL) WITHOUT ROWID` },
  ]
}

/** The table of a stream's entries. */
export function entryTable(n: number): string {
  return `CREATE TABLE e_${n} (
    offset INTEGER PRIMARY KEY, total INTEGER NOT NULL, stored_at INTEGER NOT NULL, due_at INTEGER, expires_at INTEGER,
    note BLOB, crc INTEGER NOT NULL, body BLOB NOT NULL
  );
  CREATE INDEX x_${n} ON e_${n} (expires_at) WHERE expires_at IS NOT NULL`
}

function pragma(database: DatabaseSync, name: string): number {
  const row = database.prepare(`PRAGMA ${name}`).get() as Record<string, unknown>
  return Number(row[name])
}

/**
 * Throws STORE_FAILED for a database of another program, SCHEMA_TOO_NEW for one of a later version. Changes nothing. Gives back the
 * version; undefined for a database that holds nothing yet.
 */
export function checkVersion(
  database: DatabaseSync,
  file: string,
  newest: number = MIGRATIONS.length,
): number | undefined {
  const owner = pragma(database, 'application_id')
  const version = pragma(database, 'user_version')
  const { tables } = database.prepare('SELECT count(*) AS tables FROM sqlite_master').get() as { tables: number }
  if (owner === 0 && version === 0 && tables === 0) return undefined
  if (owner !== APPLICATION_ID) {
    throw new BusError(
      'STORE_FAILED',
      `${file} is a database of another program; it was left as it is. Use another file`,
      {
        details: { file, applicationId: owner },
      },
    )
  }
  if (version > newest) {
    const text = `${file} has version ${version} of the form; this swarmbus knows versions up to ${newest}`
    throw new BusError('SCHEMA_TOO_NEW', text, { details: { file, version, newest } })
  }
  return version
}

/** Brings the database to the newest version, each step in a transaction of its own. Does nothing when it is there. */
export function migrate(database: DatabaseSync, file: string, migrations: readonly Migration[] = MIGRATIONS): void {
  const found = checkVersion(database, file, migrations.length)
  for (let version = found ?? 0; version < migrations.length; version++) {
    database.exec('BEGIN IMMEDIATE')
    try {
      migrations[version]?.(database)
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version + 1}; COMMIT`)
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }
}
