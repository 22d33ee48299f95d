import { describe, expect, test } from 'vitest'
import { errors, load, told } from '../../test/ww/project.ts'
import { Reference } from '../component/spec.ts'

const ENDS = 'in = input command_line { to: agent }\nout = output console {}\n'

test('[W63] a bare word is a reference to a declaration before or after it; quoted names are references in `to` and in lists of tools', async () => {
  const loaded = await load(`in = input command_line { to: ["agent"] }
agent = agent llm { model: brain, tools: ["web", calc], memory: notes, to: "out" }
brain = llm echo {}
notes = memory short_term {}
web = api web { url: "https://example.com" }
calc = api functions { path: "./calc.ts" }
out = output console {}`)
  expect(errors(loaded)).toEqual([])
  const agent = loaded.specs.find(({ name }) => name === 'agent')
  expect(agent?.settings).toEqual({
    model: new Reference('brain'),
    tools: [new Reference('web'), new Reference('calc')],
    memory: new Reference('notes'),
  })
  expect(agent?.to).toEqual(['out'])
})

test('[W63] an unknown name is an error at its place, with the nearest one; a text that lacks its quotes is told so', async () => {
  const loaded = await load(
    `${ENDS}agent = agent llm {\n  model: brian\n  to: [out, "outt"]\n}\nbrain = llm echo { model: gpt }`,
  )
  expect(told(loaded)).toEqual([
    'unknown-name 4:10 nothing is declared as "brian"',
    'unknown-name 5:13 nothing is declared as "outt"',
    'unknown-name 7:27 nothing is declared as "gpt"',
  ])
  expect(loaded.diagnostics.map(({ hint }) => hint)).toEqual([
    'did you mean "brain"?',
    'did you mean "out"?',
    'a text is written in quotes: "gpt"',
  ])
})

test('[W63] a word like a path is a text, with a warning', async () => {
  const loaded = await load('tools = api functions { path: ./tools/a.ts }\nmore = api functions { path: ../x/y.mjs }')
  expect(loaded.specs.map(({ settings }) => settings.path)).toEqual(['./tools/a.ts', '../x/y.mjs'])
  expect(loaded.diagnostics.map(({ code, severity }) => `${severity} ${code}`)).toEqual([
    'warning bare-text',
    'warning bare-text',
  ])
})

test('a block with a kind of its own becomes a component with a name that nobody else has, and a reference stands in its place', async () => {
  const loaded = await load(`agent-model = llm echo {}
agent = agent llm { model: llm echo { memory: memory short_term {} }, tools: [api web { url: "https://a.example" }, api web { url: "https://b.example" }] }`)
  expect(errors(loaded)).toEqual([])
  expect(loaded.specs.map(({ name, kind }) => `${name}: ${kind}`)).toEqual([
    'agent-model: llm echo',
    'agent-model-2-memory: memory short_term',
    'agent-model-2: llm echo',
    'agent-tools: api web',
    'agent-tools-2: api web',
    'agent: agent llm',
  ])
  const agent = loaded.specs.at(-1)
  expect(agent?.settings.tools).toEqual([new Reference('agent-tools'), new Reference('agent-tools-2')])
})

test('[W64] names may equal kind words', async () => {
  const loaded = await load(`in = input command_line { to: agent }
llm = llm echo {}
agent = agent llm { model: llm, memory: memory, to: output }
memory = memory short_term {}
output = output console {}
input = input api { to: agent }`)
  expect(told(loaded)).toEqual([])
})

test('[W64] components that need each other are an error with the whole circle, each circle once; `to` may lead in a circle', async () => {
  const loaded = await load(`a = agent llm { model: m, tools: [b] }
b = agent llm { model: m, tools: [c] }
c = agent llm { model: m, tools: [a] }
self = agent llm { model: m, tools: [self] }
m = llm echo {}`)
  expect(told(loaded)).toEqual([
    'reference-cycle 3:35 components need each other: a → b → c → a',
    'reference-cycle 4:38 components need each other: self → self',
  ])
  const loop = await load('a = llm echo { to: b }\nb = llm echo { to: a }\nin = input command_line { to: a }')
  expect(loop.valid).toBe(true)
  expect(told(loop)).toEqual([
    'cycle 1:1 "a" → "b" → "a" is a cycle; if it is meant, name the target that closes it in `feedback`',
  ])
  const meant = await load(
    'a = llm echo { to: b }\nb = llm echo { feedback: a, to: [a] }\nin = input command_line { to: a }',
  )
  expect(told(meant)).toEqual([])
})

test('a block may hold itself no more than a list of ten thousand names may: deep chains are no trouble', async () => {
  const lines = Array.from(
    { length: 3_000 },
    (_, n) => `n${n} = analytics { next: ${n === 2_999 ? 'n0' : `n${n + 1}`} }`,
  )
  const loaded = await load(lines.join('\n'))
  expect(errors(loaded)).toEqual([`reference-cycle 3000:27`])
})

describe('[W36] targets', () => {
  test.each([
    ['to: []', []],
    ['to: null', []],
    ['to: None', []],
    ['to: out', ['out']],
    ['to: "out"', ['out']],
    ["to = ['out', other]", ['out', 'other']],
    ['to: [out other out]', ['out', 'other']],
    ['_output: out', ['out']],
    ['output_targets: [other]', ['other']],
    ['output_targets: [other], _output: [], to: out', ['out']],
    ['output_targets: [other], _output: []', []],
  ])('%s', async (text, expected) => {
    const loaded = await load(`x = llm echo { ${text} }\nout = output console {}\nother = output console {}`)
    expect(errors(loaded)).toEqual([])
    expect(loaded.specs[0]?.to).toEqual(expected)
  })

  test('[WN18] a list of references is routable, and nothing said is not the same as nowhere', async () => {
    const { specs, plan } = await load(
      `${ENDS}agent = agent llm { model: llm echo {}, to: [out, other] }\nother = output console {}\nsecond = input api {}`,
    )
    expect(plan.routes.find(({ from }) => from === 'agent')?.to).toEqual(['out', 'other'])
    expect(specs.find(({ name }) => name === 'second')?.to).toBeUndefined()
    // Two inputs: both go to the agent.
    expect(plan.routes.find(({ from }) => from === 'second')).toMatchObject({ to: ['agent'], origin: 'inferred' })
  })

  test.each([
    ['to: 5', 'wrong-type 1:20'],
    ['to: true', 'wrong-type 1:20'],
    ['to: { a: 1 }', 'wrong-type 1:20'],
    ['to: [out, 7]', 'wrong-type 1:26'],
    ['to: [[out]]', 'wrong-type 1:21'],
    ['to: output console {}', 'wrong-type 1:20'],
    ['to: [out, nobody]', 'unknown-name 1:26'],
  ])('%s is an error at its place', async (text, at) => {
    expect(errors(await load(`x = llm echo { ${text} }\nout = output console {}`))).toEqual([at])
  })

  test('further events may go to the targets', async () => {
    const loaded = await load('x = llm echo { routes: ["agent.thought"], to: out }\nout = output console {}')
    expect(loaded.specs[0]?.routes).toEqual(['agent.thought'])
  })
})
