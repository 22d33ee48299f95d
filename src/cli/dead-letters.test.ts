import { expect, test } from 'vitest'
import {
  cli,
  type Ended,
  filled,
  fillFile,
  type Given,
  jsonLines,
  start,
  withDeadLetters,
} from '../../test/cli/support.ts'
import { memoryLog } from '../log/memory.ts'
import { openBus } from '../node/node.ts'

function letters(file: string, argv: readonly string[], given?: Given): Promise<Ended> {
  return cli(['dead-letters', ...argv, '--file', file], given)
}

async function idsIn(file: string, ...argv: readonly string[]): Promise<readonly unknown[]> {
  const { code, out } = await letters(file, ['list', '--oldest', '--json', ...argv])
  expect(code).toBe(0)
  return jsonLines(out).map(({ id }) => id)
}

const ALL = ['tasks/dead:1', 'tasks/dead:2', 'tasks/dead:3'] as const

test('list shows the newest first, each with why it died', async () => {
  const file = await withDeadLetters()
  const { code, out, err } = await letters(file, ['list'])
  expect([code, err]).toEqual([0, ''])
  const rows = out.trimEnd().split('\n')
  expect(rows[0]?.split(/ +/)).toEqual(['ID', 'DIED', 'TOPIC', 'GROUP', 'REASON', 'TRIES', 'ERROR'])
  expect(rows.slice(1).map((row) => row.split(/ {2,}/)[0])).toEqual([...ALL].reverse())
  expect(rows[1]).toMatch(/ tasks\.review {2}coders {2}handler-error {6}1 {2}Error: cannot do "c"$/)
  const [first] = jsonLines((await letters(file, ['list', '--oldest', '--json'])).out)
  expect(first).toMatchObject({
    id: ALL[0],
    channel: 'tasks',
    reason: 'handler-error',
    diedAt: expect.stringMatching(/Z$/),
    attempts: [{ error: 'Error: cannot do {"title":"a"}' }],
    message: { topic: 'tasks.coding', data: { title: 'a' } },
  })
})

test('a list is chosen by every filter, and told to be longer than its limit', async () => {
  const file = await withDeadLetters()
  expect(await idsIn(file, '--topic', 'tasks.review')).toEqual([ALL[2]])
  expect(await idsIn(file, '--session', 's1', '--group', 'coders', '--channel', 'tasks')).toEqual([ALL[2]])
  expect(await idsIn(file, '--reason', 'handler-error', '--since', '1h')).toEqual(ALL)
  expect(await idsIn(file, '--before', '1h')).toEqual([])
  expect(await idsIn(file, '--group', 'others')).toEqual([])
  expect(await idsIn(file, '--agent', 'pink')).toEqual([])
  expect(await idsIn(file, '--limit', '2')).toEqual(ALL.slice(0, 2))
  const { err } = await letters(file, ['list', '--limit', '2'], { terminal: 120 })
  expect(err).toContain('2 dead letters; there are more')
})

test('show tells everything of one', async () => {
  const file = await withDeadLetters()
  const { code, out } = await letters(file, ['show', ALL[2]])
  expect(code).toBe(0)
  for (const text of [
    'topic     tasks.review',
    'group     coders (reads tasks.*)',
    'session   s1',
    'from      pink',
    '  c',
  ]) {
    expect(out).toContain(text)
  }
  expect(out).toMatch(/attempts\n {2}1 {2}\d{4}-.* {2}Error: cannot do "c"\n/)
  expect((await letters(file, ['show', ALL[0]])).out).toContain('data\n  {\n    "title": "a"\n  }\n')
  expect(JSON.parse((await letters(file, ['show', ALL[0], '--json'])).out)).toMatchObject({ id: ALL[0], redriven: 0 })
})

test.each([['show'], ['redrive'], ['discard', '--yes']])(
  '%s says of an id that is none what to do',
  async (...argv) => {
    const file = await filled((bus) => bus.publish('a', 1))
    for (const id of ['a/dead:7', 'nonsense', 'a/normal:1']) {
      const { code, err } = await letters(file, [...argv, id])
      expect(err).toMatch(/there is no dead letter/)
      expect(err).toMatch(/\nnext: list them with `swarmbus dead-letters list`/)
      expect(code).toBe(1)
    }
  },
)

