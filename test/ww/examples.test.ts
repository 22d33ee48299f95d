import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createBus } from '../../src/bus/bus.ts'
import { openSwarm } from '../../src/node/swarm/run.ts'
import { ROOT, run, start } from '../examples/run.ts'
import { terminalWith } from './project.ts'

const MAIN = 'src/cli/main.ts'

/** What each example is given, and what it prints: lines, in any order where several components work at once. */
const EXAMPLES: Readonly<Record<string, { readonly input: string; readonly prints: readonly string[] }>> = {
  chain: { input: 'what is a bus?\nand why?\n', prints: ['You asked: what is a bus?', 'You asked: and why?'] },
  'many-to-one': {
    input: 'should we deploy?\n',
    prints: ['optimist: Yes, of course.', 'pessimist: No, never on a Friday.', 'realist: Yes, after the tests.'],
  },
  'one-to-many': { input: 'hello\n', prints: ['hello', 'log: hello'] },
  redaction: {
    input: 'my card is 4111 1111 1111 1111, write to pink@example.com\n',
    prints: ['The agent read: my card is [card], write to [address]'],
  },
  tools: {
    input: 'how warm is it in Lisbon?\nthanks\n',
    prints: ['It is 73.4 degrees Fahrenheit.', 'You are welcome.'],
  },
  desk: {
    input: 'my order is late\nthanks\n',
    prints: ['desk: Your order leaves today.', 'desk: Have a nice day!'],
  },
  research: { input: 'what is a lease?\n', prints: ['A lease says who owns something, and until when.'] },
  pipeline: { input: 'draft a release note\n', prints: ['Edited: messages arrive twice as fast.'] },
  chat: { input: 'hello\nexit\nnot read\n', prints: ['echo: hello'] },
  demo: { input: 'hello\n', prints: ['agent: agent: hello', 'summary: in short: agent: hello'] },
}

/** Those in the dialect with `=`, which the one canonical spelling does not have. */
const EQUALS_DIALECT = ['chat', 'pipeline']

test('every folder of examples/ww is run here', () => {
  expect(readdirSync(join(ROOT, 'examples/ww')).sort()).toEqual(Object.keys(EXAMPLES).sort())
})

describe('[W78] the examples run by `swarmbus up`', () => {
  test.each(Object.entries(EXAMPLES))('%s prints what its input comes to, and ends with it', async (name, example) => {
    const { code, out, err } = await run([MAIN, 'up', `examples/ww/${name}`], example.input)
    expect(out.trimEnd().split('\n').sort()).toEqual([...example.prints].sort())
    expect(err).toMatch(/^bus: memory: \(.+\)$/m)
    expect(err).toMatch(/^ready in .+: \d+ components?$/m)
    expect(err).toMatch(/^ended: \d+ events, \d+ messages routed$/m)
    expect(code).toBe(0)
  })

  test('they are sound, and spelled in the one canonical way but for those of the other dialect', async () => {
    const folders = Object.keys(EXAMPLES).map((name) => `examples/ww/${name}`)
    const checked = await run([MAIN, 'check', ...folders])
    expect(checked.out).not.toContain('error')
    expect(checked.code).toBe(0)
    const spelled = folders.filter((one) => !EQUALS_DIALECT.some((name) => one.endsWith(name)))
    expect(await run([MAIN, 'fmt', '--check', ...spelled])).toMatchObject({ code: 0 })
  })
})

test('[W78] Ctrl-C ends a swarm whose input stays open, with what is on its way done', async () => {
  const { child, ended, said } = start([MAIN, 'up', 'examples/ww/chain'], undefined)
  child.stdin.write('hello\n')
  await said('You asked: hello')
  child.kill('SIGINT')
  const { code, err } = await ended
  expect(code).toBe(0)
  expect(err).toContain('stopping')
  expect(err).toContain('ended: ')
})

test('[W42] the demo: each output gets exactly what it should, by declared, inferred, many-to-one and feedback routes and a direct message', async () => {
  await using bus = createBus()
  const terminal = terminalWith()
  await using run = await openSwarm(join(ROOT, 'examples/ww/demo/main.ww'), { environment: {}, bus, terminal })
  const { swarm } = run
  expect(swarm.routes.list().map(({ from, to, origin }) => `${from} ${origin}: ${to.join()}`)).toEqual(
    expect.arrayContaining([
      'input inferred: agent',
      'agent declared: output,summary,analytics,notes',
      'summary declared: output',
      'notes declared: agent',
      'analytics inferred: ',
      'output inferred: ',
    ]),
  )
  expect(swarm.routes.validate()).toMatchObject({ valid: true, issues: [] })
  await swarm.component('input').emit('input_received', 'hello')
  await swarm.idle()
  const direct = await swarm.component('agent').send('analytics', 'metrics', { latency: 42 })
  expect(direct.delivered).toEqual(['analytics'])
  await swarm.idle()
  expect(terminal.printed().trimEnd().split('\n').sort()).toEqual([
    'agent: agent: hello',
    'summary: in short: agent: hello',
  ])
  const { counted } = (await swarm.component('input').request('analytics', {
    action: 'report',
    inputs: {},
  })) as { readonly counted: readonly object[] }
  expect(counted).toMatchObject([
    { event: 'response_generated', from: 'agent', count: 1 },
    { event: 'metrics', from: 'agent', count: 1, last: { latency: 42 } },
  ])
  const noted = (await swarm.component('input').request('notes', { action: 'data', inputs: {} })) as readonly object[]
  expect(JSON.stringify(noted)).toContain('agent: hello')
})
