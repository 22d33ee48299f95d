import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Timer } from '../../kit/env.ts'
import type { Writer } from './commit.ts'
import type { Core } from './core.ts'
import { kindOf } from './faults.ts'

/**
 * Pages in the WAL from which on it is brought into the database: 8 MiB, less where the disk is small. It is then written from its start
 * again, and stays so large.
 */
const WAL_PAGES = 2_000
/** After so many commits the WAL is measured. */
const LOOK_EVERY = 16
/** Bytes of a page of the database. */
const PAGE = 4_096
/** Without a reserve, or with a small one, the database may lag behind by so much: to bring it up costs two syncs. */
const LEAST_GROWTH = 262_144
/** The reserve takes this part of what is free at most: on a small disk there must be room for messages too. */
const RESERVE_PART = 8
/** The reserve is a multiple of so many bytes. */
const RESERVE_STEP = 65_536
/** Rows that one slice of a trimming removes. */
const SLICE = 2_000
/** The mark is brought to the disk so long after a commit, at the latest: see `mark.ts`. */
const MARK_SYNC_MS = 100
/** How long after a full disk the next slice, or the next reserve, is tried. */
const RETRY_MS = 1_000

/** What the thread does between the questions. */
export interface Upkeep {
  /** After each commit of so many bytes. Throws what the disk throws. */
  afterCommit(bytes: number): void
  /** Brings the WAL into the database and makes it empty. False when there was no room. */
  checkpoint(): boolean
  /**
   * Makes room when the disk is full: what lies in the WAL goes to the database, for which the reserve gives the room, and the WAL is
   * made empty. False when nothing was gained; `last` gives the reserve itself.
   */
  relieve(last: boolean): boolean
  /** Reserves room again, when that is due. */
  reserve(): void
  /** Ends all timers. */
  stop(): void
}

/** Upkeep of a loaded core; `failed` hears of a disk that refuses while nobody waits. */
export function makeUpkeep(core: Core, writer: Writer, failed: (error: unknown) => void): Upkeep {
  const { env, database, statements, mark, paths, options } = core
  const swept = new Map<number, number>()
  let commits = 0
  let unseen = 0
  let markTimer: Timer | undefined
  let sweepTimer: Timer | undefined
  let sweeping = false
  let stopped = false
  /** Bytes of the reserve; 0 while there is none. */
  let reserved = existsSync(paths.reserve) ? statSync(paths.reserve).size : 0
  let reserveAt = 0
  /** What the reserve is to have again once it was used; 0 as long as there was no room for any. */
  let wanted = reserved

  function guarded(run: () => void): () => void {
    return () => {
      if (stopped) return
      try {
        run()
      } catch (error) {
        failed(error)
      }
    }
  }

  /** Bytes by which the database file must grow to take in the WAL. */
  function growth(): number {
    const { page_count: pages } = statements.of('PRAGMA page_count').get() as { page_count: number }
    return Math.max(0, pages * PAGE - statSync(paths.file).size)
  }

  /**
   * Brings the WAL into the database when it has grown; an error of the disk must be seen, so it is not left to SQLite. It never holds
   * more new pages than the reserve has room for: so it can be emptied even on a full disk.
   */
  function lookAtWal(): void {
    const { log } = statements.of('PRAGMA wal_checkpoint(NOOP)').get() as { log: number }
    if (
      log < Math.min(WAL_PAGES, (2 * Math.max(wanted, LEAST_GROWTH)) / PAGE) &&
      growth() * 2 < Math.max(wanted, LEAST_GROWTH)
    )
      return
    try {
      database.exec('PRAGMA wal_checkpoint(PASSIVE)')
    } catch (error) {
      if (kindOf(error) !== 'full') throw error
    }
  }

  function checkpoint(): boolean {
    try {
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      return true
    } catch (error) {
      if (kindOf(error) !== 'full') throw error
      return false
    }
  }

  function release(): boolean {
    if (reserved === 0) return false
    reserved = 0
    reserveAt = env.monotonicMs() + RETRY_MS
    rmSync(paths.reserve, { force: true })
    return true
  }

  function sweep(): void {
    sweeping = false
    const [stream] = writer.trimmed
    if (stream === undefined) return
    const { n } = stream
    try {
      const first =
        swept.get(n) ??
        (statements.of(`SELECT min(offset) AS first FROM e_${n}`).get() as { first: number | null }).first
      const to = Math.min(stream.first, (first ?? stream.first) + SLICE)
      statements.of(`DELETE FROM e_${n} WHERE offset < ?`).run(to)
      swept.set(n, to)
      if (to >= stream.first) {
        writer.trimmed.delete(stream)
        swept.delete(n)
      }
    } catch (error) {
      if (kindOf(error) !== 'full') throw error
      sweepTimer = env.after(RETRY_MS, guarded(sweep))
      sweeping = true
      return
    }
    lookAtWal()
    soon()
  }

  function soon(): void {
    if (sweeping || stopped || writer.trimmed.size === 0) return
    sweeping = true
    // In the next turn: a question that came meanwhile goes first.
    env.nextTurn(guarded(sweep))
  }

  function reserve(): void {
    if (reserved > 0 || options.reserveBytes === 0 || env.monotonicMs() < reserveAt) return
    reserveAt = env.monotonicMs() + RETRY_MS
    if (wanted === 0) wanted = Math.min(options.reserveBytes, partOfDisk(dirname(paths.reserve)))
    if (wanted === 0) return
    const descriptor = openSync(paths.reserve, 'w', 0o600)
    try {
      // Written, for a hole in a file reserves nothing.
      const written = writeSync(descriptor, Buffer.alloc(wanted, 0xff))
      fsyncSync(descriptor)
      // A short write says that the disk is full as well.
      if (written === wanted) reserved = wanted
    } catch (error) {
      if (kindOf(error) !== 'full') throw error
    } finally {
      closeSync(descriptor)
      if (reserved === 0) rmSync(paths.reserve, { force: true })
    }
  }

  return {
    afterCommit(bytes) {
      if (markTimer === undefined) {
        const sync = guarded(() => {
          markTimer = undefined
          mark.sync()
        })
        markTimer = env.after(MARK_SYNC_MS, sync)
      }
      soon()
      unseen += bytes
      if (++commits % LOOK_EVERY !== 0 && unseen < Math.max(wanted, LEAST_GROWTH) / 4) return
      unseen = 0
      lookAtWal()
    },
    checkpoint,
    relieve(last) {
      const grows = growth()
      if (last) return release()
      if (grows === 0) return checkpoint()
      if (grows > wanted) return false
      // Also without a reserve: a part of the WAL may fit in.
      release()
      const done = checkpoint()
      reserveAt = 0
      reserve()
      return done
    },
    reserve,
    stop() {
      stopped = true
      markTimer?.cancel()
      sweepTimer?.cancel()
    },
  }
}

/** How much of a disk the reserve may take. */
function partOfDisk(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return Math.floor((bavail * bsize) / RESERVE_PART / RESERVE_STEP) * RESERVE_STEP
}
