import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { missingBrokers, serverPath, skippedLine } from './brokers.mjs'
import { runChild } from './child.mjs'
import { chooseNode } from './engine.mjs'
import { fingerprint } from './fingerprint.mjs'
import { installPrograms } from './install-programs.mjs'
import { withLock } from './lock.mjs'
import { missingPackages } from './missing.mjs'

/** Set-up cannot go on; the message says what to do next. */
export class SetupError extends Error {}

/** @typedef {{ node: string, env: NodeJS.ProcessEnv }} Ready the Node to use and the environment for its children */

/**
 * Makes sure that a task can run: a suitable Node, the root's packages, and those of the folders in `installs`; with `brokers`, the
 * servers that tests start, where it may install them. Says on stderr what it does, and nothing when nothing is to do. Safe to run from
 * several processes at once.
 * @param {string} root
 * @param {string} task
 * @param {Pick<import('./tasks.mjs').Task, 'installs' | 'brokers'>} needs
 * @returns {Promise<Ready>}
 */
export async function setUp(root, task, { installs = [], brokers = false }) {
  const node = await readyNode(root, task)
  const ready = { node, env: environment(root, node) }
  for (const folder of ['.', ...installs]) {
    if (existsSync(join(root, folder, 'package-lock.json'))) await install(root, folder, ready)
  }
  if (brokers) await readyBrokers(root, ready.env)
  return ready
}

/**
 * A broker that is still missing afterwards costs the tests that need it, and in CI everything.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
async function readyBrokers(root, env) {
  const path = pathOf(env)
  const missing = () => missingBrokers(path)
  if (missing().length === 0) return
  let why = ''
  await withLock(join(root, '.setup.lock'), onWait, async (onStart) => {
    const programs = missing().map(({ program }) => program)
    if (programs.length === 0) return
    const started = Date.now()
    const onBegin = () => say(`installing ${programs.join(', ')} for the tests …`)
    why = await installPrograms(programs, { cwd: root, env, onBegin, onStart })
    const left = missing().map(({ program }) => program)
    const done = programs.filter((program) => !left.includes(program))
    if (done.length > 0) say(`installed ${done.join(', ')} in ${((Date.now() - started) / 1000).toFixed(1)} s`)
  })
  const lines = missing().map((broker) => skippedLine(broker, why))
  if (lines.length > 0 && isCi(env)) {
    throw new SetupError(`${lines.join('\n').replaceAll('SKIPPED: ', '')}\nWith CI set, no test is left out.`)
  }
  for (const line of lines) say(line)
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {boolean}
 */
export function isCi({ CI }) {
  return CI !== undefined && !['', '0', 'false'].includes(CI)
}

/**
 * @param {string} root
 * @param {string} task
 * @returns {Promise<string>} the program
 */
async function readyNode(root, task) {
  const range = readJson(join(root, 'package.json')).engines.node
  const pack = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const pinned = readJson(join(root, 'tools/node/package.json')).optionalDependencies[pack]
  const current = process.version
  const choice = chooseNode({ task, current, range, pinned })
  const advice = `Install Node ${range} (https://nodejs.org) and run the command again.`
  if (choice === 'current') return process.execPath
  if (choice === 'none') {
    throw new SetupError(
      `swarmbus needs Node ${range}; this is ${current}, and no pinned Node exists for ${process.platform}-${process.arch}. ${advice}`,
    )
  }
  try {
    await install(root, 'tools/node', { node: process.execPath, env: environment(root, process.execPath) })
    const home = join(root, 'tools/node/node_modules', pack)
    const program = join(home, readJson(join(home, 'package.json')).bin.node)
    const { code, output } = await runChild(program, ['--version'], { cwd: root, env: process.env, capture: true })
    if (code !== 0) throw new SetupError(`The pinned Node ${pinned} does not run here: ${output.trim()}\n${advice}`)
    return program
  } catch (error) {
    const fallback = chooseNode({ task: 'any other', current, range, pinned })
    if (fallback !== 'current' || !(error instanceof SetupError)) throw error
    say(`the pinned Node ${pinned} cannot be used, going on with ${current}`)
    return process.execPath
  }
}

