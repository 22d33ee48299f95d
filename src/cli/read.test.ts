import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, damage, filled, folder, jsonLines, start, withDeadLetters } from '../../test/cli/support.ts'
import { memoryLog } from '../log/memory.ts'
import { openBus } from '../node/node.ts'
import { fakeEnv } from '../testing/fake-env.ts'

/** The data of a message as --json printed it. */
function dataIn(line: Readonly<Record<string, unknown>>): unknown {
  return (line.message as { readonly data: unknown }).data
}

function tasks(): Promise<string> {
  return filled(async (bus) => {
    await bus.publish('tasks.a', 1, { session: 's1', from: 'pink' })
    await bus.publish('tasks.b', { n: 2 }, { priority: 'high', session: 's2' })
    await bus.publish('other', 'three\nlines\x1b[31m')
    await bus.publish('tasks.a', 4, { session: 's1' })
  })
}

test('replay prints what is kept in the order of its storing, a message a line', async () => {
  const file = await tasks()
  const { code, out, err } = await cli(['replay', '>', '--file', file])
  expect([code, err]).toEqual([0, ''])
  const lines = out.trimEnd().split('\n')
  const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}`
  expect(lines[0]).toMatch(new RegExp(String.raw`^${time}  tasks/normal:1  tasks\.a  pink→ \[s1\] 1$`))
  expect(lines[1]).toMatch(/ {2}tasks\/high:1 {4}tasks\.b {2}\[s2\] \{"n":2\}$/)
  // Nothing that a message holds moves the cursor or makes a line of its own.
  expect(lines[2]).toMatch(/ {2}other\/normal:1 {2}other {4}three lines$/)
  expect(lines).toHaveLength(4)
})

test('replay --json prints an object a line, with place and time', async () => {
  const file = await tasks()
  const { out } = await cli(['replay', 'tasks.*', '--json', '--file', file])
  const found = jsonLines(out)
  expect(found).toHaveLength(3)
  expect(found[1]).toMatchObject({
    offset: 'tasks/high:1',
    channel: 'tasks',
    storedAt: expect.stringMatching(/^\d{4}-.*Z$/),
    message: { topic: 'tasks.b', data: { n: 2 }, priority: 'high', session: 's2' },
  })
})

test('replay chooses by session, agent, number, place, id and time', async () => {
  const file = await tasks()
  const dataOf = async (...argv: string[]): Promise<unknown[]> => {
    const { code, out } = await cli(['replay', '>', '--json', '--file', file, ...argv])
    expect(code).toBe(0)
    return jsonLines(out).map(dataIn)
  }
  const all = jsonLines((await cli(['replay', '>', '--json', '--file', file])).out) as unknown as {
    message: { id: string }
  }[]
  const id = (index: number): string => all[index]?.message.id ?? ''
  expect(await dataOf('--session', 's1')).toEqual([1, 4])
  expect(await dataOf('--agent', 'pink')).toEqual([1])
  expect(await dataOf('--last', '1')).toEqual([4])
  expect(await dataOf('--from', 'tasks/normal:2')).toEqual([4])
  expect(await dataOf('--from', id(3))).toEqual([4])
  expect(await dataOf('--to', id(0))).toEqual([1])
  expect(await dataOf('--from', '1h')).toHaveLength(4)
  expect(await dataOf('--to', '1h')).toEqual([])
  expect(await dataOf('--from', 'first', '--pace', '1000000')).toHaveLength(4)
})

test('data is cut to the width of a terminal, and only there', async () => {
  const file = await filled((bus) => bus.publish('a', 'x'.repeat(500)))
  const narrow = await cli(['replay', 'a', '--file', file], { terminal: 80, env: { NO_COLOR: '1' } })
  expect(narrow.out.trimEnd()).toHaveLength(80)
  expect(narrow.out).toMatch(/x…\n$/)
  expect((await cli(['replay', 'a', '--file', file])).out).toContain('x'.repeat(500))
  const json = await cli(['replay', 'a', '--file', file, '--json'], { terminal: 80 })
  expect(json.out).toContain('x'.repeat(500))
})

test('colour is only on a terminal, and not with NO_COLOR, TERM=dumb or --json', async () => {
  const file = await tasks()
  const argv = ['replay', '>', '--file', file]
  const coloured = async (given: Parameters<typeof cli>[1], ...more: string[]): Promise<boolean> =>
    (await cli([...argv, ...more], given)).out.includes('\x1b[')
  expect(await coloured({ terminal: 80 })).toBe(true)
  expect(await coloured({})).toBe(false)
  expect(await coloured({ terminal: 80, env: { NO_COLOR: '1' } })).toBe(false)
  expect(await coloured({ terminal: 80, env: { TERM: 'dumb' } })).toBe(false)
  expect(await coloured({ terminal: 80 }, '--json')).toBe(false)
})

test('replay at the original pace ends with Ctrl-C, orderly and with what was printed', async () => {
  const env = fakeEnv()
  const log = memoryLog({ env })
  const bus = await openBus(log, { env })
  await bus.publish('a', 'first')
  await env.advance(3_600_000)
  await bus.publish('a', 'an hour later')
  const running = start(['replay', 'a', '--pace', 'original', '--url', 'test:log'], {
    log,
    terminal: 100,
    onOut: (_text, call) => call.interrupt(),
  })
  const { code, out, err } = await running.done
  expect(code).toBe(130)
  expect(out).toContain('first')
  expect(out).not.toContain('an hour later')
  expect(err).toContain('1 message, interrupted')
  await bus.close()
})

test('a second Ctrl-C ends at once', async () => {
  const file = await tasks()
  const { exits } = await start(['replay', '>', '--file', file], {
    onOut: (_text, call) => {
      call.interrupt()
      call.interrupt()
    },
  }).done
  expect(exits).toEqual([130])
})

test('a reader that goes away ends a replay without a fault; a disk that is full is one', async () => {
  const file = await tasks()
  const gone = await start(['replay', '>', '--file', file], { onOut: (_text, call) => call.leave() }).done
  expect([gone.code, gone.out.split('\n').length, gone.err]).toEqual([0, 2, ''])
  const full = await start(['replay', '>', '--file', file], {
    onOut: (_text, call) => call.leave(new Error('ENOSPC: no space left')),
  }).done
  expect(full.code).toBe(1)
  expect(full.err).toContain('standard output cannot be written: ENOSPC')
})

test('tail prints the last ten, or so many, and ends without following', async () => {
  const file = await filled(async (bus) => {
    for (let n = 1; n <= 15; n++) await bus.publish('tasks.a', n)
    await bus.publish('other', 0)
  })
  const dataOf = async (...argv: string[]): Promise<unknown[]> => {
    const { code, out } = await cli(['tail', 'tasks.>', '--no-follow', '--json', '--file', file, ...argv])
    expect(code).toBe(0)
    return jsonLines(out).map(dataIn)
  }
  expect(await dataOf()).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
  expect(await dataOf('--last', '2')).toEqual([14, 15])
  expect(await dataOf('--last', '0')).toEqual([])
  expect(await dataOf('--from', 'first')).toHaveLength(15)
  expect(await dataOf('--from', 'tasks/normal:14')).toEqual([14, 15])
  expect(await dataOf('--from', 'first', '--last', '1')).toEqual([15])
})

test('tail follows what is stored, on streams that are new too, and Ctrl-C is its end', async () => {
  const log = memoryLog()
  await using bus = await openBus(log)
  await bus.publish('tasks.a', 'before')
  const running = start(['tail', '>', '--json', '--url', 'test:log'], { log })
  await running.until('before')
  await bus.publish('tasks.a', 'then')
  await running.until('then')
  await bus.publish('fresh.b', 'a new stream', { priority: 'low' })
  await running.until('a new stream')
  running.interrupt()
  const { code, out } = await running.done
  expect(code).toBe(0)
  expect(jsonLines(out).map(dataIn)).toEqual(['before', 'then', 'a new stream'])
})

test('tail from a place follows streams whose messages are all older from their end', async () => {
  const env = fakeEnv()
  const log = memoryLog({ env })
  await using bus = await openBus(log, { env })
  await bus.publish('old', 'too old')
  await env.advance(1_000)
  await bus.publish('tasks', 'in time')
  const running = start(['tail', '>', '--from', 'tasks/normal:1', '--json', '--url', 'test:log'], { log })
  await running.until('in time')
  await bus.publish('old', 'fresh')
  await running.until('fresh')
  running.interrupt()
  expect(jsonLines((await running.done).out).map(dataIn)).toEqual(['in time', 'fresh'])
})

test('tail does not show a message again that was redriven', async () => {
  const log = memoryLog()
  await using bus = await openBus(log, { defaults: { retry: { attempts: 1 } } })
  let fails = true
  bus.subscribe(
    'a',
    () => {
      if (fails) throw new Error('no')
    },
    { group: 'g' },
  )
  await bus.publish('a', 'once', { until: 'handled' })
  fails = false
  const running = start(['tail', '>', '--json', '--url', 'test:log'], { log })
  await running.until('once')
  await bus.deadLetters.redriveAll()
  await bus.publish('a', 'last')
  await running.until('last')
  running.interrupt()
  expect(jsonLines((await running.done).out).map(dataIn)).toEqual(['once', 'last'])
})

test('a replay waits for a slow reader instead of reading ahead', async () => {
  const log = memoryLog()
  await using bus = await openBus(log)
  for (let n = 0; n < 10_000; n++) void bus.publish('a', n)
  await bus.publish('a', 'end')
  let read = 0
  const counting = {
    ...log,
    async *read(...args: Parameters<typeof log.read>) {
      for await (const entry of log.read(...args)) {
        read++
        yield entry
      }
    },
  }
  let written = 0
  let ahead = 0
  const { code } = await cli(['replay', 'a', '--json', '--url', 'test:log'], {
    log: counting,
    onOut: () => {
      written++
      ahead = Math.max(ahead, read - written)
    },
  })
  expect([code, written]).toEqual([0, 10_001])
  expect(ahead).toBeLessThan(10)
})

test('channels, groups and stats tell of a log, as tables and as JSON', async () => {
  const file = await withDeadLetters()
  const channels = await cli(['channels', '--file', file])
  expect(channels.out.split('\n').map((line) => line.split(/ {2,}/).join('|'))).toEqual([
    'CHANNEL|MESSAGES|SIZE|ACKED|WAITING|HELD|DEAD|GROUPS',
    expect.stringMatching(/^tasks\|4\|.* KiB\|1\|0\|0\|3\|coders:tasks\.\*$/),
    '',
  ])
  expect(JSON.parse((await cli(['channels', '--file', file, '--json'])).out)).toMatchObject([
    { name: 'tasks', messages: 4, deadLetters: 3, ledger: { published: 4, acked: 1, dead: 3 } },
  ])
  const groups = await cli(['groups', '--file', file])
  expect(groups.out.split('\n')[1]?.split(/ +/)).toEqual([
    'tasks',
    'coders',
    '1',
    '0',
    '0',
    '0',
    '3',
    '0',
    '0',
    'tasks.*',
  ])
  const group = { channel: 'tasks', group: 'coders', patterns: 'tasks.*', published: 4, acked: 1, dead: 3, pending: 0 }
  expect(JSON.parse((await cli(['groups', '--file', file, '--json'])).out)).toMatchObject([group])
  expect((await cli(['groups', '--channel', 'none', '--file', file])).out).toBe('no groups: nobody has read yet\n')
  const stats = await cli(['stats', '--file', file])
  expect(stats.out).toContain('4 published = 1 acked + 3 dead')
  expect(stats.out).toContain('gaps          none')
  expect(JSON.parse((await cli(['stats', '--file', file, '--json'])).out)).toMatchObject({
    url: `sqlite:${file}`,
    level: 'disk',
    fileBytes: statSync(file).size,
    channels: 1,
    messages: 4,
    lanes: { high: 1, normal: 3 },
    deadLetters: 3,
    groups: 1,
    balanced: true,
    gaps: [],
  })
})

test.each(['a log without messages', 'an empty file'])('%s is told so', async (kind) => {
  const file = kind === 'an empty file' ? join(folder(), 'empty.db') : await filled(async () => undefined)
  if (kind === 'an empty file') writeFileSync(file, '')
  expect((await cli(['doctor', file])).code).toBe(0)
  for (const [argv, text] of [
    [['replay', '>'], ''],
    [['tail', '>', '--no-follow'], ''],
    [['channels'], 'no channels: nothing was published yet\n'],
    [['groups'], 'no groups: nobody has read yet\n'],
    [['dead-letters', 'list'], 'no dead letters\n'],
  ] as const) {
    expect(await cli([...argv, '--file', file])).toMatchObject({ code: 0, out: text, err: '' })
  }
  expect((await cli(['stats', '--file', file])).out).toContain('balance       0 published = 0')
  expect(JSON.parse((await cli(['channels', '--json', '--file', file])).out)).toEqual([])
})

test('a damaged message is a warning, the others are printed, and the exit code says so', async () => {
  const file = await filled(async (bus) => {
    for (const data of ['before', 'the damaged one', 'behind']) await bus.publish('a', data)
  })
  damage(file, 'the damaged one')
  const { code, out, err } = await cli(['replay', 'a', '--file', file])
  expect(code).toBe(4)
  expect(out).toContain('before')
  expect(out).toContain('behind')
  expect(err).toContain('warning: "a/normal" lacks 2 to 2: damaged')
  const json = await cli(['replay', 'a', '--json', '--file', file])
  expect(JSON.parse(json.err)).toMatchObject({ warning: { gap: { stream: 'a/normal', from: '2', reason: 'damaged' } } })
  expect((await cli(['tail', 'a', '--no-follow', '--file', file])).code).toBe(4)
})

test('[C73] the report of a week counts by channel, lane and reason, and says when retention took some', async () => {
  const file = await withDeadLetters()
  const told = await cli(['stats', '--since', '7d', '--file', file])
  expect(told.code).toBe(0)
  expect(told.out).toContain(
    '  published   4: tasks 4\n  by lane     high 1, normal 3\n  died        3: handler-error 3\n',
  )
  const json = async (since: string): Promise<object> =>
    (JSON.parse((await cli(['stats', '--since', since, '--json', '--file', file])).out) as { report: object }).report
  expect(await json('7d')).toMatchObject({ published: 4, atLeast: false, died: { 'handler-error': 3 } })
  expect(await json('2100-01-01')).toMatchObject({ published: 0, byChannel: {}, byLane: {}, died: {} })
  const trimmed = await cli(['trim', 'tasks', '--max-count', '1', '--yes', '--file', file])
  expect(trimmed.out).toBe('2 messages of tasks removed, 2 left\n')
  expect(await json('7d')).toMatchObject({ published: 2, atLeast: true, byLane: { high: 1, normal: 1 } })
  expect((await cli(['stats', '--since', '7d', '--file', file])).out).toContain('published   at least 2: tasks 2')
})
