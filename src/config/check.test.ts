import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../../test/architecture/source.ts'
import { errors, load, loadIn, project, told } from '../../test/ww/project.ts'
import { KINDS } from '../component/kinds/all.ts'
import { defineKind } from '../component/kinds/define.ts'
import { LOAD_DIAGNOSTICS } from './load-codes.ts'

const CHECK = { check: true }

/** A declaration of each two-word kind, with what it needs. */
const TWO_WORDS: Readonly<Record<string, string>> = {
  'input command_line': '',
  'input api': '',
  'input keyword_voice': 'api_key: "k", keyword: "hey"',
  'input push_to_talk': 'api_key: "k"',
  'llm openai': 'api_key: "k"',
  'llm claude': 'api_key: "k"',
  'llm ollama': 'model: "llama3"',
  'llm hugging_face': 'api_key: "k"',
  'agent llm': 'model: brain',
  'decomposer llm': 'model: brain',
  'api web': 'url: "https://example.com"',
  'api functions': 'path: "./f.ts"',
  'knowledge_base chroma': 'api_key: "k"',
  'knowledge_base neo4j': 'uri: "bolt://x", user: "u", password: "p"',
  'knowledge_base text_file': 'path: "notes.txt"',
  'memory short_term': '',
  'core command_line': '',
  'core code': 'container: box, repo_url: "https://example.com/r.git"',
  'output voice': '',
  'output console': '',
  'output cli': '',
  'mcp server': 'server: "x"',
  'environment coding': '',
  'vm server': 'components: [brain]',
}

test.each(Object.entries(TWO_WORDS))('[W66] the kind `%s` loads with what it needs', async (kind, keys) => {
  const loaded = await load(`x = ${kind} { ${keys} }\nbrain = llm echo {}\nbox = core command_line {}`, CHECK)
  expect(errors(loaded)).toEqual([])
  expect(loaded.specs.some(({ name }) => name === 'x')).toBe(true)
})

test.each([
  ['llm openai', ['api_key']],
  ['llm claude', ['api_key']],
  ['llm hugging_face', ['api_key']],
  ['knowledge_base chroma', ['api_key']],
  ['input push_to_talk', ['api_key']],
  ['input keyword_voice', ['api_key', 'keyword']],
  ['llm ollama', ['model']],
  ['agent llm', ['model']],
  ['knowledge_base neo4j', ['uri', 'user', 'password']],
  ['knowledge_base text_file', ['path']],
  ['api functions', ['path']],
  ['api web', ['url']],
  ['core code', ['container', 'repo_url']],
  ['mcp server', ['server']],
  ['vm server', ['components']],
])('[W69] `%s` needs %j', async (kind, keys) => {
  const loaded = await load(`\n  x = ${kind} {}`, CHECK)
  const missing = loaded.diagnostics.filter(({ code }) => code === 'missing-key')
  expect(missing.map(({ message }) => message)).toEqual(
    keys.map((key) => expect.stringContaining(`"${kind}" needs the key "${key}"`)),
  )
  for (const { line, column, severity } of missing) expect([line, column, severity]).toEqual([2, 3, 'error'])
})

test('[W69] a bus on redis needs redis_url or REDIS_URL', async () => {
  const text = 'message_bus = redis {}'
  const bare = await load(text)
  expect(told(bare)).toEqual(['missing-key 1:1 "bus redis" needs the key "redis_url", or the variable REDIS_URL'])
  const url = 'redis://127.0.0.1:6379'
  expect((await load(text, { environment: { REDIS_URL: url } })).bus?.settings).toEqual({ redis_url: url })
  expect((await load(`message_bus = redis { redis_url: "${url}" }`)).bus?.settings).toEqual({ redis_url: url })
})

test('[W77] files of before: an agent with a key instead of a model, a flag as a text, a bus with an image instead of an address', async () => {
  const old = await load('x = decomposer llm {\n  api_key: "k"\n  cache: "true"\n  tools: []\n}', CHECK)
  expect(errors(old)).toEqual([])
  expect(old.specs[0]).toMatchObject({ kind: 'agent llm', settings: { cache: true } })
  expect(errors(await load('message_bus = redis { image = "redis:alpine" }', CHECK))).toEqual([])
})

