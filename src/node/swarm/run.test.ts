import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { project, terminalWith } from '../../../test/ww/project.ts'
import { createBus } from '../../bus/bus.ts'
import type { Terminal } from '../../component/kind.ts'
import type { BackendChoice } from '../backends.ts'
import { type OpenSwarmOptions, openSwarm } from './run.ts'

const CHAIN = `in = input command_line {}
agent = agent llm { model: llm echo { prefix: "you said: " } }
out = output console {}
`

/** Runs the main file of a folder until its input ends; what was printed, and the figures. */
async function ran(files: Readonly<Record<string, string>>, lines: readonly string[], options: OpenSwarmOptions = {}) {
  const terminal = terminalWith(...lines)
  const folder = project(files)
  await using run = await openSwarm(join(folder, 'main.ww'), { environment: {}, terminal, ...options })
  await run.ended
  const report = await run.stop()
  return { printed: terminal.printed(), report, stats: run.stats(), run }
}

test('[W78] [W37] a file without a word about routes runs from input to output, ends with its input, and leaves nothing', async () => {
  const steps: string[] = []
  const chosen: BackendChoice[] = []
  const { printed, report, stats } = await ran({ 'main.ww': CHAIN }, ['hello', 'you'], {
    onProgress: ({ component, step, done, total }) => void steps.push(`${step} ${component} ${done}/${total}`),
    onChosen: (choice) => void chosen.push(choice),
  })
  expect(printed).toBe('you said: hello\nyou said: you\n')
  expect(report).toEqual({ drained: true, left: 0, failed: [] })
  expect(stats.swarm.router.table).toMatchObject([
    { from: 'in', to: ['agent'], origin: 'inferred' },
    { from: 'agent-model', to: [] },
    { from: 'agent', to: ['out'], origin: 'inferred' },
    { from: 'out', to: [] },
  ])
  // What others need is ready first, and outputs before what sends to them.
  const ready = steps.filter((step) => step.startsWith('ready')).map((step) => step.split(' ')[1])
  expect(ready.indexOf('agent-model')).toBeLessThan(ready.indexOf('agent'))
  expect(ready.indexOf('out')).toBeLessThan(ready.indexOf('agent'))
  expect(ready.at(-1)).toBe('in')
  expect(steps.at(-1)).toBe('ready in 4/4')
  expect(chosen).toEqual([{ url: 'memory:', why: expect.stringContaining('WOODWORK_ENV') }])
})

test.each(['exit', ';'])('[W78] the line %j ends the run, and what stands behind it is not read', async (word) => {
  const { printed } = await ran({ 'main.ww': CHAIN }, ['one', word, 'two'])
  expect(printed).toBe('you said: one\n')
})

test('[W39] [WN18] several inputs go to one agent, and one agent to several outputs', async () => {
  const { printed, stats } = await ran(
    {
      'main.ww': `include "kinds.mjs"
in = input command_line {}
timer = input once {}
agent = agent llm { model: llm echo {}, to: [out, other] }
out = output console { prefix: "1 " }
other = output console { prefix: "2 " }`,
      'kinds.mjs': `export const once = { kind: 'input once', role: 'input', summary: 's', keys: {}, make: () => {
  let ended
  return { routes: ['input_received'], get ended() { return ended }, start(own) { ended = own.emit('input_received', 'tick') } }
} }`,
    },
    ['hello'],
  )
  expect(printed.trimEnd().split('\n').sort()).toEqual(['1 hello', '1 tick', '2 hello', '2 tick'])
  expect(stats.swarm.router).toMatchObject({ routingFailures: 0, activeRoutes: 4 })
})

test('[W40] routes of a file are listed as a copy, added and removed while it runs', async () => {
  const folder = project({ 'main.ww': `${CHAIN}other = output console { prefix: "other " }` })
  const terminal = terminalWith()
  await using run = await openSwarm(join(folder, 'main.ww'), { environment: {}, terminal })
  const { routes } = run.swarm
  expect(routes.chains()).toEqual([
    ['in', 'agent', 'out'],
    ['in', 'agent', 'other'],
  ])
  expect([routes.remove('agent', 'out'), routes.remove('agent', 'out'), routes.add('agent', 'nobody-there')]).toEqual([
    true,
    false,
    true,
  ])
  expect(routes.of('agent')).toEqual(['other', 'nobody-there'])
  const result = await run.swarm.component('agent').emit('response_generated', 'x')
  expect(result.delivered).toEqual(['other'])
  expect(result.failed.map(({ target }) => target)).toEqual(['nobody-there'])
  await run.swarm.idle()
  expect(terminal.printed()).toBe('other x\n')
})

