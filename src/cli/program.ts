import { Command, CommanderError } from 'commander'
import { type Act, type GlobalOptions, type OpenCall, openCall, usage } from './call.ts'
import { channelsCommand } from './commands/channels.ts'
import { checkCommand } from './commands/check.ts'
import { deadLettersCommand } from './commands/dead-letters.ts'
import { devCommand } from './commands/dev.ts'
import { doctorCommand } from './commands/doctor.ts'
import { fmtCommand } from './commands/fmt.ts'
import { graphCommand } from './commands/graph.ts'
import { groupsCommand } from './commands/groups.ts'
import { initCommand } from './commands/init.ts'
import { processesCommand } from './commands/processes.ts'
import { publishCommand } from './commands/publish.ts'
import { replayCommand } from './commands/replay.ts'
import { statsCommand } from './commands/stats.ts'
import { tailCommand } from './commands/tail.ts'
import { trimCommand } from './commands/trim.ts'
import { upCommand } from './commands/up.ts'
import { CliError, EXIT } from './faults.ts'
import type { CliIo } from './io.ts'
import type { Output } from './output.ts'
import { versionOf } from './version.ts'

const EXAMPLES = `
Examples:
  $ swarmbus init my-swarm && swarmbus up my-swarm
  $ swarmbus publish tasks.coding '{"title":"fix auth"}' --file swarm.db --priority high
  $ swarmbus tail 'tasks.>' --file swarm.db
  $ swarmbus dead-letters list --file swarm.db --since 1h
  $ swarmbus tail 'tasks.>' --url redis://localhost:6379
  $ swarmbus doctor swarm.db

The log is named by --file, by --url, or by the variable SWARMBUS_URL. A file belongs to one process at a time; a log on a
broker (redis://, nats://) may be looked at while others work with it.
Exit codes: 0 done · 1 failed · 2 wrong usage · 3 the file is held by another process · 4 damage found · 130 interrupted.`

/** The program with its commands; `act` makes their actions. */
export function programOf(act: Act, nowMs: () => number): Command {
  const program = new Command('swarmbus')
    .description(
      'The message bus for teams of AI agents: swarms that .ww files describe, and what is kept in a log, from a terminal.',
    )
    .version(versionOf(), '-V, --version', 'print the version')
    .option('--file <file>', 'the file of the log')
    .option('--url <url>', 'the url of the log: sqlite:FILE, redis://HOST, nats://HOST; default: SWARMBUS_URL')
    .option('--json', 'print JSON: one document, or one object a line where a command lists messages')
    .option('--debug', 'print the stack of a fault')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .addHelpText('after', EXAMPLES)
  const commands = [
    upCommand(act),
    devCommand(act),
    initCommand(act),
    checkCommand(act),
    fmtCommand(act),
    graphCommand(act),
    publishCommand(act),
    tailCommand(act, nowMs),
    replayCommand(act, nowMs),
    deadLettersCommand(act, nowMs),
    channelsCommand(act),
    groupsCommand(act),
    processesCommand(act),
    statsCommand(act, nowMs),
    trimCommand(act),
    doctorCommand(act),
  ]
  for (const command of commands) program.addCommand(command)
  return program
}

/** Understands the arguments, runs the command they name, and resolves to its exit code. Throws what is to be told as a fault. */
export async function runProgram(argv: readonly string[], io: CliIo, out: Output): Promise<number> {
  let exitCode: number = EXIT.ok
  let open: OpenCall | undefined
  const act: Act =
    (run) =>
    async (...args) => {
      const command = args.at(-1) as Command
      open = openCall(io, out, command.optsWithGlobals<GlobalOptions>())
      // What is left are the command's own arguments and options.
      exitCode = await run(open, ...(args.slice(0, -1) as never))
    }
  const written: string[] = []
  const program = programOf(act, () => io.clock.wallMs())
  for (const command of commandsOf(program)) prepare(command, io, written)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    const failure = open?.broken()
    if (failure !== undefined) {
      throw new CliError(
        EXIT.failed,
        `standard output cannot be written: ${failure.message}`,
        'free its disk, or write elsewhere',
      )
    }
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Help was asked for, or nothing was.
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version') {
      await io.stdout.write(written.join(''))
      return EXIT.ok
    }
    if (error.code === 'commander.help') {
      const asked = argv[0] === 'help'
      await (asked ? io.stdout : io.stderr).write(written.join(''))
      return asked ? EXIT.ok : EXIT.usage
    }
    throw usageOf(error, argv, program)
  } finally {
    open?.end()
  }
}

/** A command and everything below it. */
export function commandsOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(commandsOf)]
}

function prepare(command: Command, io: CliIo, written: string[]): void {
  const columns = io.stdout.columns() ?? 80
  command
    .exitOverride()
    .configureOutput({
      writeOut: (text) => written.push(text),
      writeErr: (text) => written.push(text),
      // Faults are told by whoever catches them, in one form.
      outputError: () => undefined,
      getOutHelpWidth: () => columns,
      getErrHelpWidth: () => columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ showGlobalOptions: true })
}

/** What commander found wrong with the arguments, with the names that were probably meant. */
function usageOf(error: CommanderError, argv: readonly string[], program: Command): CliError {
  const lines = error.message.replace(/^error: /, '').split('\n')
  const text = lines
    .map((line) => line.trim())
    .filter(Boolean)
    .join(' ')
  const known = new Set(program.commands.map((command) => command.name()))
  const named = argv.find((one) => known.has(one))
  return usage(
    text,
    named === undefined ? '`swarmbus --help` lists the commands' : `\`swarmbus help ${named}\` shows what is allowed`,
  )
}
