import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cli, filled, fillFile, folder, namesIn } from '../../test/cli/support.ts'
import { sqliteLog } from '../log/sqlite/sqlite.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
const shared = mkdtempSync(join(tmpdir(), 'swarmbus-cli-run-'))
beforeAll(() => fillFile(join(shared, 'swarm.db'), (bus) => bus.publish('a', 1)))
afterAll(() => rmSync(shared, { recursive: true, force: true }))

const READING: readonly (readonly [string, ...string[]])[] = [
  ['tail', '>', '--no-follow'],
  ['replay', '>'],
  ['dead-letters', 'list'],
  ['dead-letters', 'show', 'tasks/dead:1'],
  ['dead-letters', 'redrive', 'tasks/dead:1'],
  ['dead-letters', 'redrive', '--all'],
  ['dead-letters', 'discard', 'tasks/dead:1', '--yes'],
  ['channels'],
  ['groups'],
  ['stats'],
]

test('the version is that of package.json', async () => {
  for (const flag of ['--version', '-V']) {
    expect(await cli([flag])).toMatchObject({ code: 0, out: `${version}\n`, err: '' })
  }
  expect(JSON.parse((await cli(['--json', '--version'])).out)).toEqual({ version: version })
  expect((await cli(['stats', '--version'])).out).toBe(`${version}\n`)
})

test('help goes to standard output when it is asked for, and to standard error when nothing is', async () => {
  for (const argv of [['--help'], ['help']]) {
    const { code, out, err } = await cli(argv)
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('dead-letters')
    expect(out).toContain('Exit codes')
  }
  for (const argv of [
    ['help', 'replay'],
    ['replay', '--help'],
  ]) {
    const { code, out } = await cli(argv)
    expect(code).toBe(0)
    expect(out).toContain('--pace')
    expect(out).toContain('Examples:')
  }
  const bare = await cli([])
  expect([bare.code, bare.out]).toEqual([2, ''])
  expect(bare.err).toContain('Usage: swarmbus')
  expect((await cli(['dead-letters'])).code).toBe(2)
})

