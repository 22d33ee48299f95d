import { expect, test, vi } from 'vitest'
import { declare, ref, startKinds, testTerminal, until } from '../../../../test/support/kinds.ts'
import { printable } from '../output/printable.ts'

const CHAIN = [
  declare('in', 'input command_line'),
  declare('mind', 'llm echo', { prefix: 'you: ' }),
  declare('out', 'output console'),
]

test('[W70] every line is an input.received with its session, one after the other', async () => {
  const terminal = testTerminal([], 'open')
  await using run = await startKinds([declare('in', 'input command_line', { session: 's-9' }), ...CHAIN.slice(1)], {
    terminal,
  })
  const received: unknown[] = []
  run.swarm.on('input.received', (payload, info) => void received.push([payload, info.session]))
  for (const line of ['one', '', '  ', 'two']) terminal.type(line)
  terminal.end()
  await run.swarm.ended
  expect(received).toEqual([
    [expect.objectContaining({ input: 'one', inputs: {}, session_id: 's-9', component_id: 'in' }), 's-9'],
    [expect.objectContaining({ input: 'two', inputs: {}, session_id: 's-9' }), 's-9'],
  ])
  expect(terminal.text()).toBe('you: one\nyou: two\n')
})

test('[W70] [W78] piped input ends the run after the last answer, however late that comes', async () => {
  const terminal = testTerminal(['slow words here'])
  await using run = await startKinds(
    [CHAIN[0] as never, declare('mind', 'llm echo', { delay: '20ms' }), declare('out', 'output console')],
    { terminal },
  )
  await run.swarm.ended
  expect(terminal.text()).toBe('slow words here\n')
})

test.each(['exit', ';', ' EXIT '])('[W78] the line "%s" ends the run, and nothing behind it is read', async (word) => {
  const terminal = testTerminal(['one', word, 'two'])
  await using run = await startKinds(CHAIN, { terminal })
  await run.swarm.ended
  expect(terminal.text()).toBe('you: one\n')
})

test('[W70] a person sees the prompt again only after the answer', async () => {
  const terminal = testTerminal()
  await using run = await startKinds(CHAIN, { terminal })
  await until(() => expect(terminal.text()).toBe('> '))
  terminal.type('hello')
  await until(() => expect(terminal.text()).toBe('> you: hello\n> '))
  terminal.type('exit')
  await run.swarm.ended
  expect(terminal.text()).toBe('> you: hello\n> ')
})

test('[W75] a person is asked, and the answer is no input', async () => {
  const terminal = testTerminal()
  await using run = await startKinds(
    [
      declare('in', 'input command_line', { prompt: '$ ' }),
      declare('bob', 'agent llm', { model: ref('mind') }),
      declare('mind', 'llm scripted', {
        answers: [{ tool: 'ask_user', inputs: { question: 'Which one?' } }, 'so {observation}'],
      }),
      declare('out', 'output console'),
    ],
    { terminal },
  )
  const inputs = vi.fn()
  run.swarm.on('input.received', inputs)
  terminal.type('pick')
  await until(() => expect(terminal.text()).toContain('Which one?\n? '))
  terminal.type('the red one')
  await until(() => expect(terminal.text()).toContain('so the red one\n$ '))
  expect(inputs).toHaveBeenCalledTimes(1)
})

test('[W78] a swarm that is stopped does not wait for the next line', async () => {
  const terminal = testTerminal()
  const run = await startKinds(CHAIN, { terminal })
  await until(() => expect(terminal.text()).toBe('> '))
  const report = await run.swarm.stop({ limitMs: 1_000 })
  expect(report).toEqual({ drained: true, left: 0, failed: [] })
  await run[Symbol.asyncDispose]()
})

test('what a pipe stops is told at the terminal, and the next line goes on', async () => {
  const terminal = testTerminal([], 'open')
  await using run = await startKinds(CHAIN, { terminal })
  run.swarm.component('in').pipe(
    'input.received',
    (payload) => {
      if ((payload as { input: string }).input === 'bad') throw new Error('no')
    },
    { name: 'guard' },
  )
  terminal.type('bad')
  terminal.type('good')
  terminal.end()
  await run.swarm.ended
  expect(terminal.text()).toBe('! "guard" stopped it\nyou: good\n')
})

test('[W74] the console prints texts, fields that tell most, and JSON', async () => {
  const terminal = testTerminal([])
  await using run = await startKinds(
    [declare('out', 'output console', { show_sender: true }), declare('x', 'memory short_term')],
    { terminal },
  )
  const x = run.swarm.component('x')
  for (const payload of ['plain', { response: 'field' }, { a: 1 }, 5])
    await x.send('out', 'response_generated', payload)
  await run.swarm.idle()
  expect(terminal.text()).toBe('x: plain\nx: field\nx: {"a":1}\nx: 5\n')
})

test('what a model says cannot move the cursor or change the screen', () => {
  expect(printable('a\u001b[2Jb\u0007c\r\nd\te\u202ef\u009b5m')).toBe('a[2Jbc\nd\tef5m')
})

test('[WN25] inputs and outputs write to the terminal that they are given, and to nothing else', async () => {
  const spies = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')]
  const count = (): number =>
    spies.reduce((sum, spy) => sum + spy.mock.calls.filter(([text]) => String(text).includes('zebra-7')).length, 0)
  const terminal = testTerminal(['zebra-7'])
  await using run = await startKinds(CHAIN, { terminal })
  await run.swarm.ended
  expect(terminal.text()).toBe('you: zebra-7\n')
  expect(count()).toBe(0)
  for (const spy of spies) spy.mockRestore()
})
