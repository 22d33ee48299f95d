import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ROOT } from '../architecture/source.ts'

let root: string

/** A small repository with this one's release check, its test settings, and its test runner. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'swarmbus-release-'))
  cpSync(join(ROOT, 'vitest.config.ts'), join(root, 'vitest.config.ts'))
  cpSync(join(ROOT, 'scripts'), join(root, 'scripts'), {
    recursive: true,
    filter: (path) => !path.endsWith('.test.ts'),
  })
  for (const folder of ['node_modules', 'tools/node', 'test']) mkdirSync(join(root, folder), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules/vitest'), join(root, 'node_modules/vitest'), 'junction')
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: object }
  writeFileSync(join(root, 'package.json'), JSON.stringify({ type: 'module', engines }))
  // No Node is pinned there: the check runs on the one that runs this test.
  writeFileSync(join(root, 'tools/node/package.json'), JSON.stringify({ optionalDependencies: {} }))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Runs `npm test` over the given files. */
function release(files: Readonly<Record<string, string>>): Promise<{ code: number; closing: string; output: string }> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, 'test', name), text)
  const env = { ...process.env, NO_COLOR: '1', VITEST: undefined, VITEST_MODE: undefined, VITEST_WORKER_ID: undefined }
  return new Promise((resolve) => {
    const args = [join(root, 'scripts/run.mjs'), 'test', '--config', join(root, 'vitest.config.ts')]
    execFile(process.execPath, args, { cwd: root, env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? 1)
      resolve({ code, closing: stdout.trim().split('\n').at(-1) ?? '', output: stdout + stderr })
    })
  })
}

const busTest = (title: string, wanted: number): string => `test('${title}', () => { expect(1).toBe(${wanted}) })\n`
const IMPORT = "import { expect, test } from 'vitest'\n"

test('[ZN33] the release check fails when 5 of 5 bus tests fail, and passes the same tests once they hold', async () => {
  const titles = ['send', 'receive', 'request', 'broadcast', 'close']
  const failing = await release({ 'bus.test.ts': IMPORT + titles.map((title) => busTest(title, 2)).join('') })
  expect([failing.code === 0, failing.closing], failing.output).toEqual([false, '0 passed, 5 failed'])
  expect(failing.output).not.toMatch(/all tests pass/i)
  const passing = await release({ 'bus.test.ts': IMPORT + titles.map((title) => busTest(title, 1)).join('') })
  expect([passing.code, passing.closing], passing.output).toEqual([0, '5 passed, 0 failed'])
})

test('[ZN33] the release check fails for a test without an assertion, and for a test file without a test', async () => {
  const { code, closing, output } = await release({
    'hollow.test.ts': `${IMPORT}test('claims to send', async () => { console.log('all tests passing') })\n`,
    'empty.test.ts': "console.log('all tests passing')\n",
    'honest.test.ts': IMPORT + busTest('send', 1),
  })
  expect([code === 0, closing], output).toEqual([false, '1 passed, 2 failed'])
})