test.each([
  [['pubish'], /unknown command 'pubish' \(Did you mean publish\?\)/],
  [['dead-leters', 'list'], /Did you mean dead-letters/],
  [['dead-letters', 'lst'], /Did you mean list/],
  [['stats', '--jsn'], /unknown option '--jsn' \(Did you mean --json\?\)/],
  [['replay'], /missing required argument 'pattern'/],
  [['publish', 'a.b'], /missing required argument 'data'/],
  [['stats', 'extra'], /too many arguments/],
  [['stats', '--file'], /argument missing/],
  [['publish', 'a..b', '1'], /token 2 is empty/],
  [['publish', 'a.*', '1'], /wildcard|"\*"/],
  [['publish', 'a', '{a:1}'], /begins like JSON/],
  [['publish', 'a', '1', '--priority', 'urgent'], /Allowed choices are critical/],
  [['publish', 'a', '1', '--ttl', '5'], /'--ttl <duration>' argument '5' is invalid.*unit/],
  [['publish', 'a', '1', '--delay', 'soon'], /--delay/],
  [['publish', 'a', '1', '--session', ''], /--session.*empty/],
  [['publish', 'a', '1', '--key', ''], /--key.*empty/],
  [['publish', 'a', '1', '--id', 'x'], /"id"|id/],
  [['publish', 'a', '1', '--lines'], /--lines goes with -/],
  [['publish', 'a', '-', '--lines', '--id', 'x'], /--id and --key/],
  [['publish', 'a', '-', '--lines', '--key', 'x'], /--id and --key/],
  [['tail', 'a..b'], /token 2 is empty/],
  [['tail', '>', '--from', 'never'], /'--from <start>' argument 'never' is invalid/],
  [['tail', '>', '--last', '-1'], /--last/],
  [['replay', 'a.>.b'], /">"|last/],
  [['replay', '>', '--from', '25h30'], /--from/],
  [['replay', '>', '--to', 'first'], /--to/],
  [['replay', '>', '--last', '0'], /at least 1/],
  [['replay', '>', '--last', '5', '--from', '1h'], /"last" does not go with "from"/],
  [['replay', '>', '--pace', '0'], /--pace/],
  [['replay', '>', '--session', ''], /--session/],
  [['replay', '>', '--agent', ''], /--agent/],
  [['dead-letters', 'list', '--reason', 'bad'], /Allowed choices are handler-error/],
  [['dead-letters', 'list', '--since', 'x'], /--since/],
  [['dead-letters', 'list', '--before', '2026-02-30'], /--before/],
  [['dead-letters', 'list', '--limit', '0'], /--limit/],
  [['dead-letters', 'list', '--topic', 'a..b'], /token 2 is empty/],
  [['dead-letters', 'list', '--channel', ''], /--channel/],
  [['dead-letters', 'list', '--group', ''], /--group/],
  [['dead-letters', 'list', '--agent', ''], /--agent/],
  [['dead-letters', 'list', '--session', ''], /--session/],
  [['dead-letters', 'show', ''], /'id'.*empty/],
  [['dead-letters', 'redrive'], /nothing to redrive is named/],
  [['dead-letters', 'redrive', 'x/dead:1', '--all'], /do not go together/],
  [['dead-letters', 'redrive', 'x/dead:1', '--group', 'g'], /filters choose among all/],
  [['dead-letters', 'redrive', '--group', 'g'], /filters need --all/],
  [['dead-letters', 'redrive', '--all', '--rate', '0'], /--rate/],
  [['dead-letters', 'redrive', 'x/dead:1', '--rate', '5'], /--rate goes with --all/],
  [['dead-letters', 'redrive', '--all', '--data', '1'], /--data is for one id/],
  [['dead-letters', 'redrive', 'x/dead:1', '--data', '{'], /--data: it begins like JSON/],
  [['dead-letters', 'redrive', '--all', '--priority', 'low'], /--priority is for ids/],
  [['dead-letters', 'redrive', 'x/dead:1', '--priority', 'top'], /Allowed choices/],
  [['dead-letters', 'discard'], /nothing to discard is named/],
  [['dead-letters', 'discard', '--all'], /no terminal to ask at/],
  [['groups', '--channel', ''], /--channel/],
  [['doctor', ''], /'log'.*empty/],
  [['doctor', 'a.db', '--file', 'b.db'], /--file names a second log/],
  [['doctor', 'a.db', '--url', 'sqlite:b.db'], /--url names a second log/],
  [['doctor', 'memory:'], /lives inside one process/],
  [['doctor', 'redis://localhost', '--accept-loss'], /--accept-loss is for a file/],
  [['doctor', 'redis://localhost?colour=red'], /"colour" is no setting/],
  [['processes'], /a file belongs to one process/],
  [['trim'], /missing required argument 'channel'/],
  [['trim', 'tasks'], /nothing says what may go/],
  [['trim', 'tasks', '--max-count', '-1', '--yes'], /--max-count/],
  [['trim', 'tasks', '--max-age', '7', '--yes'], /--max-age.*unit/],
  [['trim', 'tasks', '--max-age', '7d'], /no terminal to ask at/],
])('%j is refused as wrong usage, with what to do next', async (argv, text) => {
  const { code, out, err } = await cli(argv, { env: { SWARMBUS_URL: `sqlite:${join(shared, 'swarm.db')}` } })
  expect(err).toMatch(text)
  expect([code, out]).toEqual([2, ''])
  const lines = err.trimEnd().split('\n')
  expect(lines).toHaveLength(2)
  expect(lines[0]).toMatch(/^swarmbus: /)
  expect(lines[1]).toMatch(/^next: .{10}/)
})

