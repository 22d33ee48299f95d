// `node scripts/run.mjs <task> [args…]`: sets the repository up if need be, then runs a task of tasks.mjs. Works on a bare
// Node 18 with nothing installed, so it and its modules depend on nothing.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { missingBrokers, skippedLine, testsThatNeed } from './brokers.mjs'
import { runChild } from './child.mjs'
import { SetupError, setUp } from './setup.mjs'
import { closingLine, skippedIn, tallyVitest } from './tally.mjs'
import { RESULTS_FILE, TASKS, TOOL_PACKAGES } from './tasks.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const [name = '', ...extra] = process.argv.slice(2)
process.exitCode = await main()

/** @returns {Promise<number>} the exit code */
async function main() {
  const task = Object.hasOwn(TASKS, name) ? TASKS[name] : undefined
  if (!task) {
    const list = Object.entries(TASKS).map(([known, { summary }]) => `  ${known.padEnd(6)} ${summary}`)
    process.stderr.write(`${name ? `Unknown task: ${name}` : 'No task given'}. The tasks are:\n${list.join('\n')}\n`)
    return 2
  }
  try {
    const ready = await setUp(root, name, task)
    const steps = task.steps(extra, (path) => existsSync(join(root, path)))
    return name === 'test' ? await runCounted(steps, ready) : await runSteps(steps, ready)
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

/**
 * Runs the steps until one fails, and ends with a line that counts each test, and each other step as one.
 * @param {readonly import('./tasks.mjs').Step[]} steps
 * @param {import('./setup.mjs').Ready} ready
 */
async function runCounted(steps, ready) {
  const total = { passed: 0, failed: 0 }
  let code = 0
  let skipped = 0
  for (const step of steps) {
    const counts = step.name === 'unit'
    const results = join(root, RESULTS_FILE)
    if (counts) rmSync(results, { force: true })
    code = await announced(step, ready, !counts)
    const json = counts && existsSync(results) ? readFileSync(results, 'utf8') : undefined
    const tally = counts ? tallyVitest(json, code) : { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 }
    if (counts) skipped = skippedIn(json)
    total.passed += tally.passed
    total.failed += tally.failed
    if (code !== 0) break
  }
  for (const line of leftOut(ready)) console.log(line)
  if (skipped > 0) console.log(`${skipped} skipped`)
  console.log(closingLine(total))
  return code
}

/**
 * What vitest.config.ts left out, said again where it is not overlooked.
 * @param {import('./setup.mjs').Ready} ready
 */
function leftOut({ env }) {
  return missingBrokers(env.PATH ?? '').map((broker) =>
    skippedLine(broker, 'see the set-up above', testsThatNeed(root, broker).length),
  )
}

/**
 * @param {readonly import('./tasks.mjs').Step[]} steps
 * @param {import('./setup.mjs').Ready} ready
 */
async function runSteps(steps, ready) {
  for (const step of steps) {
    const code = steps.length > 1 ? await announced(step, ready, true) : (await runStep(step, ready, false)).code
    if (code !== 0) return code
  }
  return 0
}

/**
 * @param {import('./tasks.mjs').Step} step
 * @param {import('./setup.mjs').Ready} ready
 * @param {boolean} capture shows the step's own output only if it fails
 */
async function announced(step, ready, capture) {
  const started = Date.now()
  const { code, output } = await runStep(step, ready, capture)
  if (code !== 0 && output) console.log(output.trimEnd())
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  console.log(`${step.name} ${code === 0 ? 'passed' : 'failed'} (${seconds} s)`)
  return code
}

/**
 * @param {import('./tasks.mjs').Step} step
 * @param {import('./setup.mjs').Ready} ready
 * @param {boolean} capture
 */
async function runStep(step, { node, env }, capture) {
  for (const folder of step.clean ?? []) rmSync(join(root, folder), { recursive: true, force: true })
  const colored = capture && process.stdout.isTTY && !env.NO_COLOR ? { ...env, FORCE_COLOR: '1' } : env
  let output = ''
  for (const [tool, ...args] of step.commands) {
    const program = tool === 'node' ? [] : [programOf(tool)]
    const ended = await runChild(node, [...program, ...args], { cwd: root, env: colored, capture })
    output += ended.output
    if (ended.code !== 0 || ended.interrupted) return { code: ended.code, output }
  }
  return { code: 0, output }
}

/** @param {keyof typeof TOOL_PACKAGES} tool */
function programOf(tool) {
  const home = join(root, 'node_modules', TOOL_PACKAGES[tool])
  const { bin } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
  return join(home, typeof bin === 'string' ? bin : bin[tool])
}