describe('[W67] one-word kinds', () => {
  test.each([
    ['brain = claude { api_key = "k" }', 'llm claude'],
    ['brain = openai { api_key = "k" }', 'llm openai'],
    ['brain = ollama { model = "m" }', 'llm ollama'],
    ['brain = hugging_face { api_key = "k" }', 'llm hugging_face'],
    ['agent = claude { api_key = "k" }', 'agent claude'],
    ['my_agent = openai { api_key = "k" }', 'agent openai'],
    ['helper = claude { api_key = "k", role = "agent" }', 'agent claude'],
    ['helper = claude { api_key = "k", role: agent }', 'agent claude'],
    ['input = cli {}', 'input command_line'],
    ['in = cli {}', 'input command_line'],
    ['output = cli {}', 'output console'],
    ['screen = cli { role = "output" }', 'output console'],
    ['screen = console {}', 'output console'],
    ['notes = memory {}', 'memory short_term'],
    ['stats = analytics {}', 'analytics'],
    ['here = local {}', 'deployment local'],
    ['deployment = server {}', 'deployment server'],
    ['there = docker {}', 'deployment docker'],
    ['far = cloud {}', 'deployment cloud'],
  ])('%s', async (text, kind) => {
    const loaded = await load(text, CHECK)
    expect(errors(loaded)).toEqual([])
    expect(loaded.specs.map((spec) => spec.kind)).toEqual([kind])
  })

  test.each([
    ['message_bus = redis { redis_url = "redis://x" }', 'bus redis'],
    ['bus = nats { nats_url = "nats://x" }', 'bus nats'],
    ['message_bus = memory {}', 'bus memory'],
  ])('%s is the bus', async (text, kind) => {
    const loaded = await load(text, CHECK)
    expect(errors(loaded)).toEqual([])
    expect(loaded.bus?.kind).toBe(kind)
    expect(loaded.specs).toEqual([])
  })

  test('what neither `role` nor the name decides is an error at the kind, with what it may be', async () => {
    const loaded = await load('terminal = cli {}')
    expect(errors(loaded)).toEqual(['ambiguous-kind 1:12'])
    expect(loaded.diagnostics[0]?.message).toMatch(/"cli" may be .*input.*output/)
    expect(errors(await load('x = claude { api_key = "k", role = "output" }'))).toEqual(['ambiguous-kind 1:5'])
  })
})

test('[W68] an unknown kind is an error with the list and the nearest one, an unknown key a warning, a wrong type an error', async () => {
  const loaded = await load(`a = output consol { prefix: 5 }
b = llm telepathy {}
c = output console { prefix: 5, colour: "red", prefx: "x" }
d = input api { port: 99999, to: [] }
e = api functions { path: ["x"] }`)
  expect(told(loaded)).toEqual([
    expect.stringMatching(/^unknown-kind 1:5 there is no kind "output consol"; there are output console/),
    expect.stringMatching(/^unknown-kind 2:5 there is no kind "llm telepathy"; there are llm echo, llm scripted/),
    'wrong-type 3:30 "prefix" must be a text, found the number 5',
    'unknown-key 3:33 "output console" knows no key "colour"',
    'unknown-key 3:48 "output console" knows no key "prefx"',
    'wrong-type 4:23 "port" must be at most 65535, found the number 99999',
    'wrong-type 5:27 "path" must be a text, found a list',
  ])
  expect(loaded.diagnostics.map(({ severity }) => severity).join(' ')).toBe(
    'error error error warning warning error error',
  )
  expect(loaded.diagnostics[0]?.hint).toBe('did you mean "output console"?')
  expect(loaded.diagnostics[4]?.hint).toBe('did you mean "prefix"?')
})

test('a reference to a component of another role than the key wants is an error', async () => {
  const loaded = await load('agent = agent llm { model: out, to: [] }\nout = output console {}')
  expect(told(loaded).filter((one) => one.startsWith('wrong-role'))).toEqual([
    expect.stringMatching(/^wrong-role 1:28 "model" wants llm.*"out" is output/),
  ])
})

test('[W68] kinds of users come by an option, or by a module that a file includes', async () => {
  const pytorch = defineKind({
    kind: 'model pytorch',
    role: 'llm',
    summary: 'a model of our own',
    keys: { weights: { type: 'text', required: true, summary: 'where they lie' } },
    make: () => ({ handle: () => 'ok' }),
  })
  const text = 'brain = model pytorch { weights: "./w.bin" }'
  expect(errors(await load(text))).toEqual(['unknown-kind 1:9'])
  expect(errors(await load(text, { kinds: [pytorch] }))).toEqual([])
  expect(errors(await load('brain = model pytorch {}', { kinds: [pytorch] }))).toEqual(['missing-key 1:1'])
  const folder = project({
    'main.ww': 'include "kinds.mjs"\nx = custom tool { size: 3 }\ny = shouter { anything: [1] }',
    'kinds.mjs': `export const tool = { kind: 'custom tool', role: 'tool', summary: 's', keys: { size: { type: 'whole', summary: 's' } } }
export const others = [{ kind: 'shouter', role: 'agent', summary: 's', keys: {}, anyKeys: true }]
export const notOne = 5`,
  })
  const loaded = await loadIn(folder)
  expect(errors(loaded)).toEqual([])
  expect(loaded.specs.map(({ kind }) => kind)).toEqual(['custom tool', 'shouter'])
})

