import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli, jsonLines, start } from '../../test/cli/support.ts'
import { run } from '../../test/examples/run.ts'
import { project } from '../../test/ww/project.ts'

const ENDS = 'in = input command_line { to: agent }\nout = output console {}\n'
const FAILS = `${ENDS}agent = agent llm { model: llm scripted { answers: [{ text: "one" }] } }\nmessage_bus = memory { max_retries: 0 }`
const KINDS = `const kind = (name, rest) => ({ kind: name, role: 'tool', summary: 's', keys: { key: { type: 'text', summary: 's' } }, ...rest })
export const kinds = [
  kind('never ready', { make: () => ({ handle: () => undefined, start: () => new Promise(() => setInterval(() => {}, 1000)) }) }),
  kind('bad start', { make: ({ settings }) => { throw new Error('no way with ' + settings.key) } }),
]`

describe('a handler that fails', () => {
  test('where no terminal is read it ends with 1, and the fault is the last word', async () => {
    const folder = project({ 'main.ww': FAILS })
    const { code, out, err } = await cli(['up', folder], { stdin: 'first\nsecond\n' })
    expect([code, out]).toEqual([1, 'one\n'])
    expect(err).toMatch(/^warning: "agent" failed .*the script has no answer left/m)
    expect(err).toMatch(
      /\nswarmbus: "agent" failed .*the script has no answer left.*\nnext: mend it, and run it again\n$/,
    )
    const quiet = await cli(['up', folder], { stdin: 'first\nsecond\nthird\n', env: { WOODWORK_LOG_LEVEL: 'error' } })
    expect(quiet.code).toBe(1)
    expect(quiet.err).toMatch(/^swarmbus: 2 faults, the first: "agent" failed/)
  })

  test('with --json it is an object on standard error; on a bus that keeps messages it says where they wait', async () => {
    const folder = project({ 'main.ww': FAILS })
    const url = `sqlite:${join(folder, 'kept.db')}`
    const { code, out, err } = await cli(['up', folder, '--json', '--url', url], { stdin: 'first\nsecond\n' })
    expect(code).toBe(1)
    expect(jsonLines(out).at(-1)).toMatchObject({ type: 'summary', faults: 1 })
    expect(jsonLines(err).at(-1)).toMatchObject({
      error: { exitCode: 1, next: expect.stringContaining(`\`swarmbus dead-letters list --url ${url}\``) },
    })
    const letters = await cli(['dead-letters', 'list', '--url', url])
    expect(letters.out).toContain('agent')
  })

  test('on a terminal a person has seen it, and a hook only looks on: code 0', async () => {
    const folder = project({
      'main.ww': FAILS,
      'hook.ww': `${ENDS}agent = agent llm {
  model: llm echo {}
  hooks: [{ event: "response_generated", script_path: "hook.mjs", function_name: "look" }]
}`,
      'hook.mjs': 'export function look() { throw new Error("cannot look") }',
    })
    const seen = await cli(['up', folder], { stdin: 'first\nsecond\nexit\n', terminal: 80 })
    expect(seen.code).toBe(0)
    expect(seen.err).toContain('"agent" failed')
    const looked = await cli(['up', join(folder, 'hook.ww')], { stdin: 'first\n' })
    expect([looked.code, looked.out]).toEqual([0, 'first\n'])
    expect(looked.err).toContain('cannot look')
  })
})

describe('a start that fails', () => {
  test('names the component with its place in the file, and no secret', async () => {
    const folder = project({ 'main.ww': 'include "kinds.mjs"\n\nx = bad start { key: $KEY }', 'kinds.mjs': KINDS })
    const { code, err } = await cli(['up', folder, '--debug'], { env: { KEY: 'hunter2hunter2' } })
    expect(code).toBe(1)
    expect(err).toMatch(
      /swarmbus: .*main\.ww:3:1: "x" \(bad start\) could not start: no way with \*\*\*\nnext: mend what/,
    )
    expect(err).not.toContain('hunter2')
  })

  test('a component that is never ready is named with the limit, and keeps the process no longer', async () => {
    const folder = project({ 'main.ww': 'include "kinds.mjs"\nx = never ready {}', 'kinds.mjs': KINDS })
    const { code, err } = await run(['bin/swarmbus.mjs', 'up', folder, '--start-timeout', '200ms'])
    expect(code).toBe(1)
    expect(err).toMatch(/main\.ww:2:1: "x" \(never ready\) was not ready within 200 ms\nnext: .*--start-timeout/)
    expect((await cli(['up', folder, '--start-timeout', 'soon'])).code).toBe(2)
  })

  test('Ctrl-C gives it up with 130', async () => {
    const folder = project({ 'main.ww': 'include "kinds.mjs"\nx = never ready {}', 'kinds.mjs': KINDS })
    const { code, err, exits } = await start(['up', folder], {
      onErr: (text, call) => text.startsWith('bus:') && setImmediate(call.interrupt),
    }).done
    expect([code, exits]).toEqual([130, []])
    expect(err).toContain('interrupted before everything had started')
  })
})

test('on a terminal the prompt comes when everything is ready, not in the middle of what is told', async () => {
  const folder = project({ 'main.ww': `${ENDS}agent = agent llm { model: llm echo {} }` })
  const written: string[] = []
  const keep = (text: string): unknown => written.push(text)
  await cli(['up', folder], { stdin: 'hello\n', terminal: 80, onOut: keep, onErr: keep })
  const ready = written.findIndex((text) => text.includes('ready in'))
  expect(ready).toBeGreaterThan(0)
  expect(written.indexOf('> ')).toBeGreaterThan(ready)
})

test('modules of a user that say `swarmbus` mean the copy that runs, wherever they lie', async () => {
  const folder = project({
    'main.ww': 'include "own.ts"\nin = input command_line { to: own }\nown = own shouter {}\nout = output console {}',
    'own.ts': `import { BusError } from 'swarmbus'
import { defineKind, textOf } from 'swarmbus/component'
export const own = defineKind({ kind: 'own shouter', role: 'agent', summary: 's', keys: {},
  make: () => ({ handle: ({ data }) => textOf(data).toUpperCase() + (new BusError('CANCELLED', 'x').code.length) }) })`,
  })
  const { code, out, err } = await run(['bin/swarmbus.mjs', 'up', folder], 'hello\n')
  expect(err).not.toContain('error')
  expect([code, out]).toEqual([0, 'HELLO9\n'])
})

test('a file without a component is refused; without one that takes input it says what will end it', async () => {
  const folder = project({ 'main.ww': '# nothing yet', 'silent.ww': 'out = output console {}' })
  const empty = await cli(['up', folder])
  expect([empty.code, empty.err]).toEqual([1, expect.stringContaining('main.ww declares no component\nnext: ')])
  const silent = await start(['up', join(folder, 'silent.ww')], {
    onErr: (text, call) => text.includes('until Ctrl-C') && setImmediate(call.interrupt),
  }).done
  expect([silent.code, silent.exits]).toEqual([0, []])
  expect(silent.err).toContain('none of its components takes input')
})
