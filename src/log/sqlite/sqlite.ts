import { type LogOptions, logOver } from '../front.ts'
import type { MessageLog } from '../log.ts'
import { type SqliteOptions, sqliteStore } from './store.ts'

/** How a log in a SQLite file behaves. */
export interface SqliteLogOptions extends SqliteOptions, Omit<LogOptions, 'env'> {}

/**
 * Opens a log in one SQLite file (with a few companions beside it: `FILE-wal`, `-mark`, `-lock`, `-owner`, `-reserve`). What `append`
 * has answered survives power loss (level `disk`); with `synchronous: "NORMAL"` only the death of the process (level `process`).
 * Throws INVALID_OPTION, STORE_LOCKED naming the process that holds the file, STORE_FAILED, SCHEMA_TOO_NEW, and DATA_LOSS when the file
 * lacks what was acknowledged (unless `acceptLoss`).
 */
export async function sqliteLog(file: string, options: SqliteLogOptions = {}): Promise<MessageLog> {
  const { tailCount, tailBytes, onDamage, ...kept } = options
  const store = sqliteStore(file, kept)
  return logOver(store, {
    ...(kept.env === undefined ? {} : { env: kept.env }),
    ...(tailCount === undefined ? {} : { tailCount }),
    ...(tailBytes === undefined ? {} : { tailBytes }),
    ...(onDamage === undefined ? {} : { onDamage }),
  })
}
