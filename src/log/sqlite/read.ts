import { BusError } from '../../kit/errors.ts'
import type { Core } from './core.ts'
import { kindOf } from './faults.ts'
import { COLUMNS, KIND_DAMAGED, KIND_LOST, type Records, type Row, recordsIn, writeBad, writeRow } from './layout.ts'
import type { Answers } from './protocol.ts'
import type { StreamState } from './streams.ts'

/** A page ends behind the entry with which it has so many bytes: what the other side decodes at once. */
const PAGE_BYTES = 262_144
/** Rows that are fetched at once: they may be large. */
const ROWS = 64

/** The reading half of the thread. All of it trusts nothing that does not fit its checksum. */
export interface Reader {
  page(stream: string, from: number, most: number): Answers['page']
  expired(stream: string, from: number, wallMs: number, most: number): readonly number[]
  since(stream: string, wallMs: number): number
  newest(stream: string, bytes: number): number
}

/** Up to `most` rows of a stream from an offset on. Where a page of the database cannot be read, the offset alone is given. */
export function rowsFrom(
  core: Pick<Core, 'statements'>,
  stream: StreamState,
  from: number,
  most: number,
): readonly Row[] {
  const sql = `SELECT ${COLUMNS} FROM e_${stream.n} WHERE offset >= ? AND offset < ? ORDER BY offset LIMIT ?`
  try {
    const rows = core.statements.rows(sql).all(from, stream.next, most)
    // A damaged tree may hand out rows in any order: then each one is looked for.
    if (ascend(rows, from)) return rows
    throw new BusError('STORE_FAILED', `the rows of stream "${stream.name}" are out of order`)
  } catch (error) {
    if (kindOf(error) === 'io') throw error
    const one = `SELECT ${COLUMNS} FROM e_${stream.n} WHERE offset = ?`
    const rows: Row[] = []
    for (let offset = from; offset < stream.next && offset < from + most; offset++) {
      try {
        const row = core.statements.rows(one).all(offset)[0]
        if (row?.[0] === offset) rows.push(row)
      } catch (inner) {
        if (kindOf(inner) === 'io') throw inner
        rows.push([offset])
      }
    }
    // So that the caller goes on behind what was looked at.
    if (rows.length === 0 && from + most < stream.next) rows.push([from + most - 1])
    return rows
  }
}

function ascend(rows: readonly Row[], from: number): boolean {
  let least = from
  for (const row of rows) {
    const offset = row[0]
    if (typeof offset !== 'number' || offset < least) return false
    least = offset + 1
  }
  return true
}

/** The reader over a loaded core. */
export function makeReader(core: Core): Reader {
  const { statements, streams } = core

  /** A row of the first entry at or behind an offset. */
  function firstFrom(stream: StreamState, columns: string, offset: number): Record<string, number> | undefined {
    const sql = `SELECT offset, ${columns} FROM e_${stream.n} WHERE offset >= ? ORDER BY offset LIMIT 1`
    return statements.of(sql).get(offset) as Record<string, number> | undefined
  }

  /** The first offset whose row fits; the rows must not fit up to some offset, and fit from there on. */
  function search(stream: StreamState, columns: string, fits: (row: Record<string, number>) => boolean): number {
    let low = stream.first
    let high = stream.next
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = firstFrom(stream, columns, middle)
      if (row === undefined || (row.offset as number) >= high || fits(row)) high = middle
      else low = (row.offset as number) + 1
    }
    return low
  }

  return {
    page(name, from, most) {
      const stream = streams.all.get(name)
      let records: Records = recordsIn(new ArrayBuffer(65_536))
      let end = 0
      let count = 0
      if (stream === undefined) return { buffer: records.bytes.buffer as ArrayBuffer, count }
      let expected = Math.max(from, stream.first)
      const bad = (offset: number, kind: typeof KIND_DAMAGED | typeof KIND_LOST): void => {
        ;({ records, end } = writeBad(records, end, offset, kind))
        count++
        expected = offset + 1
      }
      while (count < most && end < PAGE_BYTES && expected < stream.next) {
        const rows = rowsFrom(core, stream, expected, Math.min(ROWS, most - count))
        for (const row of rows) {
          const offset = row[0] as number
          while (expected < offset && count < most && end < PAGE_BYTES) bad(expected, KIND_LOST)
          if (count >= most || end >= PAGE_BYTES) break
          const written = writeRow(records, end, row)
          records = written.records
          if (written.end === end) bad(offset, KIND_DAMAGED)
          else {
            end = written.end
            count++
            expected = offset + 1
          }
        }
        if (rows.length > 0) continue
        while (expected < stream.next && count < most && end < PAGE_BYTES) bad(expected, KIND_LOST)
      }
      return { buffer: records.bytes.buffer as ArrayBuffer, count }
    },
    expired(name, from, wallMs, most) {
      const stream = streams.all.get(name)
      if (stream === undefined) return []
      const sql = `SELECT offset FROM e_${stream.n} WHERE expires_at <= ? AND offset >= ? AND offset < ? ORDER BY offset LIMIT ?`
      const least = Math.max(from, stream.first)
      return statements
        .rows(sql)
        .all(wallMs, least, stream.next, most)
        .map((row) => row[0] as number)
    },
    since(name, wallMs) {
      const stream = streams.all.get(name)
      return stream === undefined ? 1 : search(stream, 'stored_at', (row) => (row.stored_at as number) >= wallMs)
    },
    newest(name, bytes) {
      const stream = streams.all.get(name)
      if (stream === undefined) return 1
      // The bytes of an entry and all behind it are the total of the stream less the total before it.
      const size = 'total - length(body) - coalesce(length(note), 0) AS earlier'
      return search(stream, size, (row) => stream.total - (row.earlier as number) <= bytes)
    },
  }
}
