import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Summary } from '../examples/incident/summary.ts'
import { run, start } from './examples/run.ts'

const MAIN = 'examples/incident/main.ts'
const folder = mkdtempSync(join(tmpdir(), 'incident-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const TASKS = ['critical: Production is down: fix auth', 'low: fix search', 'high: deploy billing', 'fix login']

function summaryOf(out: string): Summary {
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as Summary
}

/** What was reported done, over all runs: by the words of the report. */
function done(...outs: readonly string[]): string[] {
  return outs.flatMap((out) =>
    out
      .split('\n')
      .filter((line) => line.includes('"to":"you"') && line.includes('"from":"harold"'))
      .map((line) => (JSON.parse(line) as { text: string }).text),
  )
}

test('[C14] [W19] tasks that a killed run leaves behind are done by the next one, from the stage where they were', async () => {
  const file = join(folder, 'killed.db')
  const args = [MAIN, '--json', '--file', file]
  const first = start([...args, '--slow', ...TASKS], undefined)
  // The outage has been coded and is being rolled out: two of its three stages are to come.
  await first.said('"to":"deploy/harold","text":"Production')
  first.child.kill('SIGKILL')
  const killed = await first.ended
  const second = await run([...args, 'fix payment'], '')
  expect(second.err).toBe('')
  const { tasks } = summaryOf(second.out)
  expect(second.out).toContain('harold goes on with \\"Production is down: fix auth\\" after stage 1')
  expect(tasks).toMatchObject({ read: 1, done: 1, failed: 0, left: 0 })
  expect(tasks.resumed).toBeGreaterThan(0)
  const reports = done(killed.out, second.out)
  const once = reports.filter((text) => text.startsWith('done: mended auth'))
  expect(once).toHaveLength(1)
  expect(new Set(reports).size).toBe(TASKS.length + 1)
  // A third run finds nothing to go on with.
  const third = await run([...args, 'fix cache'], '')
  expect(summaryOf(third.out).tasks).toMatchObject({ read: 1, done: 1, resumed: 0, left: 0 })
})

test('[W19] [I12] Ctrl-C leaves what it cannot finish to the next run, and says so', async () => {
  const file = join(folder, 'stopped.db')
  const args = [MAIN, '--json', '--file', file]
  const many = Array.from({ length: 60 }, (_, index) => `fix part${index}`)
  const first = start([...args, '--slow', ...many], undefined)
  await first.said('coding/')
  first.child.kill('SIGINT')
  const stopped = await first.ended
  expect(stopped.code).toBe(130)
  const { tasks } = summaryOf(stopped.out)
  expect(tasks.read).toBe(60)
  expect(tasks.left).toBeGreaterThan(0)
  expect(tasks.failed).toBe(0)
  expect(tasks.done + tasks.left).toBe(60)
  const second = await run([...args, '--fast', 'fix last'], '')
  expect(summaryOf(second.out).tasks).toMatchObject({ read: 1, done: 1, failed: 0, resumed: tasks.left, left: 0 })
})

test('a second run on a file is told who holds it and what to do, and ends with code 1', async () => {
  const file = join(folder, 'held.db')
  const first = start([MAIN, '--file', file], undefined)
  await first.said('heartbeat')
  const second = await run([MAIN, '--file', file, 'fix login'])
  first.child.kill('SIGKILL')
  await first.ended
  expect(second.code).toBe(1)
  expect(second.err).toContain(String(first.child.pid))
  expect(second.err).toContain(file)
  expect(second.err).toContain('--file')
})
