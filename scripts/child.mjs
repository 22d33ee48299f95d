import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** @typedef {{ code: number, output: string, interrupted: boolean }} Ended */

/**
 * Runs a program to its end, forwarding SIGINT and SIGTERM. `code` is its exit code, or 128 + n if signal n ended it.
 * With `capture`, stdout and stderr are returned instead of shown.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, capture?: boolean, shell?: boolean, onStart?: (pid: number) => void }} options
 * @returns {Promise<Ended>}
 */
export function runChild(command, args, { cwd, env, capture = false, shell = false, onStart }) {
  return new Promise((resolve) => {
    let output = ''
    let interrupted = false
    /** @type {import('node:child_process').StdioOptions} */
    const stdio = capture ? ['ignore', 'pipe', 'pipe'] : 'inherit'
    const child = spawn(command, args, { cwd, env, stdio, shell })
    if (child.pid !== undefined) onStart?.(child.pid)
    child.stdout?.setEncoding('utf8').on('data', (text) => (output += text))
    child.stderr?.setEncoding('utf8').on('data', (text) => (output += text))
    /** @param {NodeJS.Signals} signal */
    const forward = (signal) => {
      interrupted = true
      // A terminal has already sent its Ctrl-C to the child: a second one would mean "at once" to many programs.
      if (signal === 'SIGINT' && process.stdin.isTTY) return
      child.kill(signal)
    }
    process.on('SIGINT', forward).on('SIGTERM', forward)
    const orphan = watchParent(() => forward('SIGTERM'))
    /** @param {number} code */
    const end = (code) => {
      process.off('SIGINT', forward).off('SIGTERM', forward)
      clearInterval(orphan)
      resolve({ code, output, interrupted })
    }
    child.on('error', (error) => {
      output += `${error.message}\n`
      end(127)
    })
    child.on('close', (code, signal) => end(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
}

/**
 * Calls `onGone` once when the parent ends first. npm runs a script in a shell, and passes SIGTERM only to that shell, which
 * dies of it without telling anybody.
 * @param {() => void} onGone
 * @returns {NodeJS.Timeout | undefined} undefined when npm is not the caller: others may leave on purpose
 */
function watchParent(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return undefined
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    onGone()
  }, 200)
  return timer
}
