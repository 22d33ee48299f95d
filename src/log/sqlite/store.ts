import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { aFlag, anObject, aText, checkOption, checkOptions, oneOf, type Rule, whole } from '../../kit/check.ts'
import { type Env, systemEnv } from '../../kit/env.ts'
import { BusError, describeThrown } from '../../kit/errors.ts'
import type { BadEntry, Store, StoredEntry } from '../store.ts'
import { fromFault } from './faults.ts'
import { recordsIn } from './layout.ts'
import { makePacker } from './pack.ts'
import type { Answers, Asked, Question, ThreadOptions, Told } from './protocol.ts'
import { entryAt } from './unpack.ts'

/** How a sqlite store keeps its file. */
export interface SqliteOptions {
  /** `FULL`: what was answered survives power loss (level `disk`). `NORMAL`: kill -9 only (level `process`), faster. Default `FULL`. */
  readonly synchronous?: 'FULL' | 'NORMAL'
  /** Opens a file that lacks acknowledged messages: they become gaps. Default false: it is refused with DATA_LOSS. */
  readonly acceptLoss?: boolean
  /** Milliseconds for which a repeat is known, at least; twice as long at most. Default 600 000. */
  readonly dedupMs?: number
  /** Most keys of one such time; with more, it is shorter. Default 1 000 000. */
  readonly dedupLimit?: number
  /** Most bytes of one encoded message. Default 2 MiB. */
  readonly maxBytes?: number
  /** Bytes of disk kept back, so that what is stored can be settled when the disk is full. Default 4 MiB. */
  readonly reserveBytes?: number
  readonly env?: Env
  /**
   * Internal, for crash tests: the process kills itself with SIGKILL when a commit reaches this point, `name:n` for the n-th time.
   * before-begin, after-insert, before-commit, after-commit, before-mark, after-mark, before-answer.
   */
  readonly failAt?: string
}

/** SQLite's own word for a database without a file would make one of that name. */
const aFile: Rule = {
  allowed: 'the path of a file; `memory:`, or memoryLog(), keeps messages in memory',
  ok: (value) => aText.ok(value) && !/^:memory:|^file:/i.test(value as string),
}
const RULES = {
  synchronous: oneOf(['FULL', 'NORMAL']),
  acceptLoss: aFlag,
  dedupMs: whole(1),
  dedupLimit: whole(1, 100_000_000),
  maxBytes: whole(64, 536_870_912),
  reserveBytes: whole(0, 1_073_741_824),
  env: anObject,
  failAt: aText,
}

/** The event loop is never held for longer by encoding or decoding, unless a single message takes longer. */
const SLICE_MS = 1

interface Waiting {
  readonly resolve: (answer: never) => void
  readonly reject: (error: BusError) => void
  readonly type: Question['type']
}

/** Work that comes before a question is sent; true when it is done. */
type Step = (enough: () => boolean) => boolean

interface Job {
  readonly advance: Step
  readonly send: () => void
  readonly fail: (error: unknown) => void
}

/** The thread's file: as source under type stripping, and compiled. */
export function threadFile(url: string): URL {
  return new URL(url.endsWith('.ts') ? './thread.ts' : './thread.js', url)
}

/**
 * Keeps records in one SQLite file, in a thread of its own. The file is opened by `load`, and belongs to one process at a time; its
 * folder is made when it is missing. Throws INVALID_OPTION.
 */
