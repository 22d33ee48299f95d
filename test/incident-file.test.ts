import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ROOT, run, start } from './examples/run.ts'

const UP = ['src/cli/main.ts', 'up', 'examples/incident']
const folder = mkdtempSync(join(tmpdir(), 'incident-file-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A file of its own, so that nothing is left behind by another test. */
const on = (name: string): string[] => ['--url', `sqlite:${join(folder, name)}`]

/** Route of each line, in order, without what is said to all. */
function routes(out: string): string[] {
  return [...out.matchAll(/^ *\d+\.\d{3} \w+ +(\S+ → \S+)/gm)]
    .map(([, route = '']) => route.replace(/\/(pink|red)$/, '/a coder').replace(/^(pink|red)\b/, 'a coder'))
    .filter((route) => !route.endsWith('all'))
}

describe('the incident as a `.ww` file', () => {
  test('[W78] [C58] `swarmbus up` takes a task through the team, a line for each message, and ends', async () => {
    const { code, out, err } = await run([...UP, ...on('one.db')], 'critical 30s: Production is down: fix auth\n')
    expect(routes(out)).toEqual([
      'you → harold',
      'harold → coding/a coder',
      'a coder → validator',
      expect.stringMatching(/^validator → (pink|red)$/),
      'a coder → validator',
      expect.stringMatching(/^validator → (pink|red)$/),
      'a coder → harold',
      'harold → deploy/harold',
      'harold → harold',
      'harold → monitor/ring',
      'ring → harold',
      'harold → you',
    ])
    expect(out).toContain('ring → all')
    expect(out.trimEnd().split('\n').at(-1)).toBe('1 read: 1 done, 0 failed, 0 refused')
    expect(err).toMatch(/^ready in .+: 7 components$/m)
    expect(code).toBe(0)
  })

  test('what is no task is named with its line, and the others are done', async () => {
    const { code, out } = await run([...UP, ...on('bad.db')], 'soon: fix x\nlow: document the cache\nexit\nfix y\n')
    expect(out).toMatch(/^line 1: "soon" is no priority; the five are critical/m)
    expect(out.trimEnd().split('\n').at(-1)).toBe('2 read: 1 done, 0 failed, 1 refused')
    expect(out).not.toContain('fix y')
    expect(code).toBe(0)
  })

  test('[W19] [C14] what Ctrl-C leaves behind, and what kill -9 does, the next run takes up', async () => {
    const many = Array.from({ length: 40 }, (_, index) => `fix part${index}`)
    const first = start([...UP, ...on('left.db'), '--drain', '100ms'], undefined)
    first.child.stdin.write(`${many.join('\n')}\n`)
    await first.said('harold → coding/')
    first.child.kill('SIGINT')
    const stopped = await first.ended
    const killed = start([...UP, ...on('left.db')], undefined)
    await killed.said('harold → coding/')
    killed.child.kill('SIGKILL')
    const dead = await killed.ended
    const last = await run([...UP, ...on('left.db')], 'fix the last one\n')
    expect(last.out).toMatch(/^\d+ tasks of an earlier run go on\.$/m)
    expect(last.out).toMatch(/^An earlier run: fix part\d+: done: fixed part/m)
    expect(last.out.trimEnd().split('\n').at(-1)).toBe('1 read: 1 done, 0 failed, 0 refused')
    const done = [stopped, dead, last].flatMap(({ out }) => [...out.matchAll(/harold → you +done: fixed (\w+)/g)])
    const parts = new Set(done.map(([, part]) => part))
    for (let index = 0; index < 40; index++) expect(parts).toContain(`part${index}`)
    expect(last.code).toBe(0)
  })

  test('it is sound, in the canonical spelling, and drawn with who works for whom', async () => {
    const [cli = '', , file = ''] = UP
    expect(await run([cli, 'check', file, '--strict'])).toMatchObject({ code: 0, err: '' })
    expect(await run([cli, 'fmt', '--check', file])).toMatchObject({ code: 0, err: '' })
    const { out } = await run([cli, 'graph', file])
    expect(out).toContain('tasks  (incident tasks, input)\n  → harold')
    expect(out).toContain('uses pink, red, validator, ring')
    expect((await run([cli, 'graph', file, '--format', 'svg'])).out).toContain(
      '<title>harold: incident lead, agent</title>',
    )
  })

  test('`npm start` runs what the file describes: its bus, its agents, and what somebody adds', async () => {
    const { BUS, scripts } = {
      BUS: readFileSync(join(ROOT, 'examples/incident/main.ww'), 'utf8'),
      scripts: (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> })
        .scripts,
    }
    expect(scripts.start).toContain('start')
    expect(BUS).toContain('path: "../../.swarmbus/incident.db"')
    // Beside the repository's own package.json, so that its modules find `swarmbus`.
    const copy = mkdtempSync(join(ROOT, 'test/.incident-'))
    try {
      cpSync(join(ROOT, 'examples/incident'), copy, { recursive: true })
      writeFileSync(join(copy, 'main.ww'), `${BUS}\ndoor = output websocket { port: 0 }\n`)
      const { code, out } = await run([join(copy, 'main.ts'), '--memory', '--fast', 'fix login'])
      expect(out).toMatch(/^"door" .*127\.0\.0\.1:\d+/m)
      expect(out).toContain('1 read: 1 done')
      expect(code).toBe(0)
      writeFileSync(join(copy, 'main.ww'), BUS.replace('harold = incident lead', 'harold = incident laed'))
      const broken = await run([join(copy, 'main.ts'), '--memory', 'fix login'])
      expect(broken.code).toBe(1)
      expect(broken.err).toMatch(/main\.ww:\d+:\d+: error: .*incident laed/)
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  })
})
