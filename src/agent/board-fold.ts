import type { Entry, Gap, Offset } from '../log/log.ts'
import {
  type BoardRecord,
  type DeleteRecord,
  type KeptRow,
  readValue,
  recordOf,
  type WriteRecord,
} from './board-record.ts'

/** A value of a blackboard. */
export interface BoardEntry<T = unknown> {
  readonly key: string
  /** JSON data, deeply frozen. */
  readonly value: T
  /** Rises with every change of the board: no later state of any key has the same one, deleted ones included. */
  readonly version: number
  /** Wall-clock milliseconds of storing. */
  readonly time: number
  /** The agent that wrote it, if it said so. */
  readonly by: string | undefined
}

/** A change of a blackboard. `evicted`: the longest unwritten key made room for another one. */
export interface BoardChange<T = unknown> {
  readonly type: 'written' | 'deleted' | 'evicted'
  readonly key: string
  /** What was written; undefined for a key that is gone. */
  readonly value: T | undefined
  readonly version: number
  /** The version of the key before; 0 when it did not exist. */
  readonly before: number
  readonly time: number
  readonly by: string | undefined
}

/** What became of a write or delete. */
export type BoardOutcome =
  | { readonly type: 'written'; readonly entry: BoardEntry }
  | { readonly type: 'deleted'; readonly existed: boolean }
  | { readonly type: 'conflict'; readonly actual: number }
  | { readonly type: 'full'; readonly keys: number }

/** Who is told, in the order of the stream. */
export interface FoldListener {
  decided(id: string, outcome: BoardOutcome): void
  changed(change: BoardChange): void
  /** A snapshot came to its end. */
  snapshot(of: string): void
}

/** A value with its text, for snapshots. */
export interface Row {
  readonly entry: BoardEntry
  readonly json: string
}

/** What was read behind a hole, until a snapshot says how the board was somewhere in it. */
interface Lost {
  readonly ops: { readonly entry: Entry; readonly record: WriteRecord | DeleteRecord }[]
  /** How many of the ops had been read once an offset was. */
  readonly seen: Map<Offset, number>
  readonly parts: Map<string, KeptRow[]>
}

/**
 * The state of a blackboard as its stream tells it. Whoever reads the same stream comes to the same state, wherever they begin: behind
 * a hole nothing is believed until a snapshot is complete that was taken at a place behind the hole, too.
 */
export class BoardFold {
  readonly #listener: FoldListener
  /** In the order of their last writing. */
  #rows = new Map<string, Row>()
  #lost: Lost | undefined
  version = 0
  /** Bytes of keys and values, about. */
  bytes = 0
  /** Writes and deletes since the newest snapshot, and their bytes, about. */
  sinceCount = 0
  sinceBytes = 0
  /** Where the newest snapshot was taken: nothing before is needed by whoever begins there. */
  cut: Offset | undefined
  last: Offset | undefined

  constructor(listener: FoldListener) {
    this.#listener = listener
  }

  /** True while a hole in the stream leaves open what the state is. */
  get isLost(): boolean {
    return this.#lost !== undefined
  }

  get size(): number {
    return this.#rows.size
  }

  get(key: string): BoardEntry | undefined {
    return this.#rows.get(key)?.entry
  }

  /** In the order of their last writing. */
  rows(): IterableIterator<Row> {
    return this.#rows.values()
  }

  read(one: Entry | Gap): void {
    if (one.type === 'gap') {
      this.#lost = { ops: [], seen: new Map(), parts: new Map() }
      return
    }
    const record = recordOf(one.message.data)
    this.last = one.offset
    if (record !== undefined) this.#meet(one, record)
    // After the op itself: a snapshot taken at this place contains it.
    this.#lost?.seen.set(one.offset, this.#lost.ops.length)
  }

  /** Goes on with what was read, as if the hole had held nothing. */
  acceptLoss(): void {
    const lost = this.#lost
    this.#lost = undefined
    for (const { entry, record } of lost?.ops ?? []) this.#apply(entry, record)
  }

