import { expect, test } from 'vitest'
import { declare, ref, startKinds } from '../../../test/support/kinds.ts'
import type { Setting } from '../spec.ts'
import { KINDS } from './all.ts'
import { durationMs, settingFault } from './settings.ts'
import { KIND_WORDS, kindOfWords } from './words.ts'

const names = KINDS.flatMap(({ kind, also = [] }) => [kind, ...also])

test('[W66] every kind of two words is known', () => {
  for (const kind of [
    'input command_line',
    'input api',
    'input keyword_voice',
    'input push_to_talk',
    'llm openai',
    'llm claude',
    'llm ollama',
    'llm hugging_face',
    'agent llm',
    'decomposer llm',
    'api web',
    'api functions',
    'knowledge_base chroma',
    'knowledge_base neo4j',
    'knowledge_base text_file',
    'memory short_term',
    'core command_line',
    'core code',
    'output voice',
    'output console',
    'output cli',
    'mcp server',
    'environment coding',
    'vm server',
  ]) {
    expect(names, kind).toContain(kind)
  }
  expect(new Set(names).size, 'no two kinds share a name').toBe(names.length)
})

test('[W67] one word is a kind by the key role, else by the name, else by what it usually means', () => {
  const kind = (word: string, name: string, role?: string) =>
    kindOfWords([word], { name, ...(role === undefined ? {} : { role }) })
  expect(kind('claude', 'brain')).toEqual({ kind: 'llm claude' })
  expect(kind('claude', 'agent')).toEqual({ kind: 'agent claude' })
  expect(kind('claude', 'my_agent')).toEqual({ kind: 'agent claude' })
  expect(kind('claude', 'brain', 'agent')).toEqual({ kind: 'agent claude' })
  expect(kind('claude', 'agent', 'llm')).toEqual({ kind: 'llm claude' })
  expect(kind('cli', 'input')).toEqual({ kind: 'input command_line' })
  expect(kind('cli', 'output')).toEqual({ kind: 'output console' })
  expect(kind('memory', 'notes')).toEqual({ kind: 'memory short_term' })
  expect(kind('memory', 'message_bus')).toEqual({ kind: 'bus memory' })
  expect(kind('redis', 'message_bus')).toEqual({ kind: 'bus redis' })
  expect(kind('nats', 'anything')).toEqual({ kind: 'bus nats' })
  expect(kind('console', 'screen')).toEqual({ kind: 'output console' })
  expect(kind('analytics', 'analytics')).toEqual({ kind: 'analytics' })
  for (const where of ['local', 'server', 'docker', 'cloud']) {
    expect(kind(where, 'deployment')).toEqual({ kind: `deployment ${where}` })
  }
  for (const word of ['openai', 'ollama', 'hugging_face']) expect(kind(word, 'x')).toEqual({ kind: `llm ${word}` })
  expect(kindOfWords(['llm', 'openai'], { name: 'agent' })).toEqual({ kind: 'llm openai' })
})

test('[W67] a word that may be several things here is a fault that names them', () => {
  expect(kindOfWords(['cli'], { name: 'terminal' })).toEqual({
    fault: '"cli" may be "input" or "output" here: say which by the key `role`, or by a name such as "input"',
  })
  expect(kindOfWords(['claude'], { name: 'agent_llm' })).toHaveProperty('fault')
  expect(kindOfWords(['redis'], { name: 'x', role: 'output' })).toEqual({
    fault: '"redis" cannot play the role "output"; it can be: "bus"',
  })
  expect(kindOfWords(['claude'], { name: 'x', role: 'king' })).toHaveProperty('fault')
})

test('[W67] every word leads to a kind of the catalogue', () => {
  for (const word of KIND_WORDS) {
    for (const role of [
      'input',
      'agent',
      'llm',
      'output',
      'tool',
      'memory',
      'bus',
      'deployment',
      'knowledge_base',
      'vm',
    ]) {
      const meaning = kindOfWords([word], { name: 'x', role })
      if ('kind' in meaning) expect(names, `${word} as ${role}`).toContain(meaning.kind)
    }
  }
})

test('[W69] the required keys of each kind', () => {
  const required = Object.fromEntries(
    KINDS.map(({ kind, keys }) => [
      kind,
      Object.entries(keys).flatMap(([key, rule]) =>
        rule.required === true ? [key] : typeof rule.required === 'string' ? [`${key} or ${rule.required}`] : [],
      ),
    ]),
  )
  expect(required).toMatchObject({
    'llm openai': ['api_key or OPENAI_API_KEY'],
    'llm claude': ['api_key or ANTHROPIC_API_KEY'],
    'llm hugging_face': ['api_key or HF_TOKEN'],
    'llm ollama': ['model'],
    'knowledge_base chroma': ['api_key'],
    'input push_to_talk': ['api_key'],
    'input keyword_voice': ['api_key', 'keyword'],
    'agent llm': ['model'],
    'knowledge_base neo4j': ['uri', 'user', 'password'],
    'knowledge_base text_file': ['path'],
    'api functions': ['path'],
    'api web': ['url'],
    'core code': ['container', 'repo_url'],
    'mcp server': ['server'],
    'vm server': ['components'],
    'bus redis': ['redis_url or REDIS_URL'],
    'input command_line': [],
    'input api': [],
    'output console': [],
  })
})

