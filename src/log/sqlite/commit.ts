import { BusError } from '../../kit/errors.ts'
import type { Core } from './core.ts'
import { kindOf } from './faults.ts'
import { makeInserts } from './inserts.ts'
import { type Key, type KeyPlace, textOfKey } from './keys.ts'
import {
  COLUMNS,
  grown,
  HEAD,
  ID_AT,
  ID_LENGTH,
  KEY_IS_ID,
  KEY_NONE,
  KEY_TEXT,
  NO_NOTE,
  NO_TIME,
  PREFIX,
  padded,
  REPEATED,
  type Records,
  recordsIn,
  writeRow,
} from './layout.ts'
import type { Answers, CopyRecord, Place, Step } from './protocol.ts'
import type { StreamState } from './streams.ts'

// Hot path: a whole commit in one transaction.

/** The id that stands at the start of an encoded message. */
export function idIn(bytes: Buffer, at: number): string {
  return bytes.toString('latin1', at + ID_AT, at + ID_AT + ID_LENGTH)
}

/** Where an append went, or where its first one had gone. */
type Put = Omit<Place, 'bytes'>

/** The writing half of the thread. */
export interface Writer {
  /**
   * All steps in one transaction, kept and marked when it returns. Throws what SQLite throws, with nothing kept; PUBLISH_UNKNOWN when
   * the disk failed in the very moment of the commit and what it holds could not be made void.
   */
  commit(buffer: ArrayBuffer, names: readonly string[], steps: readonly Step[]): Answers['commit']
  /** Runs `change` in a transaction of its own. */
  transact(change: () => void): void
  /** What the mark could not be written for: what was answered is kept, but nothing more must be taken. */
  broken(): unknown
  /** Streams that were trimmed, whose rows must still be removed. */
  readonly trimmed: Set<StreamState>
}