test('[W50] [W46] [W47] hooks see and pipes change what passes, with their functions from beside the file', async () => {
  const { printed } = await ran(
    {
      'main.ww': `in = input command_line { to: agent }
agent = agent llm {
  model: llm echo {}
  pipes: [{ event: "response_generated", script_path: "redact.mjs", function_name: "redact" }]
  hooks: [{ event: "response_generated", script_path: "redact.mjs", function_name: "seen" }]
  to: [out, note]
}
out = output console {}
note = analytics {}`,
      'redact.mjs': `const parts = []
export const seen = (payload) => void parts.push(JSON.stringify(payload))
export const redact = (payload) => JSON.parse(JSON.stringify(payload).replaceAll('4111', '****'))`,
    },
    ['card 4111'],
  )
  expect(printed).toBe('card ****\n')
})

test('[W47] a pipe that throws stops the message: nothing raw is printed, and the fault is told without the secrets of the environment', async () => {
  const faults: string[] = []
  const { printed, stats } = await ran(
    {
      'main.ww': `in = input command_line { to: agent }
agent = agent llm {
  model: llm echo { prefix: $TOKEN }
  pipes: [{ event: "response_generated", script_path: "bad.mjs", function_name: "redact" }]
  to: out
}
out = output console {}`,
      'bad.mjs': 'export function redact(payload) { throw new Error("cannot do " + JSON.stringify(payload)) }',
    },
    ['card 4111'],
    { environment: { TOKEN: 'hunter2hunter2' }, onFault: ({ message }) => void faults.push(message) },
  )
  expect(printed).not.toContain('4111')
  expect(stats.swarm.events.pipeFailures).toBe(1)
  expect(faults.join()).toContain('redact')
  expect(faults.join()).not.toContain('hunter2')
})

describe('a start that fails', () => {
  test('a file with errors throws CONFIG_INVALID with all of them, and nothing is started', async () => {
    const folder = project({ 'main.ww': 'a = output console { to: x }\nb = nothing at {}' })
    await expect(openSwarm(join(folder, 'main.ww'), { environment: {} })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      details: { diagnostics: [{ code: 'unknown-name', line: 1 }, { line: 2 }] },
    })
  })

  test('a kind that cannot run is refused before anything starts', async () => {
    const folder = project({ 'main.ww': `${CHAIN}voice = output voice {}` })
    const terminal = terminalWith('hello')
    await expect(openSwarm(join(folder, 'main.ww'), { environment: {}, terminal })).rejects.toMatchObject({
      message: expect.stringContaining('swarmbus has no speech output'),
    })
    expect(terminal.printed()).toBe('')
  })

  test('[W20] a bus that cannot be reached fails the start', async () => {
    const folder = project({ 'main.ww': `${CHAIN}message_bus = redis { redis_url: "redis://127.0.0.1:1" }` })
    await expect(openSwarm(join(folder, 'main.ww'), { environment: {} })).rejects.toMatchObject({
      code: 'BROKER_UNREACHABLE',
    })
  })

  test('[W78] a component that does not become ready within the limit is named, and the others are ended', async () => {
    const folder = project({
      'main.ww': 'include "k.mjs"\nx = never ready {}\ny = well done {}',
      'k.mjs': `globalThis.wwEnded = []
const kind = (kind, start) => ({ kind, role: 'tool', summary: 's', keys: {}, make: () => ({ start, stop: () => void globalThis.wwEnded.push(kind) }) })
export const a = kind('never ready', () => new Promise(() => undefined))
export const b = kind('well done', () => undefined)`,
    })
    await expect(openSwarm(join(folder, 'main.ww'), { environment: {}, startTimeoutMs: 200 })).rejects.toMatchObject({
      message: expect.stringContaining('"x"'),
    })
    expect((globalThis as { wwEnded?: readonly string[] }).wwEnded).toContain('never ready')
  })
})

test('[W25] an explicit bus wins over the file and the environment, and stays open', async () => {
  await using bus = createBus({ name: 'mine' })
  const { printed, run } = await ran(
    { 'main.ww': `${CHAIN}message_bus = redis { redis_url: "redis://127.0.0.1:1" }` },
    ['hello'],
    { bus },
  )
  expect(printed).toBe('you said: hello\n')
  expect(run.choice).toBeUndefined()
  expect(run.bus).toBe(bus)
  expect((await bus.publish('still.open', 1)).level).toBe('memory')
})

test('[W78] stopping in the middle finishes what is on its way', async () => {
  let more: ((line: string) => void) | undefined
  let printed = ''
  const folder = project({ 'main.ww': CHAIN.replace('prefix: "you said: "', 'delay: 0.1') })
  const terminal: Terminal = {
    interactive: false,
    async *lines() {
      for (;;) yield await new Promise<string>((resolve) => void (more = resolve))
    },
    write: (text) => void (printed += text),
  }
  const run = await openSwarm(join(folder, 'main.ww'), { environment: {}, terminal })
  const said = Promise.withResolvers<void>()
  run.swarm.on('input.received', () => said.resolve())
  while (more === undefined) await new Promise((resolve) => setImmediate(resolve))
  more('hello')
  await said.promise
  const report = await run.stop({ limitMs: 5_000 })
  expect(report.drained).toBe(true)
  expect(printed).toContain('hello')
})
