import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Prepared statements by their text; the ones used longest ago are let go. */
export interface Statements {
  /** Rows come as objects. */
  of(sql: string): StatementSync
  /** Rows come as lists, which is three times as fast. */
  rows(sql: string): {
    all(...values: readonly (number | string | Uint8Array | null)[]): readonly (readonly unknown[])[]
  }
  clear(): void
}

/** Keeps at most `most` statements. */
export function keepStatements(database: DatabaseSync, most: number): Statements {
  const kept = new Map<string, StatementSync>()

  function find(sql: string, asLists: boolean): StatementSync {
    const name = asLists ? `[]${sql}` : sql
    let statement = kept.get(name)
    if (statement === undefined) {
      statement = database.prepare(sql)
      if (asLists) statement.setReturnArrays(true)
      if (kept.size >= most) kept.delete(kept.keys().next().value as string)
    } else kept.delete(name)
    // A map keeps the order of insertion: the first name is the one used longest ago.
    kept.set(name, statement)
    return statement
  }
  return {
    of: (sql) => find(sql, false),
    rows: (sql) => find(sql, true) as unknown as ReturnType<Statements['rows']>,
    clear: () => kept.clear(),
  }
}
