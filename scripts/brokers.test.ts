import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BROKERS, mayInstall, missingBrokers, serverPath, skippedLine, testsThatNeed } from './brokers.mjs'
import { isCi } from './setup.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const [redis, nats] = BROKERS as [(typeof BROKERS)[number], (typeof BROKERS)[number]]
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmbus-brokers-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function put(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}

const debian = { platform: 'linux', hasApt: true, isRoot: false, hasSudo: false, wish: undefined } as const

test('a missing broker is installed by root, or with a sudo that asks nothing, where there is apt-get', () => {
  expect(mayInstall({ ...debian, isRoot: true })).toEqual({ prefix: [] })
  expect(mayInstall({ ...debian, hasSudo: true })).toEqual({ prefix: ['sudo', '-n'] })
})

test.each([
  ['sudo asks for a password here', debian],
  ['this system has no apt-get', { ...debian, isRoot: true, hasApt: false }],
  ['this system has no apt-get', { ...debian, isRoot: true, platform: 'darwin' }],
  ['SWARMBUS_INSTALL=no', { ...debian, isRoot: true, wish: 'no' }],
] as const)('a missing broker is not installed, and the reason is said: %s', (why, facts) => {
  expect(mayInstall(facts)).toEqual({ why })
})

test('the line about a missing broker names it, the reason, what is left out and how to install it', () => {
  expect(skippedLine(redis, 'sudo asks for a password here', 12)).toBe(
    'SKIPPED: redis-server is not installed: sudo asks for a password here. 12 test files that need it are not run. Install it ' +
      '(Debian and Ubuntu: sudo apt-get install redis-server; macOS: brew install redis) and run the command again.',
  )
})

test.skipIf(process.platform === 'win32')('a broker is missing unless its program can be executed from PATH', () => {
  put('full/redis-server', '#!/bin/sh\n')
  put('flat/redis-server', '#!/bin/sh\n')
  mkdirSync(join(folder, 'folder/redis-server'), { recursive: true })
  chmodSync(join(folder, 'full/redis-server'), 0o755)
  const missing = (...parts: string[]): readonly string[] =>
    missingBrokers(parts.map((part) => join(folder, part)).join(':')).map(({ program }) => program)
  expect(missing('flat', 'full')).toEqual(['nats-server'])
  expect(missing('flat', 'folder')).toEqual(['redis-server', 'nats-server'])
  expect(missingBrokers('')).toEqual(BROKERS)
})

test('the folders of servers are looked through last, and only once', () => {
  expect(serverPath('/opt/bin:/usr/sbin', 'linux')).toBe('/opt/bin:/usr/sbin:/usr/local/sbin')
  expect(serverPath('', 'linux')).toBe('/usr/local/sbin:/usr/sbin')
  expect(serverPath('C:\\x', 'win32')).toBe('C:\\x')
})

test('a test needs a broker that it or a module of its own starts, and no other', () => {
  put('test/servers/redis.ts', "import './server.ts'\n")
  put('test/servers/nats.ts', "import './server.ts'\n")
  put('src/log/plain.test.ts', "import { log } from './log.ts'\n")
  put('src/log/own.test.ts', "import { startRedis } from '../../test/servers/redis.ts'\n")
  put('src/log/late.test.ts', "const { startRedis } = await import('../../test/servers/redis.ts')\n")
  put('test/faults/support.ts', "export { startNats } from '../servers/nats.ts'\nimport './deep.ts'\n")
  put('test/faults/deep.ts', "import './support.ts'\nimport { startRedis } from '../servers/redis.ts'\n")
  put('test/faults/both.test.ts', "import {\n  startNats,\n} from './support.ts'\n")
  put('src/node_modules/x/own.test.ts', "import '../../../test/servers/redis.ts'\n")
  expect(testsThatNeed(folder, redis)).toEqual([
    'src/log/late.test.ts',
    'src/log/own.test.ts',
    'test/faults/both.test.ts',
  ])
  expect(testsThatNeed(folder, nats)).toEqual(['test/faults/both.test.ts'])
})

test('each broker has its starter here, and the test of the starters needs them all', () => {
  for (const broker of BROKERS) {
    expect(readFileSync(join(root, broker.starter), 'utf8')).toContain(`'${broker.program}'`)
    expect(testsThatNeed(root, broker)).toContain('test/servers/servers.test.ts')
  }
})

test('CI is what the variable CI says, and not that it is there', () => {
  expect([{ CI: 'true' }, { CI: '1' }, { CI: '' }, { CI: 'false' }, {}].map(isCi)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
})