test('a module of kinds that throws, has none, or takes a name that is there, is an error at the include', async () => {
  const folder = project({
    'main.ww': 'include "throws.mjs"\ninclude "none.mjs"\ninclude "taken.mjs"',
    'throws.mjs': 'throw new Error("no luck")',
    'none.mjs': 'export const x = 1',
    'taken.mjs': "export const k = { kind: 'llm echo', role: 'llm', summary: 's', keys: {} }",
  })
  const loaded = await loadIn(folder)
  expect(errors(loaded)).toEqual(['bad-module 1:9', 'no-kinds 2:9', 'bad-module 3:9'])
  expect(loaded.diagnostics[0]?.message).toContain('no luck')
})

test('[W70] at most one command_line: the second one is an error', async () => {
  expect(errors(await load('in = input command_line {}\nother = cli { role: "input" }'))).toEqual([
    'second-command-line 2:1',
  ])
})

test('kinds that cannot run here are a warning for who checks and an error for who runs, with what to do instead', async () => {
  const text = 'kb = knowledge_base neo4j { uri: "u", user: "u", password: "p" }'
  const checked = await load(text, CHECK)
  expect(checked.valid).toBe(true)
  expect(told(checked)).toEqual([expect.stringMatching(/^unavailable-kind 1:1 "kb" cannot run here: .*text_file/)])
  expect((await load(text)).valid).toBe(false)
  for (const { kind, unavailable = 'x' } of KINDS) expect(unavailable.includes('\n'), kind).toBe(false)
})

test('an agent with a key and no model is told of as what cannot run here, also where the key is not set', async () => {
  const text = 'a = agent llm { api_key: $OPENAI_API_KEY }\nb = agent llm { api_key: "k", model: m }\nm = llm echo {}'
  const checked = await load(text, CHECK)
  expect(checked.valid).toBe(true)
  expect(told(checked).filter((one) => one.startsWith('unavailable'))).toEqual([
    expect.stringMatching(/^unavailable-kind 1:1 "agent llm" cannot run so: it has an "api_key" and no "model"/),
  ])
  expect(errors(await load(text, { environment: { OPENAI_API_KEY: 'k' } }))).toEqual(['unavailable-kind 1:1'])
})

test('[W72] an MCP server that nobody can look up is told of before the start, unless it is said where it is', async () => {
  const text = (more: string): string => `gh = mcp server { server: "github/github-mcp-server"${more} }`
  const place = 'unavailable-kind 1:1'
  expect(told(await load(text(''), CHECK))[0]).toMatch(
    /^unavailable-kind 1:1 "mcp server" cannot run so: .*cannot look up/,
  )
  expect((await load(text(''), CHECK)).valid).toBe(true)
  expect(errors(await load(text('')))).toEqual([place])
  for (const more of [' url: "https://mcp.example/x"', ' command: "docker"', ' url: $URL']) {
    expect(told(await load(text(more), CHECK)).filter((one) => one.startsWith(place))).toEqual([])
  }
  for (const server of ['"@scope/files"', '"./mine.mjs"', '"https://mcp.example"', '$SERVER']) {
    const found = told(await load(`x = mcp server { server: ${server} }`, CHECK))
    expect(found.filter((one) => one.startsWith(place))).toEqual([])
  }
})

test('[W37] a choice among several is a warning at the component, and an error if it must be strict', async () => {
  const text =
    'in = input command_line {}\na = agent llm { model: m }\nb = agent llm { model: m }\nm = llm echo {}\nout = output console {}'
  const loose = await load(text)
  expect(loose.valid).toBe(true)
  expect(told(loose)[0]).toMatch(/^ambiguous 1:1 .*"a", "b"/)
  expect(errors(await load(text, { strict: true }))).toEqual(['ambiguous 1:1'])
})

test('docs/ww-files.md has exactly the diagnostics of the code', () => {
  const markdown = readFileSync(join(ROOT, 'docs/ww-files.md'), 'utf8')
  const rows = [...markdown.matchAll(/^\| `([a-z-]+)` \| (\w+) \| (.*) \| (.*) \|$/gm)].map(([, ...cells]) => cells)
  expect(rows).toEqual(
    Object.entries(LOAD_DIAGNOSTICS).map(([code, { severity, text, next }]) => [code, severity, text, next]),
  )
})
