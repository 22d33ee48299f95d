import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli, jsonLines, namesIn, start } from '../../test/cli/support.ts'
import { project } from '../../test/ww/project.ts'

const CHAIN = `in = input command_line {}
agent = agent llm { model: llm echo { prefix: "you said: " } }
out = output console {}
`
const SECRET = 'hunter2hunter2'

describe('up', () => {
  test('[W78] [W22] it tells the bus and why, each component, and the figures; standard output has only what components print', async () => {
    const folder = project({ 'main.ww': CHAIN })
    const { code, out, err } = await cli(['up', folder], { stdin: 'hello\n\nyou\n' })
    expect(out).toBe('you said: hello\nyou said: you\n')
    expect(err.split('\n')).toEqual([
      expect.stringMatching(/^bus: memory: \(SWARMBUS_URL is not set, WOODWORK_ENV is not set/),
      '  [1/4] out (output console)',
      '  [2/4] agent-model (llm echo)',
      '  [3/4] agent (agent llm)',
      '  [4/4] in (input command_line)',
      expect.stringMatching(/^ready in .*: 4 components$/),
      expect.stringMatching(/^ended: \d+ events, 4 messages routed$/),
      '',
    ])
    expect(code).toBe(0)
  })

  test('[W88] `run` is the same, and a url that is given wins', async () => {
    const folder = project({ 'main.ww': CHAIN })
    const { code, out, err } = await cli(['run', join(folder, 'main.ww'), '--url', `sqlite:${folder}/x.db`], {
      stdin: 'hello\n',
    })
    expect([code, out]).toEqual([0, 'you said: hello\n'])
    expect(err).toContain(`bus: sqlite:${folder}/x.db (given)`)
    expect(existsSync(join(folder, 'x.db'))).toBe(true)
  })

  test('with --json everything is one object a line', async () => {
    const folder = project({ 'main.ww': `${CHAIN}lost = output console { colour: 1 }` })
    const { code, out, err } = await cli(['up', folder, '--json'], { stdin: 'hello\n' })
    const lines = jsonLines(out)
    expect(lines.map(({ type }) => type)).toEqual([
      'diagnostic',
      'bus',
      ...Array.from({ length: 5 }, () => 'started'),
      'ready',
      'output',
      'output',
      'summary',
    ])
    expect(lines.filter(({ type }) => type === 'output')).toEqual(
      Array.from({ length: 2 }, () => ({ type: 'output', text: 'you said: hello\n' })),
    )
    expect(lines.at(-1)).toMatchObject({ faults: 0, left: 0, interrupted: false })
    expect([code, err]).toEqual([0, ''])
  })

  test('a file with errors shows all of them with their places, runs nothing, and says what to do', async () => {
    const folder = project({ 'main.ww': `${CHAIN}x = llm echo { prefix: $NOT_SET, to: nobody }` })
    const { code, out, err } = await cli(['up', folder], { stdin: 'hello\n' })
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('main.ww:4:24: error: the variable NOT_SET is not set')
    expect(err).toContain('main.ww:4:38: error: nothing is declared as "nobody"')
    expect(err).toMatch(/swarmbus: .*main\.ww has 2 errors\nnext: mend the places above.*\n$/)
    const json = await cli(['up', folder, '--json'])
    expect(jsonLines(json.out).map(({ type, code: at, line }) => [type, at, line])).toEqual([
      ['diagnostic', 'unset-variable', 4],
      ['diagnostic', 'unknown-name', 4],
    ])
    expect(JSON.parse(json.err)).toMatchObject({ error: { exitCode: 1 } })
  })

  test('[W37] --strict makes a choice among several an error', async () => {
    const folder = project({ 'main.ww': `${CHAIN}other = agent llm { model: llm echo {} }` })
    const loose = await cli(['up', folder], { stdin: 'hello\n' })
    expect([loose.code, loose.out]).toEqual([0, 'you said: hello\n'])
    expect(loose.err).toContain('warning: "in" says nothing of where it goes')
    const strict = await cli(['up', folder, '--strict'], { stdin: 'hello\n' })
    expect([strict.code, strict.out]).toEqual([1, ''])
  })

  test('[W61] secrets of the environment, of .env and of secret keys are never shown, whatever fails and however it is asked for', async () => {
    const folder = project({
      '.env': `API_KEY=${SECRET}\n`,
      'main.ww': `in = input command_line { to: agent }
agent = agent llm {
  model: llm echo { prefix: $API_KEY, colour: $API_KEY }
  pipes: [{ event: "response_generated", script_path: "bad.mjs", function_name: "redact" }]
  to: [out, $API_KEY]
}
out = output console { prefix: "\${API_KEY} " }`,
      'good.ww': `in = input command_line { to: agent }
agent = agent llm {
  model: llm echo { prefix: $API_KEY }
  hooks: [{ event: "response_generated", script_path: "bad.mjs", function_name: "redact" }]
  to: out
}
out = output console { prefix: "\${API_KEY} " }
web = api web { url: "https://example.com", api_key: "literal-${SECRET}", timeout: 0 }`,
      'start.ww': `include "kinds.mjs"\nx = bad start { key: $API_KEY }`,
      'kinds.mjs': `export const k = { kind: 'bad start', role: 'tool', summary: 's', keys: { key: { type: 'text', summary: 's' } },
        make: (spec) => { throw new Error('no way with ' + spec.settings.key) } }`,
      'bad.mjs': 'export function redact(payload) { throw new Error("cannot do " + JSON.stringify(payload)) }',
    })
    const calls = ['main.ww', 'good.ww', 'start.ww'].flatMap((name) => {
      const file = join(folder, name)
      return [
        ['up', file],
        ['up', file, '--json', '--debug'],
        ['up', file, '--debug'],
        ['check', file],
        ['check', file, '--json'],
        ['graph', file],
        ['graph', file, '--format', 'mermaid'],
        ['graph', file, '--format', 'svg'],
        ['graph', file, '--json'],
      ]
    })
    for (const argv of calls) {
      const { out, err } = await cli(argv, { stdin: 'hello\n', env: { WOODWORK_LOG_LEVEL: 'debug' } })
      expect(`${out}${err}`, argv.join(' ')).not.toContain(SECRET)
      expect(`${out}${err}`.length, argv.join(' ')).toBeGreaterThan(0)
    }
    const { err } = await cli(['up', join(folder, 'start.ww')])
    expect(err).toContain('***')
  })

  test('[W25] WOODWORK_LOG_LEVEL decides how much is told', async () => {
    const folder = project({ 'main.ww': `${CHAIN}spare = analytics { colour: 1 }` })
    const told = async (level: string): Promise<string> =>
      (await cli(['up', folder], { stdin: 'hello\n', env: { WOODWORK_LOG_LEVEL: level } })).err
    expect(await told('error')).toBe('')
    expect(await told('WARNING')).toContain('warning: "analytics" knows no key "colour"')
    expect(await told('warning')).not.toContain('ready in')
    expect(await told('info')).toContain('ready in')
    expect(await told('info')).not.toContain('agent: response_generated')
    expect(await told('debug')).toContain('agent: response_generated')
    expect(await told('loud')).toContain('warning: WOODWORK_LOG_LEVEL is none of debug, info, warning, error')
  })

  test('Ctrl-C finishes what is on its way and ends with 0; a second one ends at once', async () => {
    const folder = project({ 'main.ww': CHAIN.replace('prefix: "you said: "', 'delay: 0.3, prefix: "slowly "') })
    const open = Promise.withResolvers<void>()
    const up = start(['up', folder], {
      stdin: lines('hello\n', open.promise),
      onErr: (text, call) => text.includes('ready') && setImmediate(call.interrupt),
    })
    const { code, out, err, exits } = await up.done
    open.resolve()
    expect(code).toBe(0)
    expect(err).toContain('stopping: what is on its way is finished')
    expect(exits).toEqual([])
    expect(['', 'slowly hello\n']).toContain(out)
    const again = start(['up', folder], {
      stdin: lines('hello\n', new Promise(() => undefined)),
      onErr: (text, call) => {
        if (text.includes('ready')) call.interrupt()
        if (text.includes('stopping')) call.interrupt()
      },
    })
    expect((await again.done).exits).toEqual([130])
  })

  test('[W88] conflicting arguments are refused, and a file that is not there says what to do', async () => {
    const folder = project({ 'main.ww': CHAIN })
    expect(await cli(['up', folder, '--url', 'memory:', '--file', 'x.db'])).toMatchObject({ code: 2 })
    for (const command of ['check', 'fmt', 'graph', 'init']) {
      const { code, err } = await cli([command, folder, '--url', 'memory:'])
      expect(code).toBe(2)
      expect(err).toContain('--url names a log')
    }
    const missing = await cli(['up', join(folder, 'none')])
    expect(missing.code).toBe(1)
    expect(missing.err).toMatch(/there is no file .*none\nnext: check the path; `swarmbus init/)
  })

  test('[W20] a broker that cannot be reached ends the start with 1 and what to do', async () => {
    const folder = project({ 'main.ww': `${CHAIN}message_bus = redis { redis_url: $REDIS_URL }` })
    const env = { REDIS_URL: `redis://:${SECRET}@127.0.0.1:1` }
    const { code, err } = await cli(['up', folder], { env, stdin: 'x\n' })
    expect(code).toBe(1)
    expect(err).toMatch(/next: check the address and that the server runs/)
    expect(err).not.toContain(SECRET)
  })
})

describe('init', () => {
  test('[W88] it makes a file that runs without a key, that is sound and spelled right', async () => {
    const folder = join(project({}), 'deep/new')
    expect(await cli(['init', folder])).toMatchObject({
      code: 0,
      out: expect.stringContaining(`next: swarmbus up ${folder}`),
    })
    expect(namesIn(folder)).toEqual(['.gitignore', 'main.ww'])
    expect((await cli(['check', folder, '--strict'])).code).toBe(0)
    expect((await cli(['fmt', '--check', folder])).code).toBe(0)
    expect(await cli(['up', folder, '--strict'], { stdin: 'hello\n' })).toMatchObject({
      code: 0,
      out: 'You said: hello\n',
    })
  })

  test('what is there is not changed', async () => {
    const folder = project({ 'main.ww': '# mine', '.gitignore': 'x' })
    const { code, err } = await cli(['init', folder])
    expect(code).toBe(1)
    expect(err).toContain('already')
    expect(readFileSync(join(folder, 'main.ww'), 'utf8')).toBe('# mine')
    const other = project({ '.gitignore': 'x' })
    expect((await cli(['init', other])).out).not.toContain('.gitignore')
    expect(readFileSync(join(other, '.gitignore'), 'utf8')).toBe('x')
  })
})

describe('check', () => {
  test('[W65] [W61] several files, every fault with its place and a caret; what another machine may have is a warning', async () => {
    const folder = project({
      'a.ww': CHAIN,
      'b.ww': 'x = llm openai { api_key: $OPENAI_API_KEY }\ny = llm echo { to: z }',
      'c.ww': 'x = llm echo { delay: $D }\nin = input command_line { to: x }',
    })
    const path = (name: string): string => join(folder, name)
    const { code, out } = await cli(['check', path('a.ww'), path('b.ww'), path('c.ww')])
    expect(code).toBe(1)
    expect(out).toContain(`${path('a.ww')}: sound, 4 components`)
    expect(out).toContain(
      `${path('b.ww')}:2:20: error: nothing is declared as "z" [unknown-name]\n 2 | y = llm echo { to: z }\n   |                    ^\n`,
    )
    expect(out).toContain('warning: the variable OPENAI_API_KEY is not set [unset-variable]')
    expect(out).toContain('[unavailable-kind]')
    expect(out).toContain(`${path('c.ww')}: 1 warning`)
    expect((await cli(['check', path('c.ww')])).code).toBe(0)
    expect((await cli(['check', path('c.ww'), '--strict'])).code).toBe(1)
    const json = JSON.parse((await cli(['check', path('b.ww'), '--json'])).out) as readonly {
      valid: boolean
      diagnostics: readonly object[]
    }[]
    expect(json).toMatchObject([{ file: path('b.ww'), valid: false }])
    expect(json[0]?.diagnostics).toContainEqual(expect.objectContaining({ code: 'unknown-name', line: 2, column: 20 }))
  })
})

test('one of several files that is not there, or is no text, does not keep the others from being checked', async () => {
  const folder = project({ 'a.ww': CHAIN, 'b.ww': 'x = llm echo { to: z }' })
  writeFileSync(join(folder, 'c.ww'), Buffer.from([0xff, 0xfe, 0x00]))
  const paths = ['none.ww', 'c.ww', 'a.ww', 'b.ww'].map((name) => join(folder, name))
  const { code, out } = await cli(['check', ...paths])
  expect(code).toBe(1)
  expect(out).toMatch(
    /there is no file .*none\.ww\n.*c\.ww cannot be read: it is not UTF-8\n.*a\.ww: sound, 4 components\n.*b\.ww:1:20/,
  )
  const json = JSON.parse((await cli(['check', ...paths, '--json'])).out) as readonly object[]
  expect(json).toMatchObject(
    [{ fault: /none/ }, { fault: /UTF-8/ }, { valid: true }, { valid: false }].map((one) =>
      'fault' in one ? { valid: false, diagnostics: [], fault: expect.stringMatching(one.fault as RegExp) } : one,
    ),
  )
})

describe('fmt', () => {
  const UGLY = 'in=command_line{}   # both\n\n\nout =   output   console{prefix = "x"}'

  test('it writes the one spelling, and does it once; --check only says so', async () => {
    const folder = project({ 'main.ww': UGLY })
    const file = join(folder, 'main.ww')
    chmodSync(file, 0o640)
    expect(await cli(['fmt', '--check', folder])).toMatchObject({ code: 1, out: `${file} would be changed\n` })
    expect(readFileSync(file, 'utf8')).toBe(UGLY)
    expect(await cli(['fmt', folder])).toMatchObject({ code: 0, out: `${file} changed\n` })
    const after = readFileSync(file, 'utf8')
    expect(after).toContain('# both')
    expect(statSync(file).mode & 0o777).toBe(0o640)
    expect(namesIn(folder)).toEqual(['main.ww'])
    expect(await cli(['fmt', folder])).toMatchObject({ code: 0, out: '1 file spelled right\n' })
    expect(readFileSync(file, 'utf8')).toBe(after)
    expect((await cli(['fmt', '-'], { stdin: UGLY })).out).toBe(after)
  })

  test('a file with errors leaves all files of the call as they are', async () => {
    const folder = project({ 'a.ww': UGLY, 'b.ww': 'x = llm echo { ' })
    const { code, err } = await cli(['fmt', join(folder, 'a.ww'), join(folder, 'b.ww')])
    expect(code).toBe(1)
    expect(err).toMatch(/b\.ww:1:\d+: error/)
    expect(readFileSync(join(folder, 'a.ww'), 'utf8')).toBe(UGLY)
  })
})

test('graph draws what was inferred and declared, and refuses a file with errors', async () => {
  const folder = project({ 'main.ww': CHAIN })
  expect((await cli(['graph', folder])).out).toContain('in  (input command_line)\n  → agent  (inferred)\n')
  expect((await cli(['graph', folder, '--format', 'svg'])).out).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
  expect((await cli(['graph', folder, '--format', 'png'])).code).toBe(2)
  expect(JSON.parse((await cli(['graph', folder, '--json'])).out)).toMatchObject({
    edges: expect.arrayContaining([{ from: 'in', to: 'agent', type: 'inferred' }]),
  })
  writeFileSync(join(folder, 'main.ww'), 'x = ')
  expect((await cli(['graph', folder])).code).toBe(1)
})

async function* lines(text: string, end: Promise<void>): AsyncGenerator<string> {
  yield text
  await end
}