test('[W69] what a kind needs and does not get stops the start with its name', async () => {
  const start = (kind: string, settings: Readonly<Record<string, Setting>>) =>
    startKinds([declare('it', kind, settings)])
  for (const [kind, settings, text] of [
    ['agent llm', {}, '"model" is missing'],
    ['api functions', {}, '"path" is missing'],
    ['api web', {}, '"url" is missing'],
    ['mcp server', {}, '"server" is missing'],
    ['llm echo', { prefix: 5 }, '"prefix" must be a text'],
    ['memory short_term', { max_turns: 0 }, '"max_turns" must be at least 1'],
    ['llm scripted', {}, '"answers" or "file" is missing'],
  ] as const) {
    await expect(start(kind, settings), kind).rejects.toThrow(text)
  }
})

test('[W71] the models that a provider has without being told', () => {
  const model = (kind: string) => KINDS.find((one) => one.kind === kind)?.keys.model?.default
  expect(model('llm openai')).toBe('gpt-4o-mini')
  expect(model('llm claude')).toBe('claude-sonnet-4-20250514')
  expect(model('llm hugging_face')).toBe('Mixtral-8x7B-Instruct-v0.1')
})

test('[W66] what this version cannot run is refused at the start with one sentence, and never passed over', async () => {
  const refused = KINDS.filter(({ unavailable }) => unavailable !== undefined)
  expect(refused.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining([
      'input keyword_voice',
      'input push_to_talk',
      'output voice',
      'knowledge_base chroma',
      'knowledge_base neo4j',
      'llm openai',
      'llm claude',
      'llm ollama',
      'llm hugging_face',
      'core code',
      'core command_line',
      'environment coding',
      'deployment docker',
      'deployment cloud',
    ]),
  )
  for (const { kind, unavailable = '', make } of refused) {
    expect(make, kind).toBeUndefined()
    expect(unavailable.length, kind).toBeGreaterThan(30)
    await expect(startKinds([declare('it', kind, {})]), kind).rejects.toThrow(unavailable)
  }
  await expect(startKinds([declare('it', 'llm openai', { api_key: 'k' })])).rejects.toThrow(
    /llm echo.*llm scripted.*provider contract/,
  )
})

test('[W20] [W24] the kinds of a message bus have their settings, with defaults', () => {
  for (const word of ['auto', 'memory', 'sqlite', 'redis', 'nats']) {
    const kind = KINDS.find((one) => one.kind === `bus ${word}`)
    expect(kind?.also).toContain(`message_bus ${word}`)
    expect(kind?.keys).toHaveProperty('stream_prefix')
    expect(kind?.keys).toHaveProperty('consumer_group')
    expect(kind?.keys.max_retries?.default).toBe(3)
    expect(kind?.keys.dead_letter_ttl?.default).toBe(3_600)
  }
  expect(names).toContain('message_bus in_memory')
})

test('durations are seconds, or texts with a unit', () => {
  expect([5, 0.5, '5', '30s', '500ms', '2m', '1h', '1d'].map((one) => durationMs(one))).toEqual([
    5_000, 500, 5_000, 30_000, 500, 120_000, 3_600_000, 86_400_000,
  ])
  expect([-1, 'soon', '5 weeks', true, null].map((one) => durationMs(one))).toEqual(Array(5).fill(undefined))
})

test('a fault of a setting says what is allowed, and never the value', () => {
  const fault = (type: Parameters<typeof settingFault>[0]['type'], value: Setting, more = {}) =>
    settingFault({ type, summary: '', ...more }, value)
  expect(fault('text', 'x')).toBeUndefined()
  expect(fault('text', 5)).toBe('must be a text')
  expect(fault('whole', 1.5)).toBe('must be a whole number')
  expect(fault('flag', 'true')).toBe('must be true or false')
  expect(fault('texts', ['a', 1])).toBe('must be a text or a list of texts')
  expect(fault('texts', 'a')).toBeUndefined()
  expect(fault('block', ref('x'))).toBe('must be a block')
  expect(fault('references', [ref('x'), 'y'])).toBeUndefined()
  expect(fault('references', [ref('x'), 5])).toMatch(/names of components/)
  expect(fault('reference', [])).toMatch(/the name of a component/)
  expect(fault('duration', '5 weeks')).toMatch(/seconds/)
  expect(fault('duration', '1s', { max: 0.5 })).toBe('must be at most 0.5')
  expect(fault('text', 'secret', { allowed: ['a', 'b'] })).toBe('must be one of "a", "b"')
})
