import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Step, TASKS, TOOL_PACKAGES } from './tasks.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const nothing = (): boolean => false

function stepsOf(
  task: string,
  extra: readonly string[] = [],
  exists: (path: string) => boolean = nothing,
): readonly Step[] {
  return TASKS[task]?.steps(extra, exists) ?? []
}

test('every script of package.json is a task, and every task has one', () => {
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  expect(scripts).toEqual(Object.fromEntries(Object.keys(TASKS).map((name) => [name, `node scripts/run.mjs ${name}`])))
})

test('test checks first and runs the tests last', () => {
  expect(stepsOf('test').map((step) => step.name)).toEqual(['lint', 'promises', 'types', 'unit'])
})

test('test with arguments hands them to vitest and checks nothing else', () => {
  const steps = stepsOf('test', ['src/kit', '-t', 'ring'])
  expect(steps.map((step) => step.name)).toEqual(['unit'])
  expect(steps[0]?.commands[0]?.slice(-3)).toEqual(['src/kit', '-t', 'ring'])
})

test('start and bench hand their arguments on', () => {
  for (const task of ['start', 'bench']) {
    expect(stepsOf(task, ['--seed', '7'])[0]?.commands[0]?.slice(-2)).toEqual(['--seed', '7'])
  }
})

test('the benchmarks are type-checked only where their packages are installed', () => {
  const projects = (...present: string[]): readonly (string | undefined)[] =>
    stepsOf('check', [], (path) => present.includes(path))
      .flatMap((step) => step.commands)
      .filter(([tool]) => tool === 'tsc')
      .map((command) => command.at(-1))
  expect(projects()).not.toContain('tsconfig.bench.json')
  expect(projects('bench', 'bench/package.json')).not.toContain('tsconfig.bench.json')
  expect(projects('bench')).toContain('tsconfig.bench.json')
  expect(projects('bench', 'bench/package.json', 'bench/node_modules')).toContain('tsconfig.bench.json')
})

test('every tool belongs to an installed package', () => {
  for (const [tool, name] of Object.entries(TOOL_PACKAGES)) {
    const { bin } = JSON.parse(readFileSync(`${root}node_modules/${name}/package.json`, 'utf8'))
    expect(existsSync(`${root}node_modules/${name}/${typeof bin === 'string' ? bin : bin[tool]}`)).toBe(true)
  }
})
