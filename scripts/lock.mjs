import { linkSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'

const BEAT_MS = 2_000
const SILENT_MS = 30_000

/**
 * @typedef {object} Owner
 * @property {number} pid
 * @property {string} host
 * @property {number} [worker] the program that does the work; it outlives an owner that was killed
 */

/**
 * Whether a lock's owner is gone. A pid is only meaningful on its own host and may be reused by another program, so a lock
 * whose heart has not beaten for 30 s is stale as well.
 * @param {Owner | undefined} owner undefined when the lock file cannot be read as one
 * @param {{ pid: number, host: string, silentMs: number, isAlive: (pid: number) => boolean }} seen from here
 * @returns {boolean}
 */
export function isStale(owner, { pid, host, silentMs, isAlive }) {
  if (silentMs > SILENT_MS) return true
  if (owner === undefined || owner.host !== host) return false
  if (owner.worker !== undefined && isAlive(owner.worker)) return false
  return owner.pid === pid || !isAlive(owner.pid)
}

/**
 * Runs `work` while holding the lock file; waits for a living holder, takes over from a dead one.
 * @template T
 * @param {string} path
 * @param {() => void} onWait called once if somebody else holds it
 * @param {(name: (worker: number) => void) => Promise<T>} work `name` tells the lock which program does the work
 * @returns {Promise<T>}
 */
export async function withLock(path, onWait, work) {
  let waited = false
  while (!tryTake(path)) {
    if (!waited) onWait()
    waited = true
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const beat = setInterval(() => touch(path), BEAT_MS)
  const release = () => rmSync(path, { force: true })
  process.once('exit', release)
  try {
    return await work((worker) => writeOwner(path, worker))
  } finally {
    clearInterval(beat)
    process.off('exit', release)
    release()
  }
}

/**
 * @param {string} path
 * @returns {boolean}
 */
function tryTake(path) {
  const own = `${path}.${process.pid}`
  writeFileSync(own, ownerText())
  try {
    // link, not open: the lock appears with its content, so nobody can read it half written.
    linkSync(own, path)
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    removeIfStale(path, own)
    return false
  } finally {
    rmSync(own, { force: true })
  }
}

/**
 * @param {string} path
 * @param {string} own
 */
function removeIfStale(path, own) {
  try {
    const text = readFileSync(path, 'utf8')
    const silentMs = Date.now() - statSync(path).mtimeMs
    if (!isStale(parseOwner(text), { pid: process.pid, host: hostname(), silentMs, isAlive })) return
    // rename, not unlink: two that see the same dead owner must not remove the lock that one of them has just taken.
    const aside = `${own}.stale`
    renameSync(path, aside)
    if (readFileSync(aside, 'utf8') !== text) linkSync(aside, path)
    unlinkSync(aside)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'EEXIST') throw error
  }
}

/** @param {number} [worker] */
function ownerText(worker) {
  return JSON.stringify({ pid: process.pid, host: hostname(), worker })
}

/**
 * @param {string} path of the lock, which this process holds
 * @param {number} worker
 */
function writeOwner(path, worker) {
  const own = `${path}.${process.pid}`
  writeFileSync(own, ownerText(worker))
  renameSync(own, path)
}

/**
 * @param {string} text
 * @returns {Owner | undefined}
 */
function parseOwner(text) {
  try {
    const owner = JSON.parse(text)
    return typeof owner?.pid === 'number' && typeof owner.host === 'string' ? owner : undefined
  } catch {
    return undefined
  }
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/** @param {string} path */
function touch(path) {
  try {
    utimesSync(path, new Date(), new Date())
  } catch {
    // Taken away by somebody: the next link will decide.
  }
}

/**
 * @param {unknown} error
 * @returns {unknown}
 */
function codeOf(error) {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
