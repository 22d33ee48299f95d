// Runs before anything is installed, on Node 18: no dependency, no newer API.
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'

/**
 * @typedef {object} Broker a server that tests start by themselves
 * @property {string} program that must be found in PATH; Debian's package has the same name
 * @property {string} starter the module that starts it, from the repository's root: a test needs what it imports
 * @property {string} advice how people install it
 */

/** @type {readonly Broker[]} */
export const BROKERS = [
  { program: 'redis-server', starter: 'test/servers/redis.ts', advice: adviceFor('redis-server', 'redis') },
  { program: 'nats-server', starter: 'test/servers/nats.ts', advice: adviceFor('nats-server', 'nats-server') },
]

/**
 * @param {string} debian
 * @param {string} brew
 */
function adviceFor(debian, brew) {
  return `Debian and Ubuntu: sudo apt-get install ${debian}; macOS: brew install ${brew}`
}

/**
 * Debian installs servers into sbin, which a user's PATH lacks.
 * @param {string} path
 * @param {NodeJS.Platform} platform
 * @returns {string} the same with the folders of servers at its end
 */
export function serverPath(path, platform) {
  if (platform === 'win32') return path
  const parts = path.split(delimiter).filter(Boolean)
  return [...parts, ...['/usr/local/sbin', '/usr/sbin'].filter((folder) => !parts.includes(folder))].join(delimiter)
}

/**
 * The brokers whose program is not to be found.
 * @param {string} path as in the variable PATH
 * @param {readonly Broker[]} [brokers]
 * @returns {readonly Broker[]}
 */
export function missingBrokers(path, brokers = BROKERS) {
  return brokers.filter(({ program }) => !hasProgram(path, program))
}

/**
 * @param {string} path
 * @param {string} program
 * @returns {boolean}
 */
export function hasProgram(path, program) {
  const names = process.platform === 'win32' ? [`${program}.exe`, `${program}.cmd`] : [program]
  return path.split(delimiter).some((folder) => names.some((name) => isExecutable(join(folder, name))))
}

/**
 * @param {string} file
 * @returns {boolean}
 */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/**
 * @typedef {object} Facts
 * @property {NodeJS.Platform} platform
 * @property {boolean} hasApt
 * @property {boolean} isRoot
 * @property {boolean} hasSudo whether sudo works without asking for a password
 * @property {string | undefined} wish the variable SWARMBUS_INSTALL: `no` leaves the system's packages alone
 */

/**
 * Whether the set-up may install a missing broker: the words before the command that does, or why not.
 * @param {Facts} facts
 * @returns {{ prefix: readonly string[] } | { why: string }}
 */
export function mayInstall({ platform, hasApt, isRoot, hasSudo, wish }) {
  if (wish === 'no') return { why: 'SWARMBUS_INSTALL=no' }
  if (platform !== 'linux' || !hasApt) return { why: 'this system has no apt-get' }
  if (isRoot) return { prefix: [] }
  return hasSudo ? { prefix: ['sudo', '-n'] } : { why: 'sudo asks for a password here' }
}

/**
 * The line that tells about a missing broker.
 * @param {Broker} broker
 * @param {string} why the set-up did not install it
 * @param {number} [files] test files that are left out
 * @returns {string}
 */
export function skippedLine({ program, advice }, why, files) {
  const left = files === undefined ? '' : ` ${files} test files that need it are not run.`
  return `SKIPPED: ${program} is not installed: ${why}.${left} Install it (${advice}) and run the command again.`
}

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)['"](\.{1,2}\/[^'"]+)['"]/g

/**
 * The test files that start a broker, by themselves or through a module of the tests that they import.
 * @param {string} root of the repository
 * @param {Broker} broker
 * @returns {readonly string[]} paths from the root, with `/`
 */
export function testsThatNeed(root, { starter }) {
  const target = resolve(root, starter)
  /** @type {Map<string, readonly string[]>} */
  const imports = new Map()
  /** @param {string} file */
  const importsOf = (file) => {
    const known = imports.get(file)
    if (known !== undefined) return known
    const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
    const found = [...text.matchAll(IMPORT)].map((match) => resolve(dirname(file), match[1] ?? ''))
    imports.set(file, found)
    return found
  }
  /** @param {string} test */
  const reaches = (test) => {
    const seen = new Set([test])
    for (const file of seen) {
      if (file === target) return true
      for (const next of importsOf(file)) seen.add(next)
    }
    return false
  }
  return testsIn(root)
    .filter((test) => reaches(resolve(root, test)))
    .sort()
}

/**
 * @param {string} root
 * @returns {readonly string[]}
 */
function testsIn(root) {
  /** @type {string[]} */
  const found = []
  /** @param {string} folder */
  const walk = (folder) => {
    if (!existsSync(join(root, folder))) return
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (entry.name === 'node_modules') continue
      if (entry.isDirectory()) walk(`${folder}/${entry.name}`)
      else if (entry.name.endsWith('.test.ts')) found.push(`${folder}/${entry.name}`)
    }
  }
  for (const folder of ['src', 'test', 'scripts']) walk(folder)
  return found
}
