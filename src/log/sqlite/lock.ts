import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { BusError } from '../../kit/errors.ts'
import { kindOf, storeError } from './faults.ts'

// One holder at a time. The lock is a POSIX lock that SQLite takes on a database of its own, `FILE-lock`: the kernel lets go of it
// when the process ends, however it ends, so it never goes stale. Within one process SQLite keeps account of its own locks, so a
// second store of the same process is refused as well. Who holds it is told by `FILE-owner`, which proves nothing and may be stale.
//
// Never open FILE or FILE-lock by other means while they are in use: closing any descriptor of a file drops all POSIX locks that the
// process has on it.

/** The paths of the files of one store. */
export interface Paths {
  readonly file: string
  readonly mark: string
  readonly lock: string
  readonly owner: string
  readonly reserve: string
}

/** All paths for a file, with links resolved, so that two names of one file are one store. */
export function pathsOf(given: string): Paths {
  const wanted = resolve(given)
  let file = wanted
  if (existsSync(wanted)) file = realpathSync(wanted)
  else if (existsSync(dirname(wanted))) file = join(realpathSync(dirname(wanted)), basename(wanted))
  return {
    file,
    mark: `${file}-mark`,
    lock: `${file}-lock`,
    owner: `${file}-owner`,
    reserve: `${file}-reserve`,
  }
}

/** Makes the folder for its owner alone, unless it is there. */
export function makeFolder(file: string): void {
  // Not by `recursive`: where a folder takes no others, as /proc does, node tries for ever.
  const missing: string[] = []
  for (let at = dirname(resolve(file)); !existsSync(at); at = dirname(at)) missing.push(at)
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode: 0o700 })
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') throw error
    }
  }
}

/** Makes an empty file that only its owner may read, unless it is there. SQLite gives its companions the same rights. */
export function makeFile(path: string): void {
  if (existsSync(path)) return
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error
  }
}

/** A held lock. */
export interface Held {
  release(): void
}

/** Throws STORE_LOCKED naming the process that holds the file. */
export function takeLock(paths: Paths, sinceMs: number): Held {
  makeFile(paths.lock)
  const lock = new DatabaseSync(paths.lock)
  try {
    // No file for a journal: nothing is ever written here.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (kindOf(error) === 'busy') throw lockedBy(paths, error)
    throw storeError(error, paths.lock)
  }
  let held = true
  const release = (): void => {
    if (!held) return
    held = false
    rmSync(paths.owner, { force: true })
    lock.close()
  }
  try {
    const fresh = `${paths.owner}.new`
    writeFileSync(
      fresh,
      JSON.stringify({ pid: process.pid, since: new Date(sinceMs).toISOString(), file: paths.file }),
      {
        mode: 0o600,
      },
    )
    renameSync(fresh, paths.owner)
  } catch (error) {
    // Without room for the name of the holder the lock holds all the same.
    if (kindOf(error) !== 'full') {
      release()
      throw storeError(error, paths.owner)
    }
  }
  return { release }
}

function lockedBy(paths: Paths, cause: unknown): BusError {
  const owner = readOwner(paths.owner)
  const holder = owner === undefined ? 'another process' : `process ${owner.pid} (since ${owner.since})`
  return new BusError('STORE_LOCKED', `${paths.file} is held by ${holder}; one process at a time may use it`, {
    cause,
    details: { file: paths.file, pid: owner?.pid, since: owner?.since },
  })
}

function readOwner(path: string): { readonly pid: number; readonly since: string } | undefined {
  try {
    const { pid, since } = JSON.parse(readFileSync(path, 'utf8')) as { pid?: unknown; since?: unknown }
    return typeof pid === 'number' && typeof since === 'string' ? { pid, since } : undefined
  } catch {
    // Not written yet, or not at all: the refusal stands without a name.
    return undefined
  }
}
