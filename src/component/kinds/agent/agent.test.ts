import { expect, test } from 'vitest'
import { declare, folderWith, ref, startKinds, testTerminal, until } from '../../../../test/support/kinds.ts'
import type { Setting } from '../../spec.ts'
import { defineKind } from '../define.ts'
import { llmKind } from '../llm/llm.ts'
import type { ModelRequest, Part } from '../llm/provider.ts'

const FUNCTIONS = `
/** Adds two numbers. */
export function add(a: number, b: number) { return a + b }
export function long(characters: number) { return 'x'.repeat(characters) }
export function fail() { throw new Error('no luck') }
`

/** A kind whose model does what the test says, and keeps what it was asked. */
function modelKind(answer: (request: ModelRequest, round: number) => readonly Part[]) {
  const asked: ModelRequest[] = []
  const kind = llmKind({
    kind: 'llm tested',
    summary: 'for tests',
    model: () => ({
      name: 'tested',
      async *generate(request) {
        asked.push(request)
        yield* answer(request, asked.length)
      },
    }),
  })
  return { asked, kind }
}

const call = (name: string, inputs: Readonly<Record<string, unknown>> = {}): Part => ({
  type: 'tool-call',
  call: { id: `c-${name}`, name, inputs },
})
const say = (text: string): Part => ({ type: 'text-delta', text })

interface Setup {
  readonly agent?: Readonly<Record<string, Setting>>
  readonly answers?: readonly Setting[]
  readonly lines?: readonly string[]
}

