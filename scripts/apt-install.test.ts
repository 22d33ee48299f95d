import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

// The programs that the script calls are replaced by ones that write down how they were called.
const SCRIPT = fileURLToPath(new URL('apt-install.sh', import.meta.url))
const MARK = 'made by the set-up of swarmbus, which removes it'
let folder: string
let policy: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmbus-apt-'))
  mkdirSync(join(folder, 'bin'))
  mkdirSync(join(folder, 'sbin'))
  policy = join(folder, 'sbin/policy-rc.d')
  program('apt-get', installing('true'))
  program('systemctl', 'echo "systemctl $*" >>"$CALLS"; case "$*" in *is-active*) false ;; esac')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function program(name: string, body: string): void {
  const file = join(folder, 'bin', name)
  writeFileSync(file, `#!/bin/sh\n${body}\n`)
  chmodSync(file, 0o755)
}

/** An apt-get that notes its last words, and whether a service might start meanwhile; `install` says how an installation ends. */
function installing(install: string): string {
  return `
for last; do :; done
if "$POLICY" 2>/dev/null; then may=started; else may="asleep $?"; fi
case "$*" in
  *" update") echo update >>"$CALLS"; touch "$CALLS.updated" ;;
  *) echo "install $last, services $may, $DEBIAN_FRONTEND" >>"$CALLS"; ${install} ;;
esac`
}

function run(...packages: string[]): { readonly code: number | null; readonly calls: readonly string[] } {
  const calls = join(folder, 'calls')
  const env = { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, CALLS: calls, POLICY: policy }
  const { status } = spawnSync('sh', [SCRIPT, policy, ...packages], { env, encoding: 'utf8' })
  return { code: status, calls: existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : [] }
}

const onLinux = test.skipIf(process.platform !== 'linux')

onLinux('packages are installed with their services asleep, now and after the next boot, and no policy stays', () => {
  expect(run('one', 'two')).toEqual({
    code: 0,
    calls: [
      'systemctl --quiet is-active one.service',
      'install one, services asleep 101, noninteractive',
      'systemctl --quiet disable --now one.service',
      'systemctl --quiet is-active two.service',
      'install two, services asleep 101, noninteractive',
      'systemctl --quiet disable --now two.service',
    ],
  })
  expect(existsSync(policy)).toBe(false)
})

onLinux('a service that ran before is left alone', () => {
  program('systemctl', 'echo "systemctl $*" >>"$CALLS"')
  expect(run('one').calls.filter((call) => call.includes('disable'))).toEqual([])
})

onLinux('the lists of packages are fetched once, and only when a package is not found', () => {
  program('apt-get', installing('test -e "$CALLS.updated"'))
  expect(run('one', 'two').calls.filter((call) => !call.startsWith('systemctl'))).toEqual([
    'install one, services asleep 101, noninteractive',
    'update',
    'install one, services asleep 101, noninteractive',
    'install two, services asleep 101, noninteractive',
  ])
})

onLinux('a package that cannot be had fails the script, and the others are installed', () => {
  program('apt-get', installing('test "$last" = two'))
  const { code, calls } = run('one', 'two', 'three')
  expect(code).toBe(1)
  expect(calls.filter((call) => call === 'update')).toHaveLength(1)
  expect(calls.filter((call) => call.includes('disable'))).toEqual(['systemctl --quiet disable --now two.service'])
  expect(existsSync(policy)).toBe(false)
})

onLinux('a policy that is there stays as it is', () => {
  writeFileSync(policy, '#!/bin/sh\nexit 0\n')
  chmodSync(policy, 0o755)
  expect(run('one').calls).toContain('install one, services started, noninteractive')
  expect(readFileSync(policy, 'utf8')).toBe('#!/bin/sh\nexit 0\n')
})

onLinux('a policy of ours that a killed run left is removed', () => {
  writeFileSync(policy, `#!/bin/sh\n# ${MARK}\nexit 101\n`)
  expect(run('one').code).toBe(0)
  expect(existsSync(policy)).toBe(false)
})

onLinux('a run that is asked to end removes its policy', () => {
  program('apt-get', `${installing('true')}\nkill -TERM $PPID`)
  expect(run('one').code).toBe(143)
  expect(existsSync(policy)).toBe(false)
})
