import { checksumAt, HEAD, NO_NOTE, NO_TIME, PREFIX, type Records } from './layout.ts'
import type { Statements } from './statements.ts'
import type { StreamState } from './streams.ts'

// Hot path: entries go into their tables several at a time, which takes two thirds of the time of one by one.

const COLUMNS = 8
/** Rows of one statement, largest first; what is left goes with the smaller ones. */
const SIZES = [16, 4, 1] as const

type Value = number | Uint8Array | null

/** Rows that wait to be inserted. */
export interface Inserts {
  /** The record at `at`, whose offset and total are set already. The buffer must stay as it is until {@link Inserts.flush}. */
  add(records: Records, at: number, stream: StreamState): void
  flush(): void
  /** Forgets what was not flushed. */
  clear(): void
}

/** Inserts into the tables of streams. */
export function makeInserts(statements: Statements): Inserts {
  const waiting = new Map<StreamState, Value[]>()
  const tuple = '(?, ?, ?, ?, ?, ?, ?, ?)'

  function insert(stream: StreamState, values: readonly Value[], from: number, rows: number): void {
    const sql = `INSERT INTO e_${stream.n} VALUES ${tuple}${`, ${tuple}`.repeat(rows - 1)}`
    const all = from === 0 && values.length === rows * COLUMNS
    statements.of(sql).run(...(all ? values : values.slice(from, from + rows * COLUMNS)))
  }
  return {
    add(records, at, stream) {
      const { bytes, words, numbers } = records
      const word = at >> 2
      const number = (at + PREFIX) >> 3
      const noteWord = words[word + 14] as number
      const bodyAt = at + HEAD + (noteWord === NO_NOTE ? 0 : noteWord)
      const dueAt = numbers[number + 3] as number
      const expiresAt = numbers[number + 4] as number
      let values = waiting.get(stream)
      if (values === undefined) waiting.set(stream, (values = []))
      values.push(
        numbers[number] as number,
        numbers[number + 1] as number,
        numbers[number + 2] as number,
        dueAt === NO_TIME ? null : dueAt,
        expiresAt === NO_TIME ? null : expiresAt,
        noteWord === NO_NOTE ? null : bytes.subarray(at + HEAD, bodyAt),
        checksumAt(records, at),
        bytes.subarray(bodyAt, bodyAt + (words[word + 15] as number)),
      )
      if (values.length < SIZES[0] * COLUMNS) return
      insert(stream, values, 0, SIZES[0])
      values.length = 0
    },
    flush() {
      for (const [stream, values] of waiting) {
        let from = 0
        for (const rows of SIZES) {
          for (; values.length - from >= rows * COLUMNS; from += rows * COLUMNS) insert(stream, values, from, rows)
        }
      }
      waiting.clear()
    },
    clear: () => waiting.clear(),
  }
}