export function sqliteStore(file: string, options: SqliteOptions = {}): Store {
  checkOption('sqliteStore', 'file', file, aFile)
  checkOptions('sqliteStore', options, RULES)
  const env = options.env ?? systemEnv()
  const path = resolve(file)
  const synchronous = options.synchronous ?? 'FULL'
  const workerData: ThreadOptions = {
    file: path,
    synchronous,
    acceptLoss: options.acceptLoss ?? false,
    dedupMs: options.dedupMs ?? 600_000,
    dedupLimit: options.dedupLimit ?? 1_000_000,
    reserveBytes: options.reserveBytes ?? 4_194_304,
    failAt: options.failAt,
  }
  const packer = makePacker(options.maxBytes ?? 2_097_152)
  const waiting = new Map<number, Waiting>()
  const jobs: Job[] = []
  let worker: Worker | undefined
  let exited: Promise<void> = Promise.resolve()
  let lastId = 0
  let scheduled = false
  let ended: BusError | undefined
  let closing: Promise<void> | undefined

  function start(): Worker {
    const made = new Worker(threadFile(import.meta.url), { workerData, execArgv: [], name: 'swarmbus-sqlite' })
    made.on('message', hear)
    made.on('error', (error: unknown) => die(error))
    exited = new Promise((done) => {
      made.on('exit', () => {
        die(undefined)
        done()
      })
    })
    return made
  }
  function hear(told: Told): void {
    const asker = waiting.get(told.id)
    if (asker === undefined || told.type === 'progress') return
    waiting.delete(told.id)
    if (told.type === 'answer') asker.resolve(told.answer as never)
    else asker.reject(fromFault(told.fault))
  }
  /** The thread is gone: what it was asked may have happened. */
  function die(error: unknown): void {
    const why = error === undefined ? 'ended' : `failed: ${describeThrown(error)}`
    ended ??= new BusError('STORE_FAILED', `the thread of ${path} ${why}; open the store again`, {
      cause: error,
      details: { file: path },
    })
    for (const [id, { type, reject }] of waiting) {
      waiting.delete(id)
      const text = `the thread of ${path} ${why} before it answered; it is not known what was stored`
      reject(
        type === 'commit' ? new BusError('PUBLISH_UNKNOWN', text, { cause: error, details: { file: path } }) : ended,
      )
    }
  }

  /** Questions are sent in the order of the calls, so one that is not ready holds back those behind it. */
  function pump(): void {
    const end = env.monotonicMs() + SLICE_MS
    const enough = (): boolean => env.monotonicMs() > end
    for (let job = jobs[0]; job !== undefined; job = jobs[0]) {
      try {
        if (!job.advance(enough)) break
        jobs.shift()
        job.send()
      } catch (error) {
        if (jobs[0] === job) jobs.shift()
        job.fail(error)
      }
      if (jobs.length > 0 && enough()) break
    }
    if (jobs.length === 0 || scheduled) return
    scheduled = true
    env.nextTurn(() => {
      scheduled = false
      pump()
    })
  }
  function ask<Type extends keyof Answers>(
    type: Type,
    question: () => Extract<Question, { type: Type }>,
    advance: Step = () => true,
  ): Promise<Answers[Type]> {
    if (ended !== undefined) return Promise.reject(ended)
    if (worker === undefined) {
      return Promise.reject(new BusError('STORE_FAILED', `${path} is not open: call load() first`))
    }
    const to = worker
    return new Promise<Answers[Type]>((done, reject) => {
      jobs.push({
        advance,
        send() {
          const asked: Asked = { id: ++lastId, question: question() }
          const buffer = asked.question.type === 'commit' ? [asked.question.buffer] : []
          waiting.set(asked.id, { resolve: done as (answer: never) => void, reject, type })
          to.postMessage(asked, buffer)
        },
        fail: reject,
      })
      if (jobs.length === 1 || !scheduled) pump()
    })
  }

  /** A page's entries; large ones over several turns of the event loop. */
  function unpackPage({ buffer, count }: Answers['page']): Promise<readonly (StoredEntry | BadEntry)[]> {
    const records = recordsIn(buffer)
    const entries: (StoredEntry | BadEntry)[] = []
    let at = 0
    return new Promise((done) => {
      function go(): void {
        const end = env.monotonicMs() + SLICE_MS
        while (entries.length < count) {
          const read = entryAt(records, at, env)
          entries.push(read.entry)
          at = read.end
          if (entries.length % 16 !== 0 || env.monotonicMs() <= end) continue
          env.nextTurn(go)
          return
        }
        done(entries)
      }
      go()
    })
  }

  async function end(): Promise<void> {
    if (worker === undefined) {
      ended ??= new BusError('BUS_CLOSED', `the store of ${path} is closed`)
      return
    }
    const answered = ended === undefined ? ask('close', () => ({ type: 'close' })) : undefined
    ended ??= new BusError('BUS_CLOSED', `the store of ${path} is closed`)
    try {
      await answered
    } finally {
      await exited
    }
  }

  return Object.freeze({
    name: 'sqlite',
    level: synchronous === 'FULL' ? 'disk' : 'process',

    async load() {
      if (worker !== undefined) throw new BusError('STORE_FAILED', `${path} has been loaded already`)
      if (ended !== undefined) throw ended
      worker = start()
      try {
        return await ask('load', () => ({ type: 'load' }))
      } catch (error) {
        await worker.terminate()
        throw error
      }
    },
    commit(ops) {
      const packing = packer.pack(ops)
      const asked = ask('commit', () => packing.question, packing.advance)
      return asked.then((answer) => packer.unpack(ops, packing, answer))
    },
    check: packer.check,
    page(stream, from, most) {
      return ask('page', () => ({ type: 'page', stream, from, most })).then(unpackPage)
    },
    expired: (stream, from, wallMs, most) => ask('expired', () => ({ type: 'expired', stream, from, wallMs, most })),
    since: (stream, wallMs) => ask('since', () => ({ type: 'since', stream, wallMs })),
    newest: (stream, bytes) => ask('newest', () => ({ type: 'newest', stream, bytes })),
    bytes: (stream) => ask('bytes', () => ({ type: 'bytes', stream })),
    find: (channel, key) => ask('find', () => ({ type: 'find', channel, key, wallMs: env.wallMs() })),
    [Symbol.asyncDispose]: () => (closing ??= end()),
  } satisfies Store)
}