/** A person, an agent with functions, a console. */
async function team({ agent = {}, answers = [], lines = [] }: Setup, kinds: ReturnType<typeof modelKind>[] = []) {
  const folder = await folderWith({ 'tools.ts': FUNCTIONS })
  const terminal = testTerminal(lines)
  const model = kinds.length === 0 ? declare('mind', 'llm scripted', { answers }) : declare('mind', 'llm tested')
  const run = await startKinds(
    [
      declare('in', 'input command_line', { session: 's1' }),
      declare('bob', 'agent llm', { model: ref('mind'), tools: [ref('calc')], ...agent }),
      model,
      declare('calc', 'api functions', { path: 'tools.ts' }),
      declare('out', 'output console'),
    ],
    { terminal, folder: folder.path, kinds: kinds.map((one) => one.kind) },
  )
  const events: (readonly [string, unknown])[] = []
  run.swarm.on('*', (payload, info) => {
    if (info.component === 'bob') events.push([info.event, payload])
  })
  return {
    ...run,
    terminal,
    events,
    [Symbol.asyncDispose]: async () => {
      await run[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

test('[W75] [W51] an agent asks its tools until the model answers, and tells every step', async () => {
  await using run = await team({
    lines: ['what is 2 + 3?'],
    answers: [{ thought: 'I add', tool: 'add', inputs: { a: 2, b: 3 } }, 'it is {observation}'],
  })
  await run.swarm.ended
  expect(run.terminal.text()).toBe('it is 5\n')
  const shared = { timestamp: expect.any(Number), component_id: 'bob', component_type: 'agent llm' }
  expect(run.events.filter(([event]) => event !== 'metrics.component_performance')).toEqual([
    ['agent.thought', { ...shared, thought: 'I add' }],
    ['agent.action', { ...shared, action: { tool: 'add', inputs: { a: 2, b: 3 } } }],
    ['tool.call', { ...shared, tool: 'add', args: { a: 2, b: 3 } }],
    ['tool.observation', { ...shared, tool: 'add', observation: '5' }],
    ['agent.step_complete', { ...shared, step: 0, session_id: 's1' }],
    ['agent.step_complete', { ...shared, step: 1, session_id: 's1' }],
    ['agent.response', { ...shared, response: 'it is 5', session_id: 's1' }],
    ['response_generated', 'it is 5'],
  ])
})

test('[W75] pipes may change the action, the call and the observation', async () => {
  await using run = await team({
    answers: [{ tool: 'add', inputs: { a: 1, b: 1 } }, 'I saw {observation}'],
  })
  const bob = run.swarm.component('bob')
  bob.pipe('agent.action', (payload) => ({ ...(payload as object), action: { tool: 'add', inputs: { a: 10, b: 1 } } }))
  bob.pipe('tool.call', (payload) => ({ ...(payload as object), args: { a: 10, b: 20 } }))
  bob.pipe('tool.observation', (payload) => ({ ...(payload as object), observation: '[redacted]' }))
  expect(await run.swarm.component('calc').request('bob', 'go')).toBe('I saw [redacted]')
  expect(run.events.find(([event]) => event === 'tool.call')?.[1]).toMatchObject({ args: { a: 10, b: 20 } })
})

test('[W75] [W47] what a pipe stops is not carried out, and the model is told', async () => {
  const tested = modelKind(({ turns }, round) =>
    round === 1 ? [call('add', { a: 1, b: 2 })] : [say(turns.at(-1)?.text ?? '')],
  )
  await using run = await team({}, [tested])
  run.swarm.component('bob').pipe(
    'tool.call',
    () => {
      throw new Error('forbidden')
    },
    { name: 'guard' },
  )
  expect(await run.swarm.component('calc').request('bob', 'go')).toBe('Not carried out: "guard" stopped tool.call.')
  expect(run.events.some(([event]) => event === 'tool.observation')).toBe(false)
})

test('[W75] [WN17] an answer that a pipe stops does not go out', async () => {
  await using run = await team({ lines: ['go'], answers: ['the secret'] })
  run.swarm.component('bob').pipe('agent.response', () => {
    throw new Error('broken')
  })
  await run.swarm.ended
  expect(run.terminal.text()).not.toContain('the secret')
})

test('[W75] a failing or unknown tool is told to the model, which may go on', async () => {
  await using run = await team({
    answers: [{ tool: 'fail' }, { tool: 'nothing' }, { tool: 'add', inputs: { a: 1 } }, 'done'],
  })
  expect(await run.swarm.component('calc').request('bob', 'go')).toBe('done')
  const seen = run.events.flatMap(([event, payload]) =>
    event === 'tool.observation' ? [(payload as { observation: string }).observation] : [],
  )
  expect(seen[0]).toMatch(/The tool fail failed: .*no luck/)
  expect(seen[1]).toMatch(/there is no tool "nothing"; there are: add, long, fail/)
  expect(seen[2]).toMatch(/"b" is missing; inputs are: a, b/)
})

test('[W75] it ends after its rounds, at most 1,000, with agent.error', async () => {
  const tested = modelKind(() => [call('add', { a: 1, b: 1 })])
  await using run = await team({ agent: { max_rounds: 5 } }, [tested])
  await expect(run.swarm.component('calc').request('bob', 'go')).rejects.toThrow('no answer after 5 rounds')
  expect(tested.asked).toHaveLength(5)
  expect(run.events.find(([event]) => event === 'agent.error')?.[1]).toMatchObject({
    error: expect.stringContaining('no answer after 5 rounds'),
    error_type: 'HANDLER_FAILED',
  })
  await expect(team({ agent: { max_rounds: 1_001 }, answers: ['x'] })).rejects.toThrow(
    '"max_rounds" must be at most 1000',
  )
})

test('[W75] 1,000 rounds are gone through', async () => {
  const tested = modelKind((_request, round) => (round < 1_000 ? [call('add', { a: 1, b: 1 })] : [say('at last')]))
  await using run = await team({ agent: { max_tokens: 10_000_000 } }, [tested])
  expect(await run.swarm.component('calc').request('bob', 'go', { timeoutMs: 60_000 })).toBe('at last')
}, 60_000)

test('[W75] an observation above the limit becomes a notice', async () => {
  await using run = await team({ answers: [{ tool: 'long', inputs: { characters: 40_000 } }, '{observation}'] })
  expect(await run.swarm.component('calc').request('bob', 'go')).toBe(
    'The result of long is not shown: it has about 10000 tokens, and at most 7500 are. Ask for less of it.',
  )
})

test('[W75] a conversation above the limit is summed up by the model, and the question stays', async () => {
  const tested = modelKind(({ system, tools }, round) => {
    if (system?.startsWith('Sum up')) return [say('we tried 12 keys')]
    expect(tools.length).toBeGreaterThan(0)
    return round < 6 ? [call('long', { characters: 2_000 })] : [say('open')]
  })
  await using run = await team({ agent: { max_tokens: 1_200 } }, [tested])
  expect(await run.swarm.component('calc').request('bob', 'which key?')).toBe('open')
  const summed = tested.asked.filter(({ system }) => system?.startsWith('Sum up') === true)
  expect(summed.length).toBeGreaterThan(0)
  expect(summed[0]?.turns[0]?.text).toContain('which key?')
  const last = tested.asked.at(-1)
  expect(last?.turns[0]).toEqual({ role: 'user', text: 'which key?' })
  expect(last?.turns[1]?.text).toContain('we tried 12 keys')
})

test('[W75] the limits are 1,000 rounds, 90,000 tokens and 7,500 of an observation; planning and cache are off', async () => {
  const { AGENT } = await import('./agent.ts')
  const { max_rounds, max_tokens, max_observation_tokens, planning, cache } = AGENT.keys
  expect([max_rounds, max_tokens, max_observation_tokens, planning, cache].map((rule) => rule?.default)).toEqual([
    1_000,
    90_000,
    7_500,
    false,
    false,
  ])
})

test('[W75] with planning the model writes a plan first, without tools', async () => {
  const tested = modelKind((_request, round) => (round === 1 ? [say('1. look 2. answer')] : [say('done')]))
  await using run = await team({ agent: { planning: true } }, [tested])
  expect(await run.swarm.component('calc').request('bob', 'go')).toBe('done')
  expect(tested.asked[0]?.tools).toEqual([])
  expect(tested.asked[1]?.turns).toContainEqual({ role: 'assistant', text: '1. look 2. answer' })
  expect(run.events[0]).toEqual(['agent.thought', expect.objectContaining({ thought: '1. look 2. answer' })])
})

test('[W75] cache says that it comes later', async () => {
  await using run = await team({ agent: { cache: true }, answers: ['x'] })
  expect(run.told).toContain('"bob": `cache` has no effect: plans are not kept, each question is worked on anew')
})

test('[W75] ask_user asks the person of the session, who answers with the next line', async () => {
  await using run = await team({
    lines: ['book a table', 'for four', 'exit'],
    answers: [{ tool: 'ask_user', inputs: { question: 'For how many?' } }, 'booked: {observation}'],
  })
  await run.swarm.ended
  expect(run.terminal.text()).toBe('For how many?\nbooked: for four\n')
})

test('[W75] a question that nobody answers ends in time, and an answer of another session is none', async () => {
  await using run = await team({
    agent: { ask_timeout: 0.2 },
    answers: [{ tool: 'ask_user', inputs: { question: 'anybody?' } }, '{observation}'],
  })
  const calc = run.swarm.component('calc')
  const answer = calc.request('bob', 'go', { session: 'mine' })
  await until(() => expect(run.events.some(([event]) => event === 'user.input.request')).toBe(true))
  const question = run.events.find(([event]) => event === 'user.input.request')?.[1] as { readonly request_id: string }
  await calc.emit(
    'user.input.response',
    { request_id: question.request_id, response: 'me' },
    { session: 'other', route: false },
  )
  expect(await answer).toBe('The tool ask_user failed: BusError: nobody answered the question within 0.2 s')
})

test('[W71] [W75] memory stands before the question of an agent, and keeps question and answer only', async () => {
  const tested = modelKind((_request, round) =>
    round === 1 ? [call('add', { a: 1, b: 1 })] : [say(`answer ${round}`)],
  )
  await using run = await startKinds(
    [
      declare('bob', 'agent llm', { model: ref('mind'), tools: [], memory: ref('notes'), prompt: 'You are Bob.' }),
      declare('mind', 'llm tested'),
      declare('notes', 'memory short_term'),
    ],
    { kinds: [tested.kind] },
  )
  const notes = run.swarm.component('notes')
  await notes.request('bob', 'one', { session: 'a' })
  await notes.request('bob', 'two', { session: 'a' })
  expect(tested.asked.at(-1)?.system).toBe('You are Bob.')
  expect(tested.asked.at(-1)?.turns).toEqual([
    { role: 'user', text: 'one' },
    { role: 'assistant', text: 'answer 2' },
    { role: 'user', text: 'two' },
  ])
})

test('[W72] llms, agents, knowledge bases and components without tools of their own are tools of an agent', async () => {
  await using folder = await folderWith({ 'kb.txt': 'tides come twice' })
  const plain = defineKind({
    kind: 'custom tool',
    role: 'tool',
    summary: 'of a user',
    keys: {},
    make: () => ({ handle: ({ data }) => `got ${String(data)}` }),
  })
  const tested = modelKind((_request, round) =>
    round === 1
      ? [
          call('echo__ask', { prompt: 'hi' }),
          call('helper.ask', { question: 'ho' }),
          call('query', { text: 'tides' }),
          call('mine', { input: 'x' }),
        ]
      : [say('done')],
  )
  await using run = await startKinds(
    [
      declare('bob', 'agent llm', { model: ref('mind'), tools: [ref('echo'), ref('helper'), ref('kb'), ref('mine')] }),
      declare('mind', 'llm tested'),
      declare('echo', 'llm echo'),
      declare('helper', 'agent echo'),
      declare('kb', 'knowledge_base text_file', { path: 'kb.txt', readonly: true }),
      declare('mine', 'custom tool'),
    ],
    { kinds: [tested.kind, plain], folder: folder.path },
  )
  expect(await run.swarm.component('echo').request('bob', 'go')).toBe('done')
  expect(tested.asked[1]?.turns.slice(2).map(({ text }) => text)).toEqual([
    'hi',
    'ho',
    '[{"file":"kb.txt","text":"tides come twice"}]',
    'got x',
  ])
  expect(tested.asked[0]?.tools.map(({ name }) => name)).toEqual([
    'echo__ask',
    'helper__ask',
    'query',
    'read',
    'mine',
    'ask_user',
  ])
})

test('[W67] an agent of one word has its model inside', async () => {
  await using run = await startKinds([
    declare('agent', 'agent scripted', { answers: ['hello from inside'] }),
    declare('x', 'memory short_term'),
  ])
  expect(await run.swarm.component('x').request('agent', 'hi')).toBe('hello from inside')
})

test('[W69] the model of an agent must be an llm', async () => {
  await expect(
    startKinds([declare('bob', 'agent llm', { model: ref('out') }), declare('out', 'output console')]),
  ).rejects.toThrow('"out" is no llm that an agent can use')
})

test('an abort reaches the model', async () => {
  let aborted = false
  const kind = llmKind({
    kind: 'llm tested',
    summary: 'waits',
    model: () => ({
      name: 'waits',
      async *generate({ signal }) {
        yield say('…')
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
        aborted = true
        signal.throwIfAborted()
      },
    }),
  })
  await using run = await startKinds([declare('x', 'memory short_term')], { kinds: [kind] })
  const added = await run.swarm.add({ name: 'mind', kind: 'llm tested', settings: {} })
  await expect(run.swarm.component('x').request(added.name, 'go', { timeoutMs: 50 })).rejects.toThrow(
    /REQUEST_TIMEOUT|no answer|within/,
  )
  await until(() => expect(aborted).toBe(true))
})
