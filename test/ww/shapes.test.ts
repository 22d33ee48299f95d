import { expect, test } from 'vitest'
import { createSource, format, parse } from '../../src/node/swarm/index.ts'
import { errors, load, told } from './project.ts'

// Files in the shapes in which the originals' users wrote theirs: they load, or fail at an exact place.

const CHECK = { check: true }

const TWO_WORDS = `# My first swarm
# old = llm openai {

chat_in = input command_line {
    to: my_agent
    key: none_needed   # a comment { with a brace
}

my_agent = agent llm {          # references before their declarations
    model: my_llm
    tools: [my_functions, my_web, my_kb]
    planning: False
    hooks: [
        {
            event: "agent.thought"
            function_name: "debug_hook"
            script_path: "hooks.py"
        },
        { script_path: "hooks.py", event: "tool.call", function_name: "second" }
    ]
    pipes: [{ event: "input_received", script_path: "pipes.py", function_name: "clean" }]
    sources: {
        file: "prompts/defaults/planner.txt",
        env: { MODE: "x", LEVEL: 3, }
    }
}

my_llm = llm openai {
    api_key: $OPENAI_API_KEY,
    model: "gpt-4o-mini",
    memory: memory short_term {}
    # a comment between entries
}

my_functions = api functions { path: ../functions/tools.py }

my_web = api web {
    url: "https://api.example.com/v1?x={y}#z"
}

my_kb = knowledge_base text_file { path: ./notes.txt }
my_out = output console {}
`

test('[W77] [WN22] the shape of two-word kinds loads: comments, one-line blocks, nested blocks, lists of hook blocks, paths', async () => {
  const loaded = await load(TWO_WORDS, CHECK)
  expect(told(loaded).filter((one) => !/^(unset-variable|unavailable-kind|bare-text|unknown-key)/.test(one))).toEqual([
    'unknown-name 6:10 nothing is declared as "none_needed"',
    'missing-module 17:26 there is no module "hooks.py"',
    'missing-module 19:24 there is no module "hooks.py"',
    'missing-module 21:53 there is no module "pipes.py"',
  ])
  const agent = loaded.specs.find(({ name }) => name === 'my_agent')
  expect(agent?.settings).toMatchObject({
    planning: false,
    sources: { file: 'prompts/defaults/planner.txt', env: { MODE: 'x', LEVEL: 3 } },
  })
  expect(agent?.hooks?.map(({ event, function: name }) => [event, name])).toEqual([
    ['agent.thought', 'debug_hook'],
    ['tool.call', 'second'],
  ])
  expect(loaded.specs.some(({ name }) => name === 'old')).toBe(false)
})

const ONE_WORD = `input = cli {
    to = ["router", "analytics"]
}

router = claude {
    api_key = $CLAUDE_API_KEY
    model = "claude-3-haiku",
    role = "agent"
    to = [ "output"
           "log" ]
}

analytics = analytics { }
output = console {}
log = console { prefix = 'log # ' }

deployment = docker {
    image = "python:3.11"
    ports = { "6379": "6379", "8000" = "8000" }
    message_bus = redis {
        redis_url = $REDIS_URL
        stream_prefix = "swarm"
    }
    components = {
        router = { environment = { "LOG_LEVEL" = "debug", 'N' : 5 } }
    }
}`

test('[W77] [WN23] [WN24] the shape of one-word kinds loads, and never as an empty configuration: nested bus, ports, components with environments', async () => {
  const loaded = await load(ONE_WORD, {
    ...CHECK,
    environment: { REDIS_URL: 'redis://localhost:6379', CLAUDE_API_KEY: 'k' },
  })
  expect(errors(loaded)).toEqual([])
  expect(loaded.specs.map(({ name, kind }) => `${name}: ${kind}`)).toEqual([
    'input: input command_line',
    'router: agent claude',
    'analytics: analytics',
    'output: output console',
    'log: output console',
    'deployment: deployment docker',
  ])
  expect(loaded.specs[1]?.to).toEqual(['output', 'log'])
  expect(loaded.bus).toMatchObject({ kind: 'bus redis', settings: { stream_prefix: 'swarm' } })
  expect(loaded.specs.at(-1)?.settings).toMatchObject({
    ports: { 6379: '6379', 8000: '8000' },
    components: { router: { environment: { LOG_LEVEL: 'debug', N: 5 } } },
  })
})

test('[W60] dialects may be mixed in one file', async () => {
  const loaded = await load(
    'in = input command_line { to: agent }\nagent = echo { prefix = "x", to: ["out"] }\nout = output console { prefix: "y" }',
  )
  expect(told(loaded)).toEqual([])
})

test('[W77] [WN22] a number stays a number, and what a formatter writes loads as the same', async () => {
  const text = 'x=analytics{n:5,m:-1.5e3,flag:TRUE,none:None,list:[1 2,3,],text:"a # { } ,"}'
  const one = await load(text, CHECK)
  expect(one.specs[0]?.settings).toEqual({
    n: 5,
    m: -1_500,
    flag: true,
    none: null,
    list: [1, 2, 3],
    text: 'a # { } ,',
  })
  const source = createSource('x.ww', text)
  expect(parse(source).diagnostics).toEqual([])
  const other = await load(format(source), CHECK)
  expect(other.specs[0]?.settings).toEqual(one.specs[0]?.settings)
})

test.each([
  ['x = llm echo {', 1],
  ['x = llm echo { prefix: }', 1],
  ['x llm echo {}', 1],
  ['free text\nx = llm echo {}', 1],
  ['x = llm echo {}\ny = llm echo { to: x', 2],
  ['true = llm echo {}', 1],
  ['x = llm echo {}\nx = llm echo {}', 2],
])('[WN23] %j is refused with its place', async (text, line) => {
  const { valid, diagnostics } = await load(text)
  expect(valid).toBe(false)
  expect(diagnostics.find(({ severity }) => severity === 'error')?.line).toBe(line)
})