/** The writer over a loaded core. */
export function makeWriter(core: Core): Writer {
  const { database, statements, streams, members, keys, mark, failpoint } = core
  const trimmed = new Set<StreamState>()
  const inserts = makeInserts(statements)
  let broken: unknown
  let copied = recordsIn(new ArrayBuffer(4_096))
  const note = (stream: StreamState): void => mark.note(stream.name, stream.next)

  /** Stores the record at `at` in the stream, unless it is a repeat. */
  function put(records: Records, at: number, stream: StreamState): Put | undefined {
    const { bytes, words, numbers } = records
    const word = at >> 2
    const noteWord = words[word + 14] as number
    const noteBytes = noteWord === NO_NOTE ? 0 : noteWord
    const bodyBytes = words[word + 15] as number
    const bodyAt = at + HEAD + noteBytes
    const end = bodyAt + bodyBytes
    const number = (at + PREFIX) >> 3
    const storedAt = numbers[number + 2] as number
    const keyKind = words[word + 2] as number
    if (keyKind !== KEY_NONE) {
      const isId = keyKind === KEY_IS_ID
      const key = isId ? keys.read(bytes, bodyAt + ID_AT, ID_LENGTH) : keys.read(bytes, end, words[word + 3] as number)
      const place = keys.find(key, stream.channel)
      const first = place === undefined ? undefined : repeatOf(core, place, key, storedAt)
      if (first !== undefined) return first
      keys.add(key, stream.channel, stream.n, stream.next, isId ? undefined : idIn(bytes, bodyAt))
    }
    const offset = stream.next++
    stream.total += bodyBytes + noteBytes
    numbers[number] = offset
    numbers[number + 1] = stream.total
    if (storedAt > stream.newestAt) stream.newestAt = storedAt
    inserts.add(records, at, stream)
    return undefined
  }

  function putAll(records: Records, from: number, count: number, opened: StreamState[], repeats: Place[]): number {
    const { words, numbers } = records
    let at = from
    for (let index = 0; index < count; index++) {
      const word = at >> 2
      const size = words[word] as number
      const first = put(records, at, opened[words[word + 1] as number] as StreamState)
      if (first !== undefined) {
        numbers[(at + PREFIX) >> 3] = first.offset
        numbers[((at + PREFIX) >> 3) + 1] = REPEATED
        repeats.push({ ...first, bytes: 0 })
      }
      at += size
    }
    return at
  }

  /** Stores a copy of what is stored already. Throws STORE_FAILED when that cannot be read. */
  function copy(step: CopyRecord): Place {
    const { source } = step
    const from = streams.all.get(source.stream)
    const sql = from === undefined ? undefined : `SELECT ${COLUMNS} FROM e_${from.n} WHERE offset = ?`
    const row = sql === undefined ? undefined : statements.rows(sql).all(source.offset)[0]
    const kept = row === undefined ? undefined : writeRow(copied, 0, row)
    if (kept === undefined || kept.end === 0) {
      const why = row === undefined ? 'is not there' : 'is damaged'
      throw new BusError(
        'STORE_FAILED',
        `entry ${source.offset} of "${source.stream}", which was to be copied, ${why}`,
        {
          details: { stream: source.stream, offset: source.offset },
        },
      )
    }
    const body = row?.[7] as Uint8Array
    const noted = step.note === undefined ? undefined : Buffer.from(step.note)
    const noteBytes = noted?.length ?? 0
    const key = step.key === undefined ? undefined : Buffer.from(step.key)
    copied = grown(kept.records, 0, padded(HEAD + noteBytes + body.length + (key?.length ?? 0)))
    const { bytes, words, numbers } = copied
    const expiresAt = row?.[4] as number | null
    numbers[4] = step.storedAt
    numbers[5] = step.dueAt ?? NO_TIME
    numbers[6] = expiresAt ?? NO_TIME
    words[14] = noted === undefined ? NO_NOTE : noteBytes
    words[15] = body.length
    if (noted !== undefined) bytes.set(noted, HEAD)
    const bodyAt = HEAD + noteBytes
    bytes.set(body, bodyAt)
    if (key !== undefined) bytes.set(key, bodyAt + body.length)
    words[2] = key === undefined ? KEY_NONE : KEY_TEXT
    words[3] = key?.length ?? 0
    const stream = streams.open(step.stream)
    streams.touch(stream)
    const first = put(copied, 0, stream)
    // The buffer is used again for the next copy.
    inserts.flush()
    if (first !== undefined) return { ...first, bytes: 0 }
    const id = idIn(bytes, bodyAt)
    return { stream: stream.name, offset: stream.next - 1, id, duplicate: false, bytes: body.length + noteBytes }
  }

  function trim(name: string, before: number): void {
    const stream = streams.all.get(name)
    if (stream === undefined || before <= stream.first) return
    inserts.flush()
    stream.first = Math.min(before, stream.next)
    const sql = `SELECT total - length(body) - coalesce(length(note), 0) AS base FROM e_${stream.n} WHERE offset >= ? ORDER BY offset LIMIT 1`
    const row = statements.of(sql).get(stream.first) as { base: number } | undefined
    stream.base = row?.base ?? stream.total
    statements.of('DELETE FROM gaps WHERE stream = ? AND last < ?').run(stream.n, stream.first)
    streams.touch(stream)
    // The rows go later, in slices: the trimming itself is one number.
    trimmed.add(stream)
  }

  function begin(wallMs: number | undefined): void {
    failpoint('before-begin')
    statements.of('BEGIN IMMEDIATE').run()
    keys.begin(wallMs)
  }

  function end(): void {
    inserts.flush()
    keys.flush()
    failpoint('after-insert')
    const changed = streams.flush()
    failpoint('before-commit')
    statements.of('COMMIT').run()
    failpoint('after-commit')
    for (const stream of changed) note(stream)
    streams.settle()
    members.settle()
    failpoint('before-mark')
    writeMark()
    failpoint('after-mark')
  }

  function writeMark(): void {
    try {
      mark.write()
    } catch (error) {
      // A full disk only keeps the mark from growing: it is written with the next commit.
      if (kindOf(error) !== 'full') broken ??= error
    }
  }

  function undo(error: unknown): never {
    const atCommit = kindOf(error) === 'io'
    if (database.isTransaction) database.exec('ROLLBACK')
    if (atCommit) makeVoid(error)
    inserts.clear()
    streams.undo()
    members.undo()
    keys.undo()
    throw error
  }

  /**
   * When the sync of a commit fails, SQLite undoes it, but its frames may lie whole in the WAL and would count at the next opening. A
   * small commit in the same place, unsynced, makes them void.
   */
  function makeVoid(error: unknown): void {
    try {
      database.exec("PRAGMA synchronous = OFF; UPDATE meta SET value = 0 WHERE name = 'clean'")
    } catch {
      throw new BusError(
        'PUBLISH_UNKNOWN',
        `${core.paths.file}: the disk failed while it was written; it is not known what it holds`,
        {
          cause: error,
          details: { file: core.paths.file },
        },
      )
    }
  }

  return {
    trimmed,
    broken: () => broken,
    commit(buffer, names, steps) {
      const records = recordsIn(buffer)
      const repeats: Place[] = []
      const copies: Place[] = []
      try {
        begin(names.length === 0 ? undefined : (records.numbers[(PREFIX >> 3) + 2] as number))
        const opened = names.map((name) => {
          const stream = streams.open(name)
          streams.touch(stream)
          return stream
        })
        let at = 0
        for (const step of steps) {
          switch (step.type) {
            case 'records':
              at = putAll(records, at, step.count, opened, repeats)
              break
            case 'copy':
              copies.push(copy(step))
              break
            case 'group':
              members.change(step)
              break
            case 'leave':
              members.leave(step.stream, step.group)
              break
            case 'trim':
              trim(step.stream, step.before)
              break
            default:
              step satisfies never
          }
        }
        end()
      } catch (error) {
        undo(error)
      }
      return { buffer, repeats, copies }
    },
    transact(change) {
      try {
        begin(undefined)
        change()
        end()
      } catch (error) {
        undo(error)
      }
    },
  }
}

