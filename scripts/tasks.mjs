/**
 * One program of a step: `node` or a tool that npm installed, with its arguments.
 * @typedef {readonly [tool: 'node' | keyof typeof TOOL_PACKAGES, ...args: string[]]} Command
 */

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {readonly Command[]} commands run in order until one fails
 * @property {readonly string[]} [clean] folders removed before
 */

/**
 * @typedef {object} Task
 * @property {string} summary
 * @property {readonly string[]} [installs] folders with a lock file of their own that the task needs installed
 * @property {boolean} [brokers] whether the task's tests start brokers
 * @property {(extra: readonly string[], exists: (path: string) => boolean) => readonly Step[]} steps `extra` are the
 *   caller's arguments; `exists` takes a path from the repository's root
 */

/** The package that holds each tool's program. */
export const TOOL_PACKAGES = /** @type {const} */ ({
  biome: '@biomejs/biome',
  oxlint: 'oxlint',
  tsc: 'typescript',
  vitest: 'vitest',
})

/** @type {Readonly<Record<string, Task>>} */
export const TASKS = {
  start: {
    summary: 'run the example',
    steps: (extra) => [
      { name: 'start', commands: [['node', '--conditions=swarmbus-source', 'examples/incident/main.ts', ...extra]] },
    ],
  },
  test: {
    summary: 'lint, promise lint, types and tests; with arguments: vitest alone, which gets them',
    brokers: true,
    steps: (extra, exists) => {
      const unit = unitStep(extra)
      return extra.length > 0 ? [unit] : [...checkSteps(exists), unit]
    },
  },
  check: { summary: 'lint, promise lint and types, without tests', steps: (_extra, exists) => checkSteps(exists) },
  fix: {
    summary: 'format, and apply the safe lint fixes',
    steps: (extra) => [{ name: 'fix', commands: [['biome', 'check', '--write', ...extra]] }],
  },
  build: {
    summary: 'compile src/ to dist/',
    steps: () => [{ name: 'build', clean: ['dist'], commands: [['tsc', '-b', 'tsconfig.build.json']] }],
  },
  bench: {
    summary: 'run the benchmarks',
    installs: ['bench'],
    steps: (extra) => [
      { name: 'bench', commands: [['node', '--conditions=swarmbus-source', '--expose-gc', 'bench/main.ts', ...extra]] },
    ],
  },
}

/**
 * @param {(path: string) => boolean} exists
 * @returns {readonly Step[]}
 */
function checkSteps(exists) {
  return [
    { name: 'lint', commands: [['biome', 'check', '--error-on-warnings']] },
    { name: 'promises', commands: [['oxlint', '--type-aware', '--deny-warnings']] },
    { name: 'types', commands: typeProjects(exists).map((project) => ['tsc', '--noEmit', '-p', project]) },
  ]
}

/**
 * @param {(path: string) => boolean} exists
 * @returns {readonly string[]}
 */
function typeProjects(exists) {
  // The benchmarks compare with other libraries, which only `npm run bench` installs.
  const bench = exists('bench') && (exists('bench/node_modules') || !exists('bench/package.json'))
  return ['tsconfig.json', 'scripts/tsconfig.json', ...(bench ? ['tsconfig.bench.json'] : [])]
}

/** Where vitest leaves its results for the closing line, from the repository's root. */
export const RESULTS_FILE = 'node_modules/.cache/test-results.json'

/**
 * @param {readonly string[]} extra
 * @returns {Step}
 */
function unitStep(extra) {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${RESULTS_FILE}`]
  return { name: 'unit', commands: [['vitest', 'run', ...reporters, ...extra]] }
}
