// Runs before anything is installed, on Node 18: no dependency, no newer API.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { hasProgram, mayInstall } from './brokers.mjs'
import { runChild } from './child.mjs'

const SCRIPT = fileURLToPath(new URL('apt-install.sh', import.meta.url))

/**
 * Installs Debian packages that are named like their programs, if it may, and leaves their services asleep.
 * @param {readonly string[]} programs
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, onBegin: () => void, onStart: (pid: number) => void }} options
 *   `onBegin` is called when it is going to
 * @returns {Promise<string>} why some could not be installed; empty when all were
 */
export async function installPrograms(programs, { cwd, env, onBegin, onStart }) {
  const isRoot = process.getuid?.() === 0
  const allowed = mayInstall({
    platform: process.platform,
    hasApt: hasProgram(env.PATH ?? '', 'apt-get'),
    isRoot,
    hasSudo: !isRoot && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0,
    wish: env.SWARMBUS_INSTALL,
  })
  if ('why' in allowed) return allowed.why
  onBegin()
  const [command = 'sh', ...args] = [...allowed.prefix, 'sh', SCRIPT, '/usr/sbin/policy-rc.d', ...programs]
  const { code, output, interrupted } = await runChild(command, args, { cwd, env, capture: true, onStart })
  if (interrupted) process.exit(code)
  const fault = output.split('\n').findLast((line) => /^E: |error/i.test(line))
  return code === 0 ? '' : `apt-get failed (${fault ?? `exit code ${code}`})`
}
