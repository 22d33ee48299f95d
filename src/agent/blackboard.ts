import { aText, checkOption, checkOptions, milliseconds, oneOf, type Rule, whole } from '../kit/check.ts'
import { type Env, systemEnv, type Timer } from '../kit/env.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import { type Entry, type Gap, type Item, type MessageLog, type Offset, streamOf } from '../log/log.ts'
import { IdMaker } from '../message/ids.ts'
import { messageMaker } from '../message/make.ts'
import { BoardDesk, type Done } from './board-desk.ts'
import { type BoardChange, type BoardEntry, BoardFold, type Row } from './board-fold.ts'
import { aKey, type BoardRecord, jsonOf, type KeptRow } from './board-record.ts'
import { type BoardHandler, BoardWatchers, type ChangesOptions, checkPrefix } from './board-watch.ts'

/** How a blackboard is opened. Boards that are open at the same time should have the same limits. */
export interface BlackboardOptions {
  /** Which board of the log. Default `blackboard`. */
  readonly name?: string
  /** Who writes through this one: shown to the others as `by`. */
  readonly agent?: string
  /** Most keys. Default 10 000. */
  readonly mostKeys?: number
  /** At that limit: a new key is refused with BLACKBOARD_FULL (default), or the longest unwritten key goes, told as `evicted`. */
  readonly overflow?: 'refuse' | 'evict-oldest'
  /** Most bytes of one value, as JSON. Default 1 MiB. */
  readonly maxValueBytes?: number
  /** Writes after which the state is stored anew, and what was before it is trimmed; more if there are many keys. Default 1 000. */
  readonly compactAfter?: number
  /** Milliseconds after which a change that was not answered is given up with PUBLISH_UNKNOWN. Default 10 000. */
  readonly timeoutMs?: number
  /** Goes on with a log that lacks changes which it had acknowledged. Default false: DATA_LOSS. */
  readonly acceptLoss?: boolean
  /** Told of what a watcher threw, and of reading or compacting that failed and is tried again. */
  readonly onFault?: (error: unknown) => void
  readonly env?: Env
}

/** Under which condition something is written or deleted. */
export interface BoardWriteOptions {
  /** The version that the key must have at that moment; 0: it must not exist. Default: whatever it has. */
  readonly expect?: number
}

/** Figures of a blackboard. */
export interface BlackboardStats {
  readonly keys: number
  /** Bytes of keys and values as JSON, about. */
  readonly bytes: number
  /** Of the newest change. */
  readonly version: number
  readonly watchers: number
  /** Changes that loops missed because they were too slow. */
  readonly dropped: number
  /** How often this one has stored the state anew. */
  readonly compactions: number
  /** What watchers threw, and readings and compactions that failed. */
  readonly faults: number
}

/**
 * Named JSON values that agents share. Its state is what the stream in the log says: every change has its place there, all boards on
 * the log see the same changes in the same order, and it survives whatever the log survives.
 */
export interface Blackboard extends AsyncDisposable {
  readonly name: string
  /** The value as this board knows it: all that was answered here, and what others wrote as soon as it was read. */
  read<T = unknown>(key: string): BoardEntry<T> | undefined
  /** The values whose keys begin with the prefix, by key. */
  list<T = unknown>(prefix?: string): readonly BoardEntry<T>[]
  /**
   * Resolves once the value is kept and holds here. Throws VERSION_CONFLICT, BLACKBOARD_FULL, INVALID_PAYLOAD, PAYLOAD_TOO_LARGE,
   * what the log throws, and PUBLISH_UNKNOWN when it is not known what came of it.
   */
  write<T>(key: string, value: T, options?: BoardWriteOptions): Promise<BoardEntry<T>>
  /** Resolves to false when there was nothing. Throws as `write`. */
  delete(key: string, options?: BoardWriteOptions): Promise<boolean>
  /** Calls the handler for each change of a key with the prefix, from now on. Returns how to end it. */
  watch(prefix: string, handler: BoardHandler): () => void
  /** The changes of keys with the prefix, from the call on, until the loop is left or the board is closed. */
  changes(prefix?: string, options?: ChangesOptions): AsyncIterableIterator<BoardChange, undefined>
  stats(): BlackboardStats
}

const RULES: Readonly<Record<string, Rule>> = {
  name: aText,
  agent: aText,
  mostKeys: whole(1),
  overflow: oneOf(['refuse', 'evict-oldest']),
  maxValueBytes: whole(1, 4 * 1_024 * 1_024),
  compactAfter: whole(1),
  timeoutMs: milliseconds(1),
  acceptLoss: { allowed: 'true or false', ok: (value) => typeof value === 'boolean' },
  onFault: { allowed: 'a function', ok: (value) => typeof value === 'function' },
  env: { allowed: 'an environment', ok: (value) => typeof value === 'object' && value !== null },
}
const WRITE_RULES = { expect: whole(0) }

