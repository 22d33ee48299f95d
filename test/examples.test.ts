import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Event } from '../examples/incident/observer.ts'
import type { Summary } from '../examples/incident/summary.ts'
import { type Ended, ROOT, run, start } from './examples/run.ts'

const MAIN = 'examples/incident/main.ts'

type Told = Event | Summary
type Seen = Extract<Event, { type: 'message' | 'answer' }>

/** Runs the incident with `--json`; every line of its output must be JSON, the last one the summary. */
async function incident(
  args: readonly string[],
  input?: string | Uint8Array,
): Promise<Ended & { told: Told[]; seen: Seen[]; summary: Summary }> {
  const ended = await run([MAIN, '--memory', '--json', ...args], input)
  return { ...ended, ...parsed(ended.out) }
}

function parsed(out: string): { told: Told[]; seen: Seen[]; summary: Summary } {
  const told = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Told)
  const seen = told.filter((one): one is Seen => one.type === 'message' || one.type === 'answer')
  const summary = told.at(-1) as Summary
  expect(summary.type).toBe('summary')
  return { told, seen, summary }
}

/** Route and text of what was seen about one task, in order. */
function route(seen: readonly Seen[]): string[] {
  return seen
    .filter((one) => one.to !== 'all')
    .map((one) => `${one.from} → ${one.to.replace(/\/(pink|red)$/, '/a coder')}`)
}

describe('the incident', () => {
  test('[C58] a production fault goes from harold to one coder, is returned, mended, accepted, rolled out and reported', async () => {
    const { code, seen, summary } = await incident(['critical 30s: Production is down: fix auth'])
    const coder = seen.find((one) => one.to.startsWith('coding/'))?.to.slice('coding/'.length)
    expect(['pink', 'red']).toContain(coder)
    expect(route(seen)).toEqual([
      'you → harold',
      'harold → coding/a coder',
      `${coder} → validator`,
      `validator → ${coder}`,
      `${coder} → validator`,
      `validator → ${coder}`,
      `${coder} → harold`,
      'harold → deploy/harold',
      'harold → harold',
      'harold → monitor/ring',
      'ring → harold',
      'harold → you',
    ])
    const messages = seen.filter((one) => one.type === 'message' && one.to !== 'all')
    expect(messages.map((one) => one.priority)).toEqual(messages.map(() => 'critical'))
    expect(seen.find((one) => one.from === 'validator')?.text).toBe(
      'returned: a fix needs a test that fails without it',
    )
    expect(seen.at(-1)?.text).toContain('mended auth: 2 files, add test/auth.test.ts')
    expect(summary.tasks).toEqual({ read: 1, done: 1, returned: 1, failed: 0, refused: 0, resumed: 0, left: 0 })
    expect(summary.deadlines).toEqual({ met: 1, missed: 0 })
    expect(code).toBe(0)
  })

  test('every message leads back through its causes to the task that began it', async () => {
    const { seen } = await incident(['critical 30s: Production is down: fix auth'])
    const byId = new Map(seen.map((one) => [one.id, one]))
    expect(byId.size).toBe(seen.length)
    for (const one of seen.filter((each) => each.to !== 'all')) {
      let first = one
      for (let cause = first.causeId; cause !== undefined; cause = first.causeId) first = byId.get(cause) as Seen
      expect(`${first.from} → ${first.to}: ${first.text}`).toBe('you → harold: Production is down: fix auth')
    }
  })

  test('a critical task that is read last is worked on before the backlog of low ones', async () => {
    const lines = Array.from({ length: 20 }, (_, index) => `low: fix part${index}`)
    const { seen, summary } = await incident(['--fast'], [...lines, 'critical: fix payment'].join('\n'))
    const started = seen.filter((one) => one.to.startsWith('coding/')).map((one) => one.text)
    expect(started).toHaveLength(21)
    // At most the two that pink and red had in hand already.
    expect(started.indexOf('fix payment')).toBeLessThanOrEqual(2)
    expect(started.filter((text) => text !== 'fix payment')).toEqual(lines.map((line) => line.slice('low: '.length)))
    expect(summary.handled.pink?.low).toBeGreaterThan(0)
    expect(summary.handled.red?.low).toBeGreaterThan(0)
    expect((summary.handled.pink?.low ?? 0) + (summary.handled.red?.low ?? 0)).toBe(20)
  })

  test('each message is one line of at most 100 columns, printed once, and each cause is the id of a line above', async () => {
    const { out, code } = await run([MAIN, '--memory'])
    const rows = out.split('\n').filter((line) => /^ *\d+\.\d{3} /.test(line) && !line.includes(' ✗ '))
    const ids = new Set<string>()
    for (const row of rows) {
      expect(row.length).toBeLessThanOrEqual(100)
      const [, id = '', cause] = /#([0-9a-f]+)(?:←#([0-9a-f]+))? +\S+ m?s$/.exec(row) ?? []
      expect(id, row).not.toBe('')
      expect(ids, row).not.toContain(id)
      if (cause !== undefined) expect(ids, row).toContain(cause)
      ids.add(id)
    }
    expect(rows.length).toBeGreaterThan(30)
    expect(out).toContain('ring → all')
    expect(out).not.toContain('\u001b')
    expect(code).toBe(0)
  })

  test('the validator returns a hasty fix once, and nothing that needs no test or has one', async () => {
    const returned = async (task: string): Promise<number> => (await incident(['--fast', task])).summary.tasks.returned
    expect(await returned('quick: fix login')).toBe(1)
    expect(await returned('quick: fix login and add a test')).toBe(0)
    expect(await returned('add a column to the users table')).toBe(1)
    expect(await returned('document the login')).toBe(0)
  })

  test('the words of a task decide its way and its result', async () => {
    const tasks = [
      'deploy billing',
      'roll back the release of billing',
      'review the payment form',
      'monitor the queue',
      'who is there?',
    ]
    const runs = await Promise.all(tasks.map((task) => incident(['--fast', task])))
    expect(runs.map(({ seen }) => route(seen)[1])).toEqual([
      'harold → deploy/harold',
      'harold → deploy/harold',
      'harold → review/validator',
      'harold → monitor/ring',
      'harold → status/all',
    ])
    expect(new Set(runs.map(({ seen }) => seen.at(-1)?.text)).size).toBe(tasks.length)
  })

  test('a deadline that passes is reported as missed, and the work for it is given up', async () => {
    const { summary, told } = await incident(['--slow'], '400ms: refactor reports\n50s: fix auth\n')
    expect(summary.deadlines).toEqual({ met: 1, missed: 1 })
    expect(summary.failed).toEqual([
      { where: 'line 1', text: 'refactor reports', reason: 'deadline missed at coding (stage 1 of 1)' },
    ])
    expect(told.some((one) => one.type === 'lost')).toBe(true)
    expect(summary.ledger.balances).toBe(true)
  })

  test('tasks of one session are done one after another', async () => {
    const task = (text: string): string =>
      JSON.stringify({ task: text, session: 'login', priority: 'low', deadlineMs: 60_000 })
    const { seen, summary } = await incident(
      ['--fast'],
      `${task('fix one')}\n${task('fix two')}\n${task('fix three')}\n`,
    )
    const ends = seen.filter((one) => (one.to === 'you' || one.to.startsWith('coding/')) && one.from === 'harold')
    expect(ends.map((one) => (one.to === 'you' ? 'done' : one.text))).toEqual([
      'fix one',
      'done',
      'fix two',
      'done',
      'fix three',
      'done',
    ])
    expect(summary.tasks.done).toBe(3)
  })

  test('a task that names nothing fails with its reason, and the others go on', async () => {
    const { summary, code } = await incident(['--fast', 'fix', 'fix login'])
    expect(summary.failed).toEqual([{ where: 'argument 1', text: 'fix', reason: 'the task names nothing to work on' }])
    expect(summary.tasks.done).toBe(1)
    expect(code).toBe(0)
  })
})