test('redrive puts back what is named, with other data and level, and goes on behind one that fails', async () => {
  const file = await withDeadLetters()
  expect(await letters(file, ['redrive', ALL[0], '--data', 'good', '--priority', 'low'])).toMatchObject({
    code: 0,
    out: 'redriven tasks/dead:1\n',
    err: '',
  })
  const mixed = await letters(file, ['redrive', ALL[1], ALL[0], '--json'])
  expect(mixed.code).toBe(1)
  expect(JSON.parse(mixed.out)).toMatchObject({
    redriven: [ALL[1]],
    failed: [{ id: ALL[0], code: 'UNKNOWN_DEAD_LETTER' }],
  })
  expect(await idsIn(file)).toEqual([ALL[2]])
  const handled: unknown[] = []
  const seen = Promise.withResolvers<void>()
  await fillFile(file, async (bus) => {
    bus.subscribe('tasks.*', ({ data, priority }) => void (handled.push([data, priority]) === 2 && seen.resolve()), {
      group: 'coders',
    })
    await seen.promise
  })
  expect(handled).toContainEqual(['good', 'low'])
  expect(handled).toContainEqual(['b', 'high'])
})

test('redrive --all takes what the filters choose', async () => {
  const file = await withDeadLetters()
  expect((await letters(file, ['redrive', '--all', '--topic', 'tasks.review'])).out).toBe('1 dead letter redriven\n')
  expect(await idsIn(file)).toEqual(ALL.slice(0, 2))
  expect((await letters(file, ['redrive', '--all', '--limit', '1', '--json'])).out).toBe(
    '{\n  "redriven": 1,\n  "interrupted": false\n}\n',
  )
  expect((await letters(file, ['redrive', '--all', '--rate', '1000'])).out).toBe('1 dead letter redriven\n')
  expect((await letters(file, ['redrive', '--all'])).out).toBe('0 dead letters redriven\n')
})

test('a redrive shows how far it is on a terminal, and Ctrl-C ends it with what is left', async () => {
  const log = memoryLog()
  await using bus = await openBus(log, { defaults: { retry: { attempts: 1 } } })
  const failing = bus.subscribe('a', () => Promise.reject(new Error('no')), { group: 'g' })
  for (let n = 0; n < 5; n++) await bus.publish('a', n, { until: 'handled' })
  failing.unsubscribe()
  const running = start(['dead-letters', 'redrive', '--all', '--rate', '0.001', '--url', 'test:log'], {
    log,
    terminal: 80,
    env: { NO_COLOR: '1' },
    onErr: (text, call) => (text.includes('redriven 1 of 5') ? call.interrupt() : undefined),
  })
  const { code, out, err } = await running.done
  expect(code).toBe(130)
  expect(out).toBe('1 dead letter redriven, interrupted: 4 left\n')
  expect(err).toContain('redriven 1 of 5')
  expect(await bus.deadLetters.count()).toBe(4)
})

test('discard asks on a terminal, and only yes is yes', async () => {
  const file = await withDeadLetters()
  for (const stdin of ['n\n', '\n', '', 'yesterday\n']) {
    const { code, err } = await letters(file, ['discard', '--all'], { terminal: 80, stdin })
    expect(code).toBe(1)
    expect(err).toContain('Discard 3 dead letters? They cannot be brought back. [y/N]')
    expect(err).toContain('nothing was discarded')
  }
  expect(await idsIn(file)).toEqual(ALL)
  const yes = await letters(file, ['discard', ALL[0], ALL[1]], { terminal: 80, stdin: 'Yes\n' })
  expect([yes.code, yes.out]).toEqual([0, '2 dead letters discarded\n'])
  expect(await idsIn(file)).toEqual([ALL[2]])
})

test('discard --all --yes takes what the filters choose, the oldest first', async () => {
  const file = await withDeadLetters()
  expect((await letters(file, ['discard', '--all', '--yes', '--limit', '1'])).out).toBe('discarded tasks/dead:1\n')
  expect((await letters(file, ['discard', '--all', '--yes', '--topic', 'tasks.review', '--json'])).out).toBe(
    `${JSON.stringify({ discarded: [ALL[2]], failed: [], interrupted: false }, undefined, 2)}\n`,
  )
  expect(await idsIn(file)).toEqual([ALL[1]])
  expect((await letters(file, ['discard', '--all', '--yes', '--group', 'none'])).out).toBe('0 dead letters discarded\n')
})
