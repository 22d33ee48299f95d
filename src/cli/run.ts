import { EXIT, type Fault, faultOf } from './faults.ts'
import type { CliIo } from './io.ts'
import { outputOf } from './output.ts'
import { versionOf } from './version.ts'

const JUST_VERSION = new Set(['--version', '-V', '--json'])

/** Runs the program with its arguments. Resolves to the exit code, after everything was written; never rejects. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  // Asked for before the arguments are understood: a fault in them must be told in the right form too.
  const json = argv.includes('--json')
  const out = outputOf(io, json)
  try {
    // Without loading what reads arguments: asking for the version is what scripts do to see whether the program is there.
    if (argv.length > 0 && argv.every((one) => JUST_VERSION.has(one)) && argv.some((one) => one !== '--json')) {
      await (json ? out.document({ version: versionOf() }) : io.stdout.write(`${versionOf()}\n`))
      return EXIT.ok
    }
    const { runProgram } = await import('./program.ts')
    return await runProgram(argv, io, out)
  } catch (error) {
    const fault: Fault = faultOf(error)
    await out.fault(fault, error, argv.includes('--debug'))
    return fault.exitCode
  } finally {
    io.stdin.close()
  }
}