describe('the input of the incident', () => {
  test('each bad line gets one message with its number, and the good ones are done', async () => {
    const lines: [line: string | Uint8Array, says: RegExp | undefined][] = [
      ['fix login', undefined],
      ['', /^line 2: it is empty; write a task/],
      ['soon: fix x', /^line 3: "soon" is no priority; the five are critical, high, normal, low, background/],
      ['urgent 3s: fix x', /^line 4: "urgent" is no priority; .*"critical" comes near/],
      ['critical 30: fix x', /^line 5: "30" is no deadline/],
      ['{"task":', /^line 6: it begins with "\{" but is no JSON/],
      ['{"task":"fix a","level":"low"}', /^line 7: there is no field "level"/],
      ['{"task":"fix \\u001b[31mred"}', /^line 8: character 5 is U\+001B, a control character/],
      ['fix \u0007 bell', /^line 9: character 5 is U\+0007/],
      [new Uint8Array([0xff, 0xfe]), /^line 10: it is not UTF-8/],
      ['low:', /^line 11: there is no task after the prefix/],
      ['x'.repeat(2_097_152), /^line 12: it has 2097152 bytes; at most 1048576/],
      ['Deploy: billing', undefined],
    ]
    const input = Buffer.concat(lines.flatMap(([line]) => [Buffer.from(line), Buffer.from('\n')]))
    const { out, err, code } = await run([MAIN, '--memory', '--fast'], input)
    const bad = lines.flatMap(([, says]) => says ?? [])
    const said = err.trimEnd().split('\n')
    expect(said).toHaveLength(bad.length)
    for (const [index, says] of bad.entries()) expect(said[index]).toMatch(says)
    expect(out).toContain('13 read: 2 done, 0 failed, 11 refused')
    expect(out).toContain('it balances')
    expect(out + err).not.toContain('\u001b')
    expect(code).toBe(0)
  })

  test('a line just below the limit that makes a message too large is refused by the bus with what to do', async () => {
    const { summary, code } = await incident(['--fast'], `${'x'.repeat(1_048_570)}\nfix login\r\n`)
    expect(summary.tasks).toMatchObject({ read: 2, done: 1, refused: 1 })
    expect(summary.refused[0]?.reason).toMatch(/PAYLOAD_TOO_LARGE.*: send a reference/)
    expect(code).toBe(0)
  })

  test('without any input there is a demonstration, and it says so; arguments come first', async () => {
    const shown = await run([MAIN, '--memory', '--fast'])
    expect(shown.out).toContain('No tasks were given: these are demonstration tasks.')
    const blank = await run([MAIN, '--memory', '--fast'], '\n')
    expect(blank.out).not.toContain('demonstration')
    expect(blank.out).toContain('1 read: 0 done, 0 failed, 1 refused')
    const both = await run([MAIN, '--memory', '--fast', 'fix login'], 'fix payment\n')
    expect(both.out).not.toContain('payment')
  })

  test('help goes to standard output, and a wrong option ends with code 2', async () => {
    const help = await run([MAIN, '--help'])
    expect(help).toMatchObject({ code: 0, err: '' })
    expect(help.out).toContain('critical, high, normal, low, background')
    const wrong = await run([MAIN, '--colour'])
    expect(wrong).toMatchObject({ code: 2, out: '' })
    expect(wrong.err).toContain("Unknown option '--colour'")
    expect((await run([MAIN, '--fast', '--slow'])).code).toBe(2)
  })
})