  #meet(entry: Entry, record: BoardRecord): void {
    const lost = this.#lost
    switch (record.op) {
      case 'write':
      case 'delete':
        if (lost === undefined) this.#apply(entry, record)
        else lost.ops.push({ entry, record })
        return
      case 'keep': {
        const parts = lost?.parts.get(record.of)
        if (parts !== undefined) for (const row of record.rows) parts.push(row)
        else lost?.parts.set(record.of, [...record.rows])
        return
      }
      case 'snapshot': {
        if (lost !== undefined) {
          const rows = lost.parts.get(record.of) ?? []
          const from = lost.seen.get(record.upTo)
          if (from === undefined || rows.length !== record.count) return
          this.#restore(rows, record.version, entry.storedAt)
          this.#lost = undefined
          for (const op of lost.ops.slice(from)) this.#apply(op.entry, op.record)
        }
        this.cut = record.upTo
        this.sinceCount = 0
        this.sinceBytes = 0
        this.#listener.snapshot(record.of)
        return
      }
      default:
        record satisfies never
    }
  }

  #apply(entry: Entry, record: WriteRecord | DeleteRecord): void {
    this.sinceCount++
    this.sinceBytes += record.key.length + (record.op === 'write' ? record.json.length : 0)
    const before = this.#rows.get(record.key)
    const actual = before?.entry.version ?? 0
    const { id } = entry.message
    if (record.expect !== undefined && record.expect !== actual) {
      this.#listener.decided(id, { type: 'conflict', actual })
    } else if (record.op === 'delete') {
      if (before !== undefined) this.#delete(before, ++this.version, entry, 'deleted')
      this.#listener.decided(id, { type: 'deleted', existed: before !== undefined })
    } else if (before === undefined && this.#rows.size >= record.mostKeys && !record.evicts) {
      this.#listener.decided(id, { type: 'full', keys: this.#rows.size })
    } else this.#write(entry, record, before)
  }

  #write(entry: Entry, { key, json, mostKeys }: WriteRecord, before: Row | undefined): void {
    const version = ++this.version
    if (before === undefined) {
      while (this.#rows.size >= mostKeys) {
        this.#delete(this.#rows.values().next().value as Row, version, entry, 'evicted')
      }
    } else this.#remove(before)
    const { storedAt: time, message } = entry
    const by = message.from
    const written: BoardEntry = Object.freeze({ key, value: readValue(json), version, time, by })
    this.#add({ entry: written, json })
    this.#tell('written', written, before?.entry.version ?? 0)
    this.#listener.decided(message.id, { type: 'written', entry: written })
  }

  #delete(row: Row, version: number, { storedAt: time, message }: Entry, type: 'deleted' | 'evicted'): void {
    this.#remove(row)
    const { key, version: before } = row.entry
    this.#tell(type, { key, value: undefined, version, time, by: message.from }, before)
  }

  /** The state as a snapshot has it; what is different from what was known is told. */
  #restore(rows: readonly KeptRow[], version: number, time: number): void {
    const known = this.#rows
    this.#rows = new Map()
    this.bytes = 0
    for (const { json, ...one } of rows) {
      const before = known.get(one.key)
      known.delete(one.key)
      const isKnown = before?.entry.version === one.version
      const row = isKnown ? before : { entry: Object.freeze({ ...one, by: one.by, value: readValue(json) }), json }
      this.#add(row)
      if (row !== before) this.#tell('written', row.entry, before?.entry.version ?? 0)
    }
    for (const { entry } of known.values()) {
      this.#tell('deleted', { key: entry.key, value: undefined, version, time, by: undefined }, entry.version)
    }
    this.version = version
  }

  #add(row: Row): void {
    this.#rows.set(row.entry.key, row)
    this.bytes += row.entry.key.length + row.json.length
  }

  #remove(row: Row): void {
    this.#rows.delete(row.entry.key)
    this.bytes -= row.entry.key.length + row.json.length
  }

  #tell(type: BoardChange['type'], what: BoardEntry, before: number): void {
    const { key, value, version, time, by } = what
    this.#listener.changed(Object.freeze({ type, key, value, version, before, time, by }))
  }
}
