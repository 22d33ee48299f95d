import { chmodSync, closeSync, existsSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Env } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import type { StoredState } from '../store.ts'
import { findKey, makeWriter } from './commit.ts'
import { type Core, failpoints } from './core.ts'
import { kindOf, openError, storeError } from './faults.ts'
import { keepKeys } from './keys.ts'
import { type Held, makeFile, makeFolder, type Paths, pathsOf, takeLock } from './lock.ts'
import { openMark, readMark } from './mark.ts'
import { keepMembers } from './members.ts'
import type { Answers, Question, ThreadOptions } from './protocol.ts'
import { makeReader } from './read.ts'
import { acceptLosses, gapsOf, keepHoles, refuseLosses } from './repair.ts'
import { checkVersion, migrate } from './schema.ts'
import { keepStatements, type Statements } from './statements.ts'
import { keepStreams, type StreamState } from './streams.ts'
import { pendingFrom, scan, surveyRows } from './survey.ts'
import { makeUpkeep } from './upkeep.ts'

/** Most statements that stay prepared: two or three for each stream in use. */
const STATEMENTS = 512

function bytesOf(stream: StreamState | undefined): number {
  return stream === undefined ? 0 : stream.total - stream.base
}

/** An opened file. */
export interface Engine {
  readonly state: StoredState
  /** Answers a question. Throws a BusError. */
  answer(question: Question): Answers[keyof Answers]
  /** Right before the answer to a commit is sent. */
  beforeAnswer(): void
  /** After an answer was sent: what may take a moment. */
  rest(bytes: number): void
  /** `as found`: whether the last holder had closed it stays as it was. */
  close(how?: 'as found'): void
  /** What was changed to accept losses, a sentence each. */
  readonly repairs: readonly string[]
}

/** What lies in the parts of an opened database; nothing has been loaded yet. */
export function openParts(database: DatabaseSync, options: Pick<ThreadOptions, 'dedupMs' | 'dedupLimit'>) {
  const statements = keepStatements(database, STATEMENTS)
  const streams = keepStreams(database, statements)
  const members = keepMembers(statements, streams)
  const keys = keepKeys(database, statements, streams, options.dedupMs, options.dedupLimit)
  return { statements, streams, members, keys }
}

/** Throws STORE_FAILED for a file that is no database. Must be called while the lock is held and before the database is opened. */
export function mustBeDatabase(file: string): void {
  if (!existsSync(file) || statSync(file).size === 0) return
  const head = Buffer.alloc(16)
  const descriptor = openSync(file, 'r')
  try {
    readSync(descriptor, head, 0, 16, 0)
  } finally {
    closeSync(descriptor)
  }
  if (head.toString('latin1') === 'SQLite format 3\0') return
  throw new BusError(
    'STORE_FAILED',
    `${file} is no SQLite database, or its head is damaged; it was left as it is. Restore it from a copy, or use another file`,
    {
      details: { file },
    },
  )
}

/** Opens the file, alone. Throws STORE_LOCKED, STORE_FAILED, DATA_LOSS, SCHEMA_TOO_NEW. */
export function openEngine(options: ThreadOptions, env: Env, compare: 'pending' | 'everything' = 'pending'): Engine {
  try {
    return tryToOpen(options, env, compare)
  } catch (error) {
    // To open a file takes a little room; on a full disk the reserve gives it.
    const { reserve } = pathsOf(options.file)
    if ((error as Partial<BusError>).code !== 'STORE_FULL' || !existsSync(reserve)) throw error
    rmSync(reserve)
    return tryToOpen(options, env, compare)
  }
}

function tryToOpen(options: ThreadOptions, env: Env, compare: 'pending' | 'everything'): Engine {
  const { paths, lock } = takePlace(options.file, env)
  let database: DatabaseSync | undefined
  try {
    mustBeDatabase(paths.file)
    makeFile(paths.file)
    chmodSync(paths.file, 0o600)
    database = new DatabaseSync(paths.file)
    return start(database, paths, options, env, compare, lock.release)
  } catch (error) {
    database?.close()
    lock.release()
    throw openError(error, paths.file)
  }
}

/** The folder is there, and the file is ours alone. */
function takePlace(file: string, env: Env): { readonly paths: Paths; readonly lock: Held } {
  try {
    makeFolder(file)
    const paths = pathsOf(file)
    if (existsSync(paths.file) && statSync(paths.file).isDirectory())
      throw Object.assign(new Error(), { code: 'EISDIR' })
    return { paths, lock: takeLock(paths, env.wallMs()) }
  } catch (error) {
    throw openError(error, file)
  }
}

