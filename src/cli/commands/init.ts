import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import type { Act, Call } from '../call.ts'
import { CliError, EXIT } from '../faults.ts'
import { MAIN, mustHaveNoLog } from '../ww.ts'

const EXAMPLES = `
Examples:
  $ swarmbus init
  $ swarmbus init my-swarm && swarmbus up my-swarm

The file runs as it is, without a key and without a model. Nothing that is there already is changed.`

const TEMPLATE = `# What you type goes to the agent, and its answers come back to the terminal. Nothing says so: it follows from what they are.
# Run it: swarmbus up

input = input command_line {}

agent = agent llm {
  model: brain
  memory: memory short_term {}
}

# It answers without a model. \`swarmbus check\` knows every kind and its keys.
brain = llm echo {
  prefix: "You said: "
}

output = output console {}
`

/** Files of a new swarm, by their names. */
const FILES: Readonly<Record<string, string>> = {
  [MAIN]: TEMPLATE,
  '.gitignore': '# Keys stand in .env, as NAME=value; a .ww file takes them by $NAME.\n.env\n*.db\n*.db-*\n',
}

/** `swarmbus init [FOLDER]`: makes a `.ww` file that runs. */
export function initCommand(act: Act): Command {
  return new Command('init')
    .description(`make a ${MAIN} that runs`)
    .argument('[folder]', 'where; it is made if it is not there (default: this folder)')
    .addHelpText('after', EXAMPLES)
    .action(act(init))
}

async function init(call: Call, folder: string = '.'): Promise<number> {
  mustHaveNoLog(call, 'init')
  const { out } = call
  const main = join(folder, MAIN)
  if (existsSync(main)) {
    throw new CliError(
      EXIT.failed,
      `there is a file ${main} already`,
      'name another folder, or `swarmbus up` to run it',
    )
  }
  const made: string[] = []
  try {
    mkdirSync(folder, { recursive: true })
    for (const [name, text] of Object.entries(FILES)) {
      const path = join(folder, name)
      if (existsSync(path)) continue
      writeFileSync(path, text, { flag: 'wx' })
      made.push(path)
    }
  } catch (cause) {
    const { message } = cause as Error
    throw new CliError(EXIT.failed, `${folder} cannot be written: ${message}`, 'name another folder', { cause })
  }
  if (out.json) await out.document({ made })
  for (const path of made) await out.text(`made ${path}`)
  await out.text(`next: swarmbus up${folder === '.' ? '' : ` ${folder}`}`)
  return EXIT.ok
}
