// The command line.

import { parseArgs } from 'node:util'
import { PRIORITIES } from 'swarmbus'
import { AGENTS, type AgentName } from './crew.ts'

export interface Options {
  readonly help: boolean
  readonly json: boolean
  /** Factor on the time that work takes. */
  readonly pace: number
  readonly tasks: readonly string[]
  /** Where messages are kept, as `openBus` takes it. */
  readonly url: string
  /** Those that work in this process. */
  readonly agents: readonly AgentName[]
  /** This process takes no tasks: its agents work for others until it is interrupted. */
  readonly serves: boolean
}

/** Where tasks wait that a run leaves behind. */
export const DEFAULT_FILE = '.swarmbus/incident.db'

export const HELP = `A swarm handles tasks over one message bus: harold is in charge, pink and red write code,
the validator checks it, ring watches. No model is asked: the words of a task decide.

  npm start                                      demonstration tasks, or a prompt on a terminal
  npm start -- "Production is down: fix auth"    each argument is one task
  echo "fix auth" | npm start                    standard input: one task a line
  npm start -- --json < tasks.txt                JSON lines: events, and one summary at the end

A task may begin with a priority, a deadline, or both, and a colon:

  critical 30s: Production is down: fix auth
  low: document the cache
  500ms: deploy billing

Priorities: ${PRIORITIES.join(', ')}. Deadlines: a number with ms, s, m or h.
A line may also be JSON; tasks of one session are done one after another:

  {"task":"fix auth","priority":"high","deadlineMs":2000,"session":"login"}

Words that decide: fix, add, refactor … (coding) · deploy, release, rollback … · review, audit …
monitor, watch … · status, who, what … (asks everybody). Several words make several stages.

  --fast, --slow   work takes a tenth of the time, or six times as long
  --file FILE      where tasks are kept (${DEFAULT_FILE})
  --memory         keep nothing: what is not done at the end is gone
  --url URL        the same as a url: redis://HOST, nats://HOST, sqlite:FILE or memory:
  --agents NAMES   those that work in this process: some of ${AGENTS.join(',')}; or none
  --json           for programs
  --help           this text

A task is kept before anybody works on it. What a run leaves behind, after Ctrl-C or kill -9, the next
run takes up at the stage where it was. One run at a time holds a file.

Over Redis or NATS the agents may work in several processes, on several machines, each agent in any number
of them. They find each other in any order; a process with --agents and without tasks serves until Ctrl-C:

  npm start -- --url redis://127.0.0.1:6379 --agents pink,red
  npm start -- --url redis://127.0.0.1:6379 --agents validator,ring,harold
  npm start -- --url redis://127.0.0.1:6379 --agents none "critical: Production is down: fix auth"

Whatever a lost process had in hand is done by another one, and reported once. Environment variables choose no
broker here, so that demonstration tasks do not land in a swarm at work.

Input that cannot be used (an empty line, an unknown priority, broken JSON, control characters,
more than 1 MiB) is named with its line number, and the swarm goes on.
Exit code: 0 when the run was completed, whatever became of the tasks; 1 when standard input broke, or the
file or broker cannot be used;
2 for a wrong option; 130 after Ctrl-C and 143 after SIGTERM, which drain the bus first.
NO_COLOR is honoured.
`

/** Reads the command line. Throws an Error whose message says what is wrong. */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      json: { type: 'boolean', default: false },
      fast: { type: 'boolean', default: false },
      slow: { type: 'boolean', default: false },
      file: { type: 'string' },
      memory: { type: 'boolean', default: false },
      url: { type: 'string' },
      agents: { type: 'string' },
    },
  })
  if (values.fast && values.slow) throw new Error('--fast and --slow do not go together')
  const places = [values.memory, values.file !== undefined, values.url !== undefined]
  if (places.filter(Boolean).length > 1)
    throw new Error('only one of --file, --memory and --url says where tasks are kept')
  const url = values.url ?? (values.memory ? 'memory:' : `sqlite:${values.file ?? DEFAULT_FILE}`)
  const agents = values.agents === undefined ? AGENTS : agentsFrom(values.agents)
  if (agents.length < AGENTS.length && isOneProcess(url)) {
    const where = url === 'memory:' ? 'memory:' : 'a file'
    throw new Error(
      `--agents ${values.agents}: with ${where} all agents work in one process; --url redis://HOST or nats://HOST joins several`,
    )
  }
  return {
    url,
    agents,
    serves: values.agents !== undefined && agents.length > 0 && positionals.length === 0,
    help: values.help,
    json: values.json,
    pace: values.fast ? 0.1 : values.slow ? 6 : 1,
    tasks: positionals,
  }
}

/** True for a place that one process has to itself. */
export function isOneProcess(url: string): boolean {
  return /^(memory|sqlite):/i.test(url)
}

function agentsFrom(text: string): readonly AgentName[] {
  const names = text.split(',').map((name) => name.trim())
  if (text === 'none') return []
  const unknown = names.find((name) => !AGENTS.includes(name as AgentName))
  if (unknown !== undefined) {
    throw new Error(
      `--agents: there is no agent "${unknown}"; there are ${AGENTS.join(', ')}, or none for no agent at all`,
    )
  }
  return AGENTS.filter((name) => names.includes(name))
}
