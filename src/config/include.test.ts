import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errors, load, loadIn, project, told } from '../../test/ww/project.ts'

const OUT = 'out = output console {}\n'

test('declarations of included files stand beside the others, each file is read once, and paths are relative to who includes', async () => {
  const folder = project({
    'main.ww': 'include "parts/agent.ww"\ninclude "out.ww"\nin = input command_line { to: agent }\n',
    'parts/agent.ww': 'include "models/echo.ww"\ninclude "../out.ww"\nagent = agent llm { model: brain, to: out }\n',
    'parts/models/echo.ww': 'brain = llm echo {}\n',
    'out.ww': OUT,
  })
  const loaded = await loadIn(folder)
  expect(told(loaded)).toEqual([])
  expect(loaded.specs.map(({ name }) => name)).toEqual(['brain', 'out', 'agent', 'in'])
  expect(loaded.specs[0]?.place).toEqual({ file: join(folder, 'parts/models/echo.ww'), line: 1, column: 1 })
})

test('an include stays inside of the folder of the main file: neither .., nor an absolute path, nor a symbolic link leads out', async () => {
  const outside = project({ 'secret.ww': OUT, 'deep/main.ww': '' })
  const folder = project({
    'main.ww': [
      `include "../${outside.split('/').at(-1)}/secret.ww"`,
      `include "${join(outside, 'secret.ww')}"`,
      'include "link.ww"',
      'include "linked/secret.ww"',
      'include "../no-such-file.ww"',
    ].join('\n'),
  })
  symlinkSync(join(outside, 'secret.ww'), join(folder, 'link.ww'))
  symlinkSync(outside, join(folder, 'linked'))
  const loaded = await loadIn(folder)
  expect(errors(loaded)).toEqual([1, 2, 3, 4, 5].map((line) => `include-outside ${line}:9`))
  expect(loaded.specs).toEqual([])
})

test('a symbolic link that stays inside is followed', async () => {
  const folder = project({ 'main.ww': 'include "link.ww"', 'real.ww': OUT })
  symlinkSync(join(folder, 'real.ww'), join(folder, 'link.ww'))
  expect((await loadIn(folder)).specs.map(({ name }) => name)).toEqual(['out'])
})

test('a missing file, a folder, bytes that are no text, and a circle are errors at the include', async () => {
  const folder = project({
    'main.ww': 'include "gone.ww"\ninclude "a.ww"\ninclude "sub"\ninclude "main.ww"\ninclude "$X.ww"\n',
    'a.ww': 'include "b.ww"\n',
    'b.ww': 'include "a.ww"\n',
    'sub/x.ww': '',
  })
  const loaded = await loadIn(folder)
  expect(loaded.diagnostics.map(({ file, line, code }) => `${file.slice(folder.length + 1)}:${line} ${code}`)).toEqual([
    'b.ww:1 include-cycle',
    'main.ww:1 include-missing',
    'main.ww:3 include-missing',
    'main.ww:4 include-cycle',
    'main.ww:5 include-missing',
  ])
  expect(loaded.diagnostics[0]?.message).toBe('files include each other: a.ww → b.ww → a.ww')
})

test('[W64] a name that two files declare is an error at the second one, with the place of the first', async () => {
  const folder = project({ 'main.ww': `include "other.ww"\n${OUT}`, 'other.ww': OUT })
  const loaded = await loadIn(folder)
  expect(told(loaded)).toEqual([`duplicate-name 2:1 "out" is declared already, at ${join(folder, 'other.ww')}:1`])
})

test('every file shows its own faults at its own places', async () => {
  const folder = project({
    'main.ww': 'include "bad.ww"\nx = output console { to: nobody }',
    'bad.ww': '\n  y = output console {',
  })
  const loaded = await loadIn(folder)
  expect(new Set(loaded.diagnostics.map(({ file }) => file)).size).toBe(2)
  expect(loaded.valid).toBe(false)
})

test('a text has no folder: what it includes is looked for where the program runs, and never outside', async () => {
  expect(errors(await load('include "/etc/hostname"'))).toEqual(['include-outside 1:9'])
})
