import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errors, loadIn, project, told } from '../../test/ww/project.ts'
import { loadSwarm } from './load.ts'

const HOOKS =
  'export const note = (payload) => payload\nexport function shout(text) { return text.toUpperCase() }\nexport const five = 5\n'

test('[W50] [WN23] hooks and pipes are lists of blocks with their keys in any order; the module is found beside the file', async () => {
  const folder = project({
    'main.ww': `x = llm echo {
  hooks: [
    { event: "agent.thought", script_path: "hooks.mjs", function_name: "note" }
    { function_name: "shout", event: "agent.step_complete", script_path: "sub/more" },
  ]
  pipes: [{ script_path: "./hooks.mjs", optional: true, function_name: "shout", event: "response_generated" }]
}`,
    'hooks.mjs': HOOKS,
    'sub/more.mjs': HOOKS,
  })
  const loaded = await loadIn(folder)
  expect(errors(loaded)).toEqual([])
  const [spec] = loaded.specs
  expect(spec?.hooks).toMatchObject([
    { event: 'agent.thought', script: 'hooks.mjs', function: 'note' },
    { event: 'agent.step_complete', script: 'sub/more', function: 'shout' },
  ])
  expect(spec?.pipes).toMatchObject([
    { event: 'response_generated', script: './hooks.mjs', function: 'shout', optional: true },
  ])
  const info = { event: 'e', component: 'x', componentType: 'llm echo', session: undefined, time: 0 }
  expect(loaded.scripts.map(({ spec: { event }, run }) => [event, run('a', info)])).toEqual([
    ['agent.thought', 'a'],
    ['agent.step_complete', 'A'],
    ['response_generated', 'A'],
  ])
})

test('[W50] a module is found beside the file that names it before the main file', async () => {
  const folder = project({
    'main.ww': 'include "parts/a.ww"',
    'parts/a.ww':
      'x = llm echo { hooks: [{ event: "e", script_path: "h.mjs", function_name: "f" }, { event: "e", script_path: "only.mjs", function_name: "f" }] }',
    'parts/h.mjs': 'export const f = () => "part"',
    'h.mjs': 'export const f = () => "main"',
    'only.mjs': 'export const f = () => "main"',
  })
  const { scripts } = await loadIn(folder)
  expect(scripts.map(({ run }) => run(0, {} as never))).toEqual(['part', 'main'])
})

test('[W50] a missing file, a missing function, and a module that throws are errors at their places', async () => {
  const entry = (script: string, name: string): string =>
    `{ event: "e", script_path: "${script}", function_name: "${name}" }`
  const folder = project({
    'main.ww': `x = llm echo {
pipes: [
${entry('gone.ts', 'f')}
${entry('hooks.mjs', 'shuot')}
${entry('hooks.mjs', 'five')}
${entry('bad.mjs', 'f')}
${entry('old.py', 'f')}
]
}`,
    'hooks.mjs': HOOKS,
    'bad.mjs': 'throw new Error("no luck")',
    'old.py': 'def f(x): return x',
  })
  const run = await loadIn(folder)
  expect(told(run).slice(0, 5)).toEqual([
    'missing-module 3:28 there is no module "gone.ts"',
    'missing-function 4:56 "hooks.mjs" exports no function "shuot"',
    'missing-function 5:56 "hooks.mjs" exports no function "five"',
    expect.stringMatching(/^bad-module 6:28 "bad\.mjs" cannot be used: .*no luck/),
    'python-module 7:28 "old.py" is Python, which does not run here',
  ])
  expect(run.diagnostics[1]?.hint).toBe('did you mean "shout"?')
  // Who only checks imports nothing: the name must stand in the text.
  const checked = await loadIn(folder, { check: true })
  expect(told(checked).slice(0, 3)).toEqual([
    'missing-module 3:28 there is no module "gone.ts"',
    'missing-function 4:56 "hooks.mjs" has no function "shuot"',
    'missing-function 6:54 "bad.mjs" has no function "f"',
  ])
})

test('[W50] blocks that lack a key, or are none, are errors, and what is unknown in them a warning', async () => {
  const folder = project({
    'main.ww': `x = llm echo { hooks: [{ event: "e", script_path: "hooks.mjs" }, 5], pipes: "hooks.mjs" }
y = llm echo { hooks: { event: 5, script_path: "hooks.mjs", function_name: note, when: 1 } }
z = llm echo { hooks: [{ event: e, script: "hooks.mjs", function: note }], to: [] }`,
    'hooks.mjs': HOOKS,
  })
  const loaded = await loadIn(folder)
  expect(told(loaded)).toEqual([
    'missing-key 1:24 one of "hooks" has no "function_name"',
    'bad-script 1:66 "hooks" is a list of blocks',
    'bad-script 1:77 "pipes" is a list of blocks',
    'wrong-type 2:32 "event" must be a text',
    'unknown-key 2:82 "hooks" knows no "when"',
  ])
  expect(loaded.specs[2]?.hooks).toMatchObject([{ event: 'e', script: 'hooks.mjs', function: 'note' }])
})

test('loading has no side effects but those of modules: no file is made, nothing is written to the environment', async () => {
  const folder = project({ 'main.ww': 'x = output console { prefix: $FROM_FILE }', '.env': 'FROM_FILE=yes' })
  const before = { ...process.env }
  const loaded = await loadSwarm(join(folder, 'main.ww'))
  expect(loaded.specs[0]?.settings.prefix).toBe('yes')
  expect({ ...process.env }).toEqual(before)
})
