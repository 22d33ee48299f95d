import { expect, test } from 'vitest'
import { declare, folderWith, ref, startKinds, testTerminal, until } from '../../../../test/support/kinds.ts'
import { systemEnv } from '../../../kit/env.ts'
import type { Setting } from '../../spec.ts'
import { echoModel, wordsOf } from './echo.ts'
import { llmKind } from './llm.ts'
import { collectAnswer, type Model, type ModelRequest } from './provider.ts'
import { readAnswers } from './script.ts'
import { scriptedModel } from './scripted.ts'

const request = (text: string, more: Partial<ModelRequest> = {}): ModelRequest => ({
  system: undefined,
  turns: [{ role: 'user', text }],
  tools: [],
  session: undefined,
  signal: new AbortController().signal,
  ...more,
})

/** A model of a test that keeps what it was asked. */
function recordingKind() {
  const asked: ModelRequest[] = []
  const model: Model = {
    name: 'recording',
    async *generate(one) {
      asked.push(one)
      yield { type: 'text-delta', text: `answer ${asked.length}` }
      yield { type: 'usage', inputTokens: 10, outputTokens: 2, cost: 0.5 }
    },
  }
  return { asked, kind: llmKind({ kind: 'llm recording', summary: 'for tests', model: () => model }) }
}

test('[W71] an llm takes text and gives text as response_generated', async () => {
  const terminal = testTerminal(['hello there', 'second'])
  await using run = await startKinds(
    [
      declare('in', 'input command_line'),
      declare('llm', 'llm echo', { prefix: '> ' }),
      declare('out', 'output console'),
    ],
    { terminal },
  )
  const events: unknown[] = []
  run.swarm.on('response_generated', (payload, info) => void events.push([payload, info.component]))
  await run.swarm.ended
  expect(terminal.text()).toBe('> hello there\n> second\n')
  expect(events).toEqual([
    ['> hello there', 'llm'],
    ['> second', 'llm'],
  ])
})

test('[W71] memory is put before the question and extended after each turn, for each session', async () => {
  const { asked, kind } = recordingKind()
  await using run = await startKinds(
    [declare('mind', 'llm recording', { memory: ref('notes') }), declare('notes', 'memory short_term')],
    { kinds: [kind] },
  )
  const mind = run.swarm.component('notes')
  expect(await mind.request('mind', 'one', { session: 'a' })).toBe('answer 1')
  expect(await mind.request('mind', 'two', { session: 'a' })).toBe('answer 2')
  expect(await mind.request('mind', 'three', { session: 'b' })).toBe('answer 3')
  expect(asked.map(({ turns }) => turns)).toEqual([
    [{ role: 'user', text: 'one' }],
    [
      { role: 'user', text: 'one' },
      { role: 'assistant', text: 'answer 1' },
      { role: 'user', text: 'two' },
    ],
    [{ role: 'user', text: 'three' }],
  ])
  expect(asked.map(({ session }) => session)).toEqual(['a', 'a', 'b'])
})

test('[W71] a turn that failed is not remembered', async () => {
  await using run = await startKinds([
    declare('mind', 'llm scripted', { memory: ref('notes'), answers: [{ error: 'no power' }, 'fine'] }),
    declare('notes', 'memory short_term'),
  ])
  const notes = run.swarm.component('notes')
  await expect(notes.request('mind', 'one', { session: 'a' })).rejects.toThrow('no power')
  expect(await notes.request('mind', 'two', { session: 'a' })).toBe('fine')
  expect(await notes.request('notes', { action: 'data' }, { session: 'a' })).toEqual([
    { role: 'user', text: 'two' },
    { role: 'assistant', text: 'fine' },
  ])
})

test('[W71] what the knowledge base has for the question stands with its files in what the model is told', async () => {
  await using folder = await folderWith({ 'facts.txt': 'The harbour of Kiel opens at five.\n' })
  const { asked, kind } = recordingKind()
  await using run = await startKinds(
    [
      declare('mind', 'llm recording', { knowledge_base: ref('facts'), prompt: 'Be short.' }),
      declare('facts', 'knowledge_base text_file', { path: 'facts.txt' }),
    ],
    { kinds: [kind], folder: folder.path },
  )
  const facts = run.swarm.component('facts')
  await facts.request('mind', 'when does the harbour open?')
  await facts.request('mind', 'zebra')
  expect(asked[0]?.system).toMatch(/^Be short\.[\s\S]*\[facts\.txt\]\nThe harbour of Kiel opens at five\./)
  expect(asked[1]?.system).toBe('Be short.')
})

test('[W71] a prompt is a text or a file beside the file', async () => {
  await using folder = await folderWith({ 'be.txt': 'Be kind.' })
  const { asked, kind } = recordingKind()
  const start = (prompt: Setting) =>
    startKinds([declare('mind', 'llm recording', { prompt }), declare('notes', 'memory short_term')], {
      kinds: [kind],
      folder: folder.path,
    })
  await using run = await start({ file: 'be.txt' })
  await run.swarm.component('notes').request('mind', 'x')
  expect(asked[0]?.system).toBe('Be kind.')
  await expect(start({ file: 'no.txt' })).rejects.toThrow('"no.txt" cannot be read')
  await expect(start(5)).rejects.toThrow('"prompt" must be a text, or a block with "file"')
})