/** Takes the database for itself and brings it to the form of today. */
function prepare(database: DatabaseSync, file: string, options: ThreadOptions): void {
  // First: with it the index of the WAL lies in memory and not in a file beside.
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  checkVersion(database, file)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous}; PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF`)
  migrate(database, file)
}

/** True when the last holder had closed the file. */
export function wasClean(statements: Statements): boolean {
  const row = statements.of("SELECT value FROM meta WHERE name = 'clean'").get() as { value: number } | undefined
  return row?.value === 1
}

function start(
  database: DatabaseSync,
  paths: Paths,
  options: ThreadOptions,
  env: Env,
  compare: 'pending' | 'everything',
  release: () => void,
): Engine {
  prepare(database, paths.file, options)
  const parts = openParts(database, options)
  const { statements, streams, members, keys } = parts
  const marked = readMark(paths.mark)
  const survey = surveyRows(streams, members, marked)
  if (!options.acceptLoss) refuseLosses(paths.file, survey)
  const clean = wasClean(statements)
  keys.load()
  database.exec('BEGIN IMMEDIATE')
  const repairs = [...acceptLosses(parts, survey)]
  for (const stream of streams.all.values()) {
    const from = compare === 'everything' ? stream.first : pendingFrom(stream, survey.groups)
    for (const hole of keepHoles(parts, scan(statements, stream, from).holes)) {
      repairs.push(`stream "${stream.name}": offsets ${hole.from} to ${hole.to} are a gap now (${hole.reason})`)
    }
  }
  statements.of("UPDATE meta SET value = 0 WHERE name = 'clean'").run()
  streams.flush()
  database.exec('COMMIT')
  streams.settle()
  members.settle()
  const groups = survey.badGroups.length === 0 ? survey.groups : members.reload()

  const known = new Map([...streams.all.values()].map((stream) => [stream.name, stream.next]))
  const mark = openMark(paths.mark, known)
  const core: Core = { env, options, paths, database, ...parts, mark, failpoint: failpoints(options.failAt) }
  const writer = makeWriter(core)
  const reader = makeReader(core)
  let broken: BusError | undefined
  const upkeep = makeUpkeep(core, writer, fail)
  for (const stream of streams.all.values()) if (stream.first > 1) writer.trimmed.add(stream)
  upkeep.reserve()

  const state: StoredState = {
    streams: [...streams.all.values()].map((stream) => ({
      stream: stream.name,
      first: stream.first,
      next: stream.next,
      bytes: bytesOf(stream),
      newestAt: stream.newestAt,
      gaps: gapsOf(statements, stream.n, stream.name),
    })),
    groups,
    clean,
  }

  /** After an error of the disk nothing is known of what it holds: the store takes nothing more. */
  function fail(error: unknown): void {
    broken ??= storeError(error, paths.file)
  }
  function commit(question: Extract<Question, { type: 'commit' }>): Answers['commit'] {
    const run = (): Answers['commit'] => writer.commit(question.buffer, question.streams, question.steps)
    const settles = question.steps.every(
      (step) => step.type === 'group' || step.type === 'leave' || step.type === 'trim',
    )
    let reliefs = 0
    for (;;) {
      try {
        const answer = run()
        if (writer.broken() !== undefined) fail(writer.broken())
        return answer
      } catch (error) {
        if (kindOf(error) !== 'full') throw error
        // Once by emptying the WAL; and the last reserve is for settling what is stored.
        let found = false
        for (; !found && reliefs < 2; reliefs++) found = (reliefs === 0 || settles) && upkeep.relieve(reliefs === 1)
        if (!found) throw error
      }
    }
  }
  function answer(question: Question): Answers[keyof Answers] {
    switch (question.type) {
      case 'load':
        return state
      case 'commit':
        return commit(question)
      case 'page':
        return reader.page(question.stream, question.from, question.most)
      case 'expired':
        return reader.expired(question.stream, question.from, question.wallMs, question.most)
      case 'since':
        return reader.since(question.stream, question.wallMs)
      case 'newest':
        return reader.newest(question.stream, question.bytes)
      case 'bytes':
        return bytesOf(streams.all.get(question.stream))
      case 'find':
        return findKey(core, question.channel, question.key, question.wallMs)
      case 'inspect':
      case 'close':
        throw new BusError('STORE_FAILED', `an open store is not asked to ${question.type} this way`)
    }
  }
  let closed = false
  return {
    state,
    answer(question) {
      if (broken !== undefined) throw broken
      try {
        return answer(question)
      } catch (error) {
        const seen = storeError(error, paths.file)
        if (kindOf(error) === 'io' || seen.code === 'PUBLISH_UNKNOWN') fail(seen)
        throw seen
      }
    },
    beforeAnswer: () => core.failpoint('before-answer'),
    rest(bytes) {
      if (broken !== undefined) return
      try {
        upkeep.afterCommit(bytes)
        upkeep.reserve()
      } catch (error) {
        fail(error)
      }
    },
    repairs,
    close(how) {
      if (closed) return
      closed = true
      upkeep.stop()
      try {
        if (broken === undefined) {
          const value = how === 'as found' && !clean ? 0 : 1
          statements.of("UPDATE meta SET value = ? WHERE name = 'clean'").run(value)
          upkeep.checkpoint()
        }
      } catch (error) {
        fail(error)
      }
      try {
        mark.close()
      } catch (error) {
        fail(error)
      }
      statements.clear()
      database.close()
      release()
    },
  }
}
