import { Command } from 'commander'
import { type Act, type Call, usage } from '../call.ts'
import { MAIN, wwFile } from '../ww.ts'
import { type UpOptions, upCommand } from './up.ts'

const EXAMPLES = `
Examples:
  $ swarmbus dev
  $ swarmbus dev examples/chain --drain 1s

It runs a swarm as \`swarmbus up\` does, in a process of its own. Its files are the .ww file with what it includes, the modules of hooks,
pipes, functions and kinds with what they import, files that settings name, and .env. When one of them changes, they are checked: with
errors the swarm goes on as it was, else it ends as at Ctrl-C and starts again. What is in memory is gone then; a file or a broker keeps it.
Ctrl-C ends both; a second Ctrl-C ends them at once.`

/** `swarmbus dev [FILE]`: runs a `.ww` file, and starts it again when it changes. */
export function devCommand(act: Act): Command {
  const command = new Command('dev')
    .description('run a .ww file as up does, and start it again when one of its files changes')
    .argument('[file]', `the file, or a folder with a ${MAIN} (default: ${MAIN})`)
    .addHelpText('after', EXAMPLES)
    .action(act(dev))
  for (const option of upCommand(act).options) command.addOption(option)
  return command
}

async function dev(call: Call, given: string | undefined, options: UpOptions): Promise<number> {
  const { isInner, runInner } = await import('../dev/inner.ts')
  if (isInner(call)) return runInner(call, given, options)
  const { url, file: log, json, debug } = call.options
  if (url !== undefined && log !== undefined) throw usage('--url and --file name two buses', 'give one of them')
  const file = wwFile(given)
  const args = [
    'dev',
    ...(options.strict === true ? ['--strict'] : []),
    ...['--drain', `${options.drain}ms`],
    ...(options.startTimeout === undefined ? [] : ['--start-timeout', `${options.startTimeout}ms`]),
    ...(url === undefined ? [] : ['--url', url]),
    ...(log === undefined ? [] : ['--file', log]),
    ...(json === true ? ['--json'] : []),
    ...(debug === true ? ['--debug'] : []),
    ...['--', file],
  ]
  const { runLoop } = await import('../dev/loop.ts')
  return runLoop(call, { file, args, drainMs: options.drain })
}