test('[W71] parts are streamed when they are asked for, and joined when not', async () => {
  await using run = await startKinds([declare('mind', 'llm echo'), declare('notes', 'memory short_term')])
  const notes = run.swarm.component('notes')
  const parts: unknown[] = []
  for await (const chunk of notes.requestStream('mind', 'one two three')) if (!chunk.final) parts.push(chunk.data)
  expect(parts).toEqual(['one', ' two', ' three'])
  expect(await notes.request('mind', 'one two three')).toBe('one two three')
})

test('[W71] [W59] a streaming llm prints its parts as they come', async () => {
  const terminal = testTerminal(['a b c'])
  const writes: string[] = []
  const write = terminal.write.bind(terminal)
  terminal.write = (text) => {
    writes.push(text)
    write(text)
  }
  await using run = await startKinds(
    [
      declare('in', 'input command_line'),
      declare('llm', 'llm echo', { streaming: true }),
      declare('out', 'output console'),
    ],
    { terminal },
  )
  await run.swarm.ended
  expect(writes).toEqual(['', 'a', ' b', ' c', '\n'])
})

test('[W71] [W72] an llm can be asked as a tool', async () => {
  await using run = await startKinds([
    declare('mind', 'llm echo', { description: 'repeats' }),
    declare('notes', 'memory short_term'),
  ])
  const answer = await run.swarm.component('notes').request('mind', { action: 'ask', inputs: { prompt: 'hello' } })
  expect(answer).toBe('hello')
})

test('[W85] tokens and cost of a model count for its session', async () => {
  const { kind } = recordingKind()
  await using run = await startKinds([declare('mind', 'llm recording'), declare('notes', 'memory short_term')], {
    kinds: [kind],
  })
  const notes = run.swarm.component('notes')
  await notes.request('mind', 'one', { session: 'a' })
  await notes.request('mind', 'two', { session: 'a' })
  await until(() => expect(run.swarm.costs('a')).toMatchObject({ tokens: 24, cost: 1 }))
})

test('an echo says word for word what it was told', async () => {
  expect(wordsOf('  one two\nthree ').join('')).toBe('  one two\nthree ')
  const { text } = await collectAnswer(echoModel(systemEnv(), { prefix: 'you said: ' }).generate(request('a b')))
  expect(text).toBe('you said: a b')
})

test('a script answers in turn, each session from its start, or on words', async () => {
  const model = scriptedModel(systemEnv(), {
    answers: readAnswers(['first', { when: 'Weather', text: 'sunny, you asked "{input}"' }, 'second']),
  })
  const say = async (text: string, session: string) =>
    (await collectAnswer(model.generate(request(text, { session })))).text
  expect(await say('a', 's1')).toBe('first')
  expect(await say('what weather?', 's1')).toBe('sunny, you asked "what weather?"')
  expect(await say('b', 's1')).toBe('second')
  expect(await say('a', 's2')).toBe('first')
  await expect(say('c', 's1')).rejects.toThrow('no answer left after 2')
})

test('a script that repeats begins anew', async () => {
  const model = scriptedModel(systemEnv(), { answers: readAnswers(['a', 'b']), repeat: true })
  const said: string[] = []
  for (let i = 0; i < 5; i++) said.push((await collectAnswer(model.generate(request('x')))).text)
  expect(said).toEqual(['a', 'b', 'a', 'b', 'a'])
})

test('a script asks for tools', async () => {
  const answers = readAnswers([
    { text: 'let me look', thought: 'hm', tool: 'find', inputs: { what: '{input}', most: 3 } },
  ])
  const answer = await collectAnswer(scriptedModel(systemEnv(), { answers }).generate(request('keys')))
  expect(answer).toEqual({
    text: 'let me look',
    thought: 'hm',
    calls: [{ id: 'call-1', name: 'find', inputs: { what: 'keys', most: 3 } }],
    usage: undefined,
  })
})

test('scripts come from files: a JSON list, a value a line, or a text a line', async () => {
  await using folder = await folderWith({
    'a.json': '["one", {"text": "two"}]',
    'b.jsonl': '"one"\n{"text": "two"}\n',
    'c.txt': 'one\n\ntwo\n',
  })
  for (const file of ['a.json', 'b.jsonl', 'c.txt']) {
    await using run = await startKinds(
      [declare('mind', 'llm scripted', { file }), declare('notes', 'memory short_term')],
      {
        folder: folder.path,
      },
    )
    const notes = run.swarm.component('notes')
    expect([await notes.request('mind', 'x'), await notes.request('mind', 'x')], file).toEqual(['one', 'two'])
  }
})

test('a script that cannot be read says where', async () => {
  const start = (answers: never[]) => startKinds([declare('mind', 'llm scripted', { answers })])
  await expect(start([{ txt: 'x' }] as never[])).rejects.toThrow(/answer 1 has "txt"; there are: when, text/)
  await expect(start(['fine', [1]] as never[])).rejects.toThrow(/answer 2 is neither a text nor a block/)
  await expect(startKinds([declare('mind', 'llm scripted', { file: 'no.json' })])).rejects.toThrow(
    /no\.json.*cannot be used/,
  )
})