/**
 * Where the first message of a key lies; undefined when it lies behind the window, or when the row points to something else: then the
 * message is stored.
 */
function repeatOf({ streams, statements, options }: Core, place: KeyPlace, key: Key, wallMs: number): Put | undefined {
  const stream = streams.numbered(place.stream)
  if (stream === undefined || place.offset >= stream.next) return undefined
  const id = place.id ?? textOfKey(key)
  const repeat = { stream: stream.name, offset: place.offset, id, duplicate: true }
  if (place.offset < stream.first) return repeat
  const row = statements.rows(`SELECT stored_at, body FROM e_${stream.n} WHERE offset = ?`).all(place.offset)[0]
  const [storedAt, body] = row ?? []
  if (typeof storedAt === 'number' && wallMs - storedAt >= options.dedupMs) return undefined
  if (!(body instanceof Uint8Array)) return repeat
  return idIn(Buffer.from(body.buffer, body.byteOffset, body.length), 0) === id ? repeat : undefined
}

/** Where the message of a key lies, within the window. */
export function findKey(
  core: Core,
  channel: string,
  key: string,
  wallMs: number,
): { readonly stream: string; readonly offset: number } | undefined {
  const number = core.streams.channel(channel)
  if (number === undefined) return undefined
  const bytes = Buffer.from(key)
  const known = core.keys.read(bytes, 0, bytes.length)
  const place = core.keys.find(known, number)
  const first = place === undefined ? undefined : repeatOf(core, place, known, wallMs)
  return first === undefined ? undefined : { stream: first.stream, offset: first.offset }
}