/**
 * @param {string} root
 * @param {string} folder
 * @param {Ready} ready
 */
async function install(root, folder, ready) {
  const modules = join(root, folder, 'node_modules')
  const mark = join(modules, '.setup')
  const wanted = fingerprint(readFileSync(join(root, folder, 'package-lock.json')), process.platform, process.arch)
  const isDone = () => existsSync(mark) && readFileSync(mark, 'utf8') === wanted
  if (isDone()) return
  // Not inside node_modules, which `npm ci` removes.
  await withLock(join(root, '.setup.lock'), onWait, async (onStart) => {
    if (isDone()) return
    const what = folder === 'tools/node' ? 'the pinned Node' : folder === '.' ? 'packages' : `packages of ${folder}/`
    say(`installing ${what} …`)
    const started = Date.now()
    await npmCi(join(root, folder), ready, onStart)
    mkdirSync(modules, { recursive: true })
    writeFileSync(mark, wanted)
    say(`installed ${what} in ${((Date.now() - started) / 1000).toFixed(1)} s`)
  })
}

/**
 * @param {string} cwd
 * @param {Ready} ready
 * @param {(pid: number) => void} onStart
 */
async function npmCi(cwd, { node, env }, onStart) {
  // Dev and optional packages are named: NODE_ENV=production or a user's `omit` would leave the tools out.
  const args = ['ci', '--ignore-scripts', '--loglevel=error', '--include=dev', '--include=optional']
  const script = process.env.npm_execpath
  const isNpm = script !== undefined && /npm-cli\.[cm]?js$/.test(script)
  const { code, output, interrupted } = isNpm
    ? await runChild(node, [script, ...args], { cwd, env, capture: true, onStart })
    : await runChild('npm', args, { cwd, env, capture: true, onStart, shell: process.platform === 'win32' })
  if (interrupted) process.exit(code)
  const missing = code === 0 ? missingIn(cwd) : []
  if (code === 0 && missing.length === 0) return
  const fault = code === 0 ? `left out ${missing.join(', ')}` : `failed (exit code ${code})`
  throw new SetupError(
    `${output.trim()}\n\n"npm ci" in ${cwd} ${fault}. Check that the npm registry can be reached (npm ping) and that ` +
      'the disk has room, then run the same command again; if it keeps failing, remove node_modules there first.',
  )
}

/**
 * @param {string} folder
 * @returns {readonly string[]}
 */
function missingIn(folder) {
  const { packages } = readJson(join(folder, 'package-lock.json'))
  const platform = { os: process.platform, cpu: process.arch, libc: libcOf() }
  return missingPackages(packages, platform, (path) => existsSync(join(folder, path)))
}

/** @returns {string | undefined} */
function libcOf() {
  if (process.platform !== 'linux') return undefined
  /** @type {any} */
  const report = process.report.getReport()
  return report.header.glibcVersionRuntime ? 'glibc' : 'musl'
}

/**
 * @param {string} root
 * @param {string} node
 * @returns {NodeJS.ProcessEnv}
 */
function environment(root, node) {
  const env = { ...process.env }
  const path = serverPath(pathOf(env), process.platform)
  env[pathKey(env)] = [dirname(node), join(root, 'node_modules/.bin'), path].filter(Boolean).join(delimiter)
  return env
}

/** @param {NodeJS.ProcessEnv} env */
function pathKey(env) {
  // Windows spells it Path, and a copy of process.env has lost its case-insensitivity.
  return Object.keys(env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH'
}

/** @param {NodeJS.ProcessEnv} env */
function pathOf(env) {
  return env[pathKey(env)] ?? ''
}

/**
 * @param {string} path
 * @returns {any}
 */
function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function onWait() {
  say('waiting for another process that is installing')
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`set-up: ${text}\n`)
}
