import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Prepared statements by their text. */
export interface Statements {
  /** Rows come as objects. */
  of(sql: string): StatementSync
  /** Rows come as lists, which is three times as fast. */
  rows(sql: string): {
    all(...values: readonly (number | string | Uint8Array | null)[]): readonly (readonly unknown[])[]
  }
  clear(): void
}

/** Keeps at least the `most` statements used last, and at most twice as many. */
export function keepStatements(database: DatabaseSync, most: number): Statements {
  // Two generations: what is used comes to the young one, and when that is full the old one goes. A hit costs one look.
  let young = new Map<string, StatementSync>()
  let old = new Map<string, StatementSync>()

  function fetch(name: string, sql: string, asLists: boolean): StatementSync {
    let statement = old.get(name)
    if (statement === undefined) {
      statement = database.prepare(sql)
      if (asLists) statement.setReturnArrays(true)
    }
    if (young.size >= most) {
      old = young
      young = new Map()
    }
    young.set(name, statement)
    return statement
  }
  return {
    of: (sql) => young.get(sql) ?? fetch(sql, sql, false),
    rows(sql) {
      const name = `[]${sql}`
      return (young.get(name) ?? fetch(name, sql, true)) as unknown as ReturnType<Statements['rows']>
    },
    clear() {
      young.clear()
      old.clear()
    },
  }
}
