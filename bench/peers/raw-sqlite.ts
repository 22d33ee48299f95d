import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { timed } from '../harness/clock.ts'
import { dataOf, mustBe } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'

/** The least that could keep messages: JSON text into one table, so many in a transaction, WAL, synchronous FULL, in this thread. */
export function rawInserts(total: number, batch: number): Contestant {
  return {
    name: `raw inserts, ${batch} a commit`,
    kind: 'limit',
    open(scale) {
      const count = scale.count(total)
      const folder = mkdtempSync(join(tmpdir(), 'bench-raw-'))
      const database = new DatabaseSync(join(folder, 'raw.db'))
      database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL')
      database.exec('CREATE TABLE entries (offset INTEGER PRIMARY KEY, body TEXT NOT NULL)')
      const insert = database.prepare('INSERT INTO entries (body) VALUES (?)')
      return {
        async pass() {
          const pass = await timed(count, async () => {
            for (let id = 0; id < count; ) {
              database.exec('BEGIN')
              for (let end = Math.min(count, id + batch); id < end; id++) insert.run(JSON.stringify(dataOf(id)))
              database.exec('COMMIT')
            }
          })
          const row = database.prepare('SELECT count(*) AS kept FROM entries').get() as { kept: number }
          mustBe('kept rows', row.kept, count)
          database.exec('DELETE FROM entries')
          return pass
        },
        close() {
          database.close()
          rmSync(folder, { recursive: true })
        },
      }
    },
  }
}
