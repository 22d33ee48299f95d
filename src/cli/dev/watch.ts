import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import type { Env, Timer } from '../../kit/env.ts'
import { describeThrown } from '../../kit/errors.ts'
import { CliError, EXIT } from '../faults.ts'
import { hashOfFile } from './hash.ts'

/** Tells when files have another content. */
export interface FileWatch {
  /** The file counts from now on; a content other than the one of this hash is a change. */
  know(path: string, hash: string): void
  /** Only these count any more. */
  keep(paths: ReadonlySet<string>): void
  /** True: sources that nobody has read yet count as well, since one of them may be what is missing. Default false. */
  any(on: boolean): void
  /** Resolves once there is a change that was not taken. */
  changed(): Promise<void>
  /** The files that have changed since the last call, sorted. */
  take(): readonly string[]
  close(): void
}

/** Changes that come within it are one. */
const QUIET_MS = 100
/** Changes that go on and on are told after it. */
const MOST_MS = 1_000
const MOST_FOLDERS = 2_000
const SOURCE = /\.(?:ww|[cm]?[jt]s|json)$/
/** Packages, and folders such as .git: no part of a swarm. */
const IGNORED = /^(?:node_modules|\..*)$/

/**
 * Watches a folder with all below it, and the folders of all files that are known. What is known is compared by its content, so that a
 * file that was only touched is no change, and one that an editor replaces by another is. Throws a fault when the folder cannot be watched.
 */
export function watchFiles(folder: string, clock: Env): FileWatch {
  const hashes = new Map<string, string>()
  const watchers = new Map<string, FSWatcher>()
  const touched = new Set<string>()
  const changes = new Set<string>()
  let waiting = Promise.withResolvers<void>()
  let timer: Timer | undefined
  let firstMs: number | undefined
  let isAny = false

  function later(): void {
    const nowMs = clock.monotonicMs()
    firstMs ??= nowMs
    timer?.cancel()
    timer = clock.after(Math.max(0, Math.min(QUIET_MS, firstMs + MOST_MS - nowMs)), look)
  }

  function look(): void {
    timer = undefined
    firstMs = undefined
    for (const [path, before] of hashes) {
      const now = hashOfFile(path)
      if (now === before) continue
      hashes.set(path, now)
      changes.add(path)
    }
    for (const path of touched) changes.add(path)
    touched.clear()
    if (changes.size > 0) waiting.resolve()
  }

  function onEvent(own: string, type: string, name: string | null): void {
    const path = join(own, name ?? '')
    // Without a name it may be any of them.
    if (name === null || hashes.has(path)) {
      later()
      return
    }
    const found = type === 'rename' ? kindOf(path) : 'file'
    if (type === 'rename' && !IGNORED.test(name) && (found === 'folder' || watchers.has(path))) {
      // A folder that came, went, or was put in the place of another: what lies in it may be other files now.
      for (const one of watchers.keys()) if (one === path || one.startsWith(`${path}${sep}`)) drop(one)
      if (found === 'folder') {
        watchBelow(path)
        if (isAny) for (const one of namesIn(path)) if (SOURCE.test(one)) touched.add(join(path, one))
      }
      later()
    } else if (isAny && found === 'file' && SOURCE.test(name)) {
      touched.add(path)
      later()
    }
  }

  function watchOne(path: string): boolean {
    if (watchers.has(path)) return true
    try {
      const one = watch(path, (type, name) => onEvent(path, type, name))
      one.on('error', () => drop(path))
      watchers.set(path, one)
      return true
    } catch (error) {
      if (path !== folder) return false
      const next = 'see whether it may be read; Linux watches as many folders as fs.inotify.max_user_watches says'
      throw new CliError(EXIT.failed, `${folder} cannot be watched: ${describeThrown(error)}`, next)
    }
  }

  function watchBelow(path: string): void {
    const open = [path]
    for (let one = open.shift(); one !== undefined && watchers.size < MOST_FOLDERS; one = open.shift()) {
      if (watchOne(one)) open.push(...foldersIn(one))
    }
  }

  function drop(path: string): void {
    watchers.get(path)?.close()
    watchers.delete(path)
  }

  watchBelow(folder)
  return {
    know(path, hash) {
      if (!hashes.has(path)) hashes.set(path, hash)
      watchOne(dirname(path))
      // It may have changed before its folder was watched.
      later()
    },
    keep(paths) {
      for (const path of hashes.keys()) if (!paths.has(path)) hashes.delete(path)
    },
    any(on) {
      isAny = on
      if (!on) touched.clear()
    },
    changed: () => waiting.promise,
    take() {
      const taken = [...changes].sort()
      changes.clear()
      waiting = Promise.withResolvers()
      return taken
    },
    close() {
      timer?.cancel()
      for (const path of watchers.keys()) drop(path)
    },
  }
}

function kindOf(path: string): 'folder' | 'file' | undefined {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file'
  } catch {
    return undefined
  }
}

function foldersIn(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((one) => one.isDirectory() && !IGNORED.test(one.name))
      .map(({ name }) => join(path, name))
  } catch {
    return []
  }
}

function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
