import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import type { Timer } from '../../kit/env.ts'
import type { Writer } from './commit.ts'
import type { Core } from './core.ts'
import { kindOf } from './faults.ts'

/** Pages in the WAL from which on it is brought into the database: 8 MiB. It is then written from its start again, and stays so large. */
const WAL_PAGES = 2_000
/** After so many commits the WAL is measured. */
const LOOK_EVERY = 16
/** Bytes of a page of the database. */
const PAGE = 4_096
/** Without a reserve, or with a small one, the database may lag behind by so much: to bring it up costs two syncs. */
const LEAST_GROWTH = 262_144
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
  let reserved = existsSync(paths.reserve)
  let reserveAt = 0

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
    if (log < WAL_PAGES && growth() * 2 < Math.max(options.reserveBytes, LEAST_GROWTH)) return
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
    if (!reserved) return false
    reserved = false
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
    if (reserved || options.reserveBytes === 0 || env.monotonicMs() < reserveAt) return
    reserveAt = env.monotonicMs() + RETRY_MS
    const descriptor = openSync(paths.reserve, 'w', 0o600)
    try {
      // Written, for a hole in a file reserves nothing.
      writeSync(descriptor, Buffer.alloc(options.reserveBytes, 0xff))
      fsyncSync(descriptor)
      reserved = true
    } catch (error) {
      if (kindOf(error) !== 'full') throw error
    } finally {
      closeSync(descriptor)
      if (!reserved) rmSync(paths.reserve, { force: true })
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
      if (++commits % LOOK_EVERY !== 0 && unseen < options.reserveBytes / 4) return
      unseen = 0
      lookAtWal()
    },
    checkpoint,
    relieve(last) {
      const grows = growth()
      if (last) return release()
      if (grows === 0) return checkpoint()
      if (grows > options.reserveBytes || !release()) return false
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
