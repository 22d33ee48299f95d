// The command line.

import { parseArgs } from 'node:util'
import { PRIORITIES } from 'swarmbus'

export interface Options {
  readonly help: boolean
  readonly json: boolean
  /** Factor on the time that work takes. */
  readonly pace: number
  readonly tasks: readonly string[]
  /** Where messages are kept, as `openBus` takes it. */
  readonly url: string
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
  --json           for programs
  --help           this text

A task is on disk before anybody works on it. What a run leaves behind, after Ctrl-C or kill -9, the next
run takes up at the stage where it was. One run at a time holds the file.

Input that cannot be used (an empty line, an unknown priority, broken JSON, control characters,
more than 1 MiB) is named with its line number, and the swarm goes on.
Exit code: 0 when the run was completed, whatever became of the tasks; 1 when standard input broke, or the
file cannot be used;
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
    },
  })
  if (values.fast && values.slow) throw new Error('--fast and --slow do not go together')
  if (values.memory && values.file !== undefined) throw new Error('--memory and --file do not go together')
  const url = values.memory ? 'memory:' : `sqlite:${values.file ?? DEFAULT_FILE}`
  return {
    url,
    help: values.help,
    json: values.json,
    pace: values.fast ? 0.1 : values.slow ? 6 : 1,
    tasks: positionals,
  }
}