/** The part of a channel that holds a board. */
const PART = 'board'
/** A snapshot is stored in parts of about so many characters. */
const PART_CHARS = 256 * 1_024
/** The state is stored anew after so many characters of changes, or twice its own. */
const COMPACT_CHARS = 8 * 1_024 * 1_024
/** Milliseconds before reading that failed is tried again. */
const AGAIN_MS = 1_000

/**
 * Opens a blackboard that is kept in the stream `NAME/board` of a log, by reading it to its end. Closing it leaves the log open.
 * Throws INVALID_OPTION, DATA_LOSS, and what the log throws.
 *
 * @example
 * await using board = await openBlackboard(log)
 * const { version } = await board.write('plan', { step: 1 })
 * await board.write('plan', { step: 2 }, { expect: version }) // VERSION_CONFLICT if somebody was faster
 */
export async function openBlackboard(log: MessageLog, options: BlackboardOptions = {}): Promise<Blackboard> {
  checkOptions('openBlackboard', options, RULES)
  const board = new LogBlackboard(log, options)
  await board.open()
  return board
}

class LogBlackboard implements Blackboard {
  readonly name: string
  readonly #log: MessageLog
  readonly #options: BlackboardOptions
  readonly #env: Env
  readonly #stream: string
  readonly #ids: IdMaker
  readonly #make: (record: BoardRecord) => Item
  readonly #fold: BoardFold
  readonly #watchers: BoardWatchers
  readonly #desk: BoardDesk
  readonly #stop = new AbortController()
  #following: Promise<void> = Promise.resolve()
  #compacting: Promise<void> | undefined
  /** Stored by this one, and not read yet. */
  #snapshot: { readonly of: string; resolve(): void } | undefined
  /** Writes since the newest snapshot at which the next author of a write compacts. */
  #claimAt = 0
  #compactions = 0
  #faults = 0
  #closed = false