test('the log is named in one way, and must be one that others can open', async () => {
  const none = await cli(['stats'])
  expect([none.code, none.err]).toEqual([
    2,
    'swarmbus: no log is named\nnext: give --file FILE, or --url redis://HOST or nats://HOST, or set SWARMBUS_URL\n',
  ])
  for (const [argv, text] of [
    [['stats', '--file', 'a', '--url', 'sqlite:a'], /two logs/],
    [['stats', '--file', ''], /--file is empty/],
    [['stats', '--url', 'memory:'], /lives inside one process/],
    [['stats', '--url', 'sqlite:'], /name the file/],
    [['stats', '--url', 'nonsense'], /begin with memory:, sqlite:, redis:/],
    [['stats', '--url', 'redis://user:secret@host?color=red'], /"color" is no setting/],
    [['stats', '--url', 'ws://user:secret@host'], /no gateway/],
  ] as const) {
    const { code, err } = await cli(argv)
    expect(err).toMatch(text)
    expect(err).not.toContain('secret')
    expect(code).toBe(2)
  }
})

test('--file, --url and SWARMBUS_URL name the same log, before and behind the command', async () => {
  const file = await filled((bus) => bus.publish('a', 1))
  for (const [argv, env] of [
    [['stats', '--file', file], {}],
    [['--file', file, 'stats'], { SWARMBUS_URL: 'sqlite:/nowhere/else' }],
    [['stats', '--url', `sqlite:${file}`], {}],
    [['stats', '--url', `sqlite://${file}`], {}],
    [['stats'], { SWARMBUS_URL: `sqlite:${file}` }],
  ] as const) {
    const { code, out, err } = await cli([...argv, '--json'], { env })
    expect([code, err]).toEqual([0, ''])
    expect(JSON.parse(out)).toMatchObject({ messages: 1 })
  }
})

test.each(READING)('%s %s does not make a file that is not there', async (...argv) => {
  const path = folder()
  const { code, out, err } = await cli([...argv, '--file', join(path, 'none.db')])
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('there is no file')
  expect(namesIn(path)).toEqual([])
})

test('doctor does not make a file that is not there either, nor takes a folder for one', async () => {
  const path = folder()
  expect((await cli(['doctor', join(path, 'none.db')])).err).toContain('there is no file')
  expect((await cli(['stats', '--file', path])).err).toContain('is no file')
  expect(namesIn(path)).toEqual([])
})

test('a topic that is wrong makes no file', async () => {
  const path = folder()
  expect((await cli(['publish', 'a..b', '1', '--file', join(path, 'new.db')])).code).toBe(2)
  expect(existsSync(join(path, 'new.db'))).toBe(false)
})

test.each([...READING, ['publish', 'a', '1']])(
  '%s %s on a file that somebody holds names the holder and ends with 3',
  async (...argv) => {
    const file = join(folder(), 'held.db')
    await using _held = await sqliteLog(file)
    const { code, out, err } = await cli([...argv, '--file', file])
    expect([code, out]).toEqual([3, ''])
    expect(err).toContain(`${file} is held by process ${process.pid}`)
    expect(err).toMatch(/\nnext: stop the process/)
  },
)

test('doctor on a file that somebody holds ends with 3, and --json tells who', async () => {
  const file = join(folder(), 'held.db')
  await using _held = await sqliteLog(file)
  const { code, err } = await cli(['doctor', file, '--json'])
  expect(code).toBe(3)
  expect(JSON.parse(err)).toMatchObject({ error: { code: 'STORE_LOCKED', exitCode: 3 } })
})

test.each([...READING, ['doctor']])('%s %s says of a file of another kind that it is no log', async (...argv) => {
  const file = join(folder(), 'notes.txt')
  writeFileSync(file, 'these are notes and no log at all, however long they may go on and on '.repeat(20))
  const { code, out, err } = await cli(argv[0] === 'doctor' ? ['doctor', file] : [...argv, '--file', file])
  expect(out).toBe('')
  expect(err).toContain(file)
  expect(err).not.toContain('    at ')
  expect([1, 4]).toContain(code)
})

test('a stack is printed only with --debug', async () => {
  const file = join(folder(), 'd.db')
  mkdirSync(file)
  expect((await cli(['stats', '--file', file])).err).not.toContain('    at ')
  expect((await cli(['stats', '--file', file, '--debug'])).err).toContain('    at ')
  const json = JSON.parse((await cli(['stats', '--file', file, '--debug', '--json'])).err) as {
    error: { stack: string }
  }
  expect(json.error.stack).toContain('    at ')
})