test('the summary agrees with the events, and its ledger balances', async () => {
  const { seen, told, summary } = await incident(['--fast'])
  const messages = seen.filter((one) => one.type === 'message')
  const { ledger, latency, tasks, handled } = summary
  expect(ledger.balances).toBe(true)
  expect(ledger.published).toBe(ledger.handled + ledger.failed + ledger.expired + ledger.dropped)
  expect(ledger.published).toBeGreaterThanOrEqual(messages.length)
  expect(tasks.done + tasks.failed + tasks.refused).toBe(tasks.read)
  expect(told.filter((one) => one.type === 'lost').length).toBe(ledger.failed + ledger.expired + ledger.dropped)
  expect(latency.p50Ms).toBeLessThanOrEqual(latency.p95Ms)
  expect(latency.p95Ms).toBeLessThanOrEqual(latency.p99Ms)
  const byAgent = Object.values(handled).flatMap((counts) => Object.values(counts))
  expect(byAgent.reduce((sum, one) => sum + one, 0)).toBe(ledger.handled)
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s drains the bus, prints the summary and ends with code %i', async (signal, code) => {
  const { child, ended, said } = start(
    [MAIN, '--memory', '--json', 'fix login', 'fix payment', 'fix search'],
    undefined,
  )
  await said('coding/')
  child.kill(signal)
  const done = await ended
  const { summary } = parsed(done.out)
  expect(done.code).toBe(code)
  expect(summary.interrupted).toBe(true)
  expect(summary.tasks).toMatchObject({ read: 3, done: 3 })
  expect(summary.ledger.balances).toBe(true)
})

test('Ctrl-C while it waits for input ends at once with what was done', async () => {
  const { child, ended, said } = start([MAIN, '--memory', '--fast'], undefined)
  child.stdin.write('fix login\n')
  await said('harold → you')
  child.kill('SIGINT')
  const { code, out } = await ended
  expect(code).toBe(130)
  expect(out).toContain('1 read: 1 done')
})

describe('the small examples', () => {
  const says: Readonly<Record<string, readonly string[]>> = {
    'agents-inbox.ts': [
      'first: production is down',
      'there is no agent "pnik" (known: harold, pink, red)',
      'blue reads: welcome',
    ],
    'backpressure.ts': [
      'wait: handled 0 1 2 3 4 5 6 7 8 9 10 11 · dropped 0 · refused 0 · balances true',
      'drop-oldest: handled 8 9 10 11 · dropped 8 · refused 0 · balances true',
      'drop-newest: handled 0 1 2 3 · dropped 8 · refused 0 · balances true',
    ],
    'middleware.ts': [
      'worked at attempt 2',
      'failure: broken on jobs.broken, handler-error, never works',
      'timed: flaky 1, broken 1',
    ],
    'request-reply.ts': [
      '2 + 3 = 5',
      'math.divide: HANDLER_FAILED',
      'math.slow: REQUEST_TIMEOUT',
      'math.nobody: NO_RESPONDERS',
    ],
    'scatter-gather.ts': ['all: 2 of 3 say yes', 'until 20 ms of silence: 3 answers', 'until the first no: pink'],
    'sessions.ts': ['ann: one ends\nann: two begins', 'ben: one ends\nben: two begins', 'SESSION_ENDED'],
    'streaming-answer.ts': ['the screen: you asked: why? and\n', 'the producer stopped', 'cancelled: STREAM_CLOSED'],
    'typed-topics.ts': ['fix auth: 3 points, 1 files', 'refused at title', 'refused at points'],
  }

  test('every file of examples/ is run here', () => {
    const files = readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.ts'))
    expect(files.sort()).toEqual(Object.keys(says).sort())
  })

  test.each(Object.entries(says))('%s says what its comment promises', async (name, parts) => {
    const { code, out, err } = await run([`examples/${name}`])
    expect(err).toBe('')
    for (const part of parts) expect(out).toContain(part)
    expect(code).toBe(0)
  })
})