  constructor(log: MessageLog, options: BlackboardOptions) {
    this.name = options.name ?? 'blackboard'
    this.#log = log
    this.#options = options
    this.#env = options.env ?? systemEnv()
    this.#stream = streamOf(this.name, PART)
    this.#ids = new IdMaker(this.#env)
    const maker = messageMaker(this.#env)
    const from = options.agent
    // Never compared by the log: each record is a new one.
    this.#make = (record) => ({ message: maker.make(`blackboard.${record.op}`, record, { from }), key: false })
    this.#desk = new BoardDesk(this.#env, this.name, options.timeoutMs ?? 10_000)
    this.#watchers = new BoardWatchers((error) => this.#fault(error))
    this.#fold = new BoardFold({
      decided: (id, outcome) => {
        if (this.#desk.decided(id, outcome)) this.#compactIfDue()
      },
      changed: (change) => this.#watchers.tell(change),
      snapshot: (of) => {
        if (this.#snapshot?.of === of) this.#snapshot.resolve()
      },
    })
  }

  async open(): Promise<void> {
    for await (const one of this.#log.read(this.#stream)) this.#fold.read(one)
    if (this.#fold.isLost) {
      if (this.#options.acceptLoss !== true) throw lost(this.#stream)
      this.#fold.acceptLoss()
    }
    this.#following = this.#follow()
  }

  read<T>(key: string): BoardEntry<T> | undefined {
    checkOption('read', 'key', key, aKey)
    return this.#fold.get(key) as BoardEntry<T> | undefined
  }

  list<T>(prefix: string = ''): readonly BoardEntry<T>[] {
    checkPrefix('list', prefix)
    const found: BoardEntry[] = []
    for (const { entry } of this.#fold.rows()) if (entry.key.startsWith(prefix)) found.push(entry)
    return found.sort((a, b) => (a.key < b.key ? -1 : 1)) as BoardEntry<T>[]
  }

  async write<T>(key: string, value: T, options: BoardWriteOptions = {}): Promise<BoardEntry<T>> {
    checkOption('write', 'key', key, aKey)
    checkOptions('write', options, WRITE_RULES)
    const { mostKeys = 10_000, overflow = 'refuse', maxValueBytes = 1_048_576 } = this.#options
    const json = jsonOf(key, value, maxValueBytes)
    const evicts = overflow === 'evict-oldest'
    const outcome = await this.#ask({ op: 'write', key, json, mostKeys, evicts, ...options })
    return (outcome as Extract<Done, { type: 'written' }>).entry as BoardEntry<T>
  }

  async delete(key: string, options: BoardWriteOptions = {}): Promise<boolean> {
    checkOption('delete', 'key', key, aKey)
    checkOptions('delete', options, WRITE_RULES)
    const outcome = await this.#ask({ op: 'delete', key, ...options })
    return outcome.type === 'deleted' && outcome.existed
  }

  watch(prefix: string, handler: BoardHandler): () => void {
    this.#mustBeOpen()
    return this.#watchers.watch(prefix, handler)
  }

  changes(prefix: string = '', options: ChangesOptions = {}): AsyncIterableIterator<BoardChange, undefined> {
    this.#mustBeOpen()
    return this.#watchers.changes(prefix, options)
  }

  stats(): BlackboardStats {
    const { size: keys, bytes, version } = this.#fold
    const { size: watchers, dropped } = this.#watchers
    return { keys, bytes, version, watchers, dropped, compactions: this.#compactions, faults: this.#faults }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
    await this.#compacting
    await this.#following
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stop.abort()
    this.#snapshot?.resolve()
    this.#watchers.end()
    this.#desk.close(this.#over())
  }

  /** Stores what is asked for, and waits until its place in the stream has decided it. */
  #ask(record: Extract<BoardRecord, { op: 'write' | 'delete' }>): Promise<Done> {
    this.#mustBeOpen()
    const item = this.#make(record)
    const { id } = item.message
    const done = this.#desk.ask(id, record.key, record.expect)
    this.#log.append(this.#stream, [item]).then(
      () => this.#desk.stored(id),
      (error: unknown) => this.#desk.failed(id, error),
    )
    return done
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const { last: after } = this.#fold
        const range = { follow: true, signal, ...(after === undefined ? {} : { after }) }
        for await (const one of this.#log.read(this.#stream, range)) this.#meet(one)
        // Whoever follows comes to an end only with the log.
        this.#close()
      } catch (error) {
        if (!signal.aborted && !isBusError(error, 'BUS_CLOSED')) this.#fault(error)
        if (isBusError(error, 'BUS_CLOSED') || isBusError(error, 'DATA_LOSS')) this.#close()
        if (signal.aborted) return
        await this.#pause()
      }
    }
  }

  #meet(one: Entry | Gap): void {
    const wasLost = this.#fold.isLost
    this.#fold.read(one)
    // Behind what was trimmed comes a snapshot; behind anything else nothing can be known.
    if (one.type === 'gap' && one.reason !== 'trimmed') {
      if (this.#options.acceptLoss === true) this.#fold.acceptLoss()
      else throw lost(this.#stream)
    }
    if (wasLost && !this.#fold.isLost) this.#desk.doubt()
  }

  /** Of all that are open, the one whose write crossed the line stores the state anew; if it cannot, one of the next writers. */
  #compactIfDue(): void {
    const { sinceCount, sinceBytes, size, bytes } = this.#fold
    const { compactAfter = 1_000 } = this.#options
    if (sinceCount < this.#claimAt) this.#claimAt = 0
    const isDue = sinceCount >= Math.max(compactAfter, 2 * size) || sinceBytes >= Math.max(COMPACT_CHARS, 2 * bytes)
    if (!isDue || this.#compacting !== undefined || sinceCount < this.#claimAt) return
    this.#claimAt = sinceCount + Math.ceil(compactAfter / 4)
    this.#compacting = this.#compact()
      .catch((error: unknown) => this.#fault(error))
      .finally(() => {
        this.#compacting = undefined
      })
  }

  /** The order of effects: every part is stored, then the end that makes them count, then what an older snapshot needs is trimmed. */
  async #compact(): Promise<void> {
    const { last: upTo, cut, version } = this.#fold
    const rows = [...this.#fold.rows()]
    const of = this.#ids.next(Math.floor(this.#env.wallMs()))
    for (const part of partsOf(rows)) {
      if (this.#closed) return
      await this.#log.append(this.#stream, [this.#make({ op: 'keep', of, rows: part })])
    }
    if (this.#closed) return
    const end = { op: 'snapshot', of, upTo: upTo as Offset, version, count: rows.length } as const
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#snapshot = { of, resolve }
    await this.#log.append(this.#stream, [this.#make(end)])
    this.#compactions++
    // What counts the writes since then begins anew only when it was read.
    await promise
    // Not to the new snapshot: whoever reads on slowly should not fall into the hole.
    if (cut !== undefined && !this.#closed) await this.#log.trim(this.#stream, { before: cut })
  }

  #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer: Timer = this.#env.after(AGAIN_MS, resolve)
    const { signal } = this.#stop
    signal.addEventListener('abort', () => resolve(), { once: true })
    return promise.finally(() => timer.cancel())
  }

  #fault(error: unknown): void {
    this.#faults++
    try {
      this.#options.onFault?.(error)
    } catch {
      // An observer's fault must not stop the board.
    }
  }

  #mustBeOpen(): void {
    if (this.#closed) throw this.#over()
  }

  #over(): BusError {
    return new BusError('BUS_CLOSED', `the blackboard "${this.name}" is closed`)
  }
}

/** A snapshot in parts that are not too large for one message. */
function* partsOf(rows: readonly Row[]): Generator<KeptRow[]> {
  let part: KeptRow[] = []
  let chars = 0
  for (const { entry, json } of rows) {
    const { key, version, time, by } = entry
    part.push({ key, json, version, time, ...(by === undefined ? {} : { by }) })
    chars += key.length + json.length
    if (chars < PART_CHARS && part.length < 1_000) continue
    yield part
    part = []
    chars = 0
  }
  if (part.length > 0) yield part
}

function lost(stream: string): BusError {
  return new BusError('DATA_LOSS', `"${stream}" lacks changes of the blackboard that it had acknowledged`, {
    details: { stream },
  })
}
