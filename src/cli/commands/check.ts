import { Command } from 'commander'
import type { Diagnostic } from '../../config/diagnostic.ts'
import type { LoadedSwarm } from '../../config/load.ts'
import type { Act, Call } from '../call.ts'
import { EXIT, faultOf } from '../faults.ts'
import { counted } from '../text.ts'
import { MAIN, mustHaveNoLog, sumOf, wwFile } from '../ww.ts'

interface Options {
  readonly strict?: boolean
}

/** What is told of one file with --json. */
interface Result {
  readonly file: string
  readonly valid: boolean
  readonly diagnostics: readonly Diagnostic[]
  /** Why it could not be looked at. */
  readonly fault?: string
}

const EXAMPLES = `
Examples:
  $ swarmbus check
  $ swarmbus check swarms/*.ww --strict

Nothing is run. A variable that is not set, and a kind that cannot run here, is a warning: another machine may have it.`

/** `swarmbus check [FILES]`: says what is wrong with `.ww` files, and runs nothing. */
export function checkCommand(act: Act): Command {
  return new Command('check')
    .description('say what is wrong with .ww files, without running them')
    .argument('[files...]', `the files, or folders with a ${MAIN} (default: ${MAIN})`)
    .option('--strict', 'warnings are errors')
    .addHelpText('after', EXAMPLES)
    .action(act(check))
}

async function check(call: Call, given: readonly string[], { strict = false }: Options): Promise<number> {
  mustHaveNoLog(call, 'check')
  const { out } = call
  const results: Result[] = []
  for (const name of given.length === 0 ? [undefined] : given) {
    try {
      results.push(await checkOne(call, wwFile(name), strict))
    } catch (error) {
      // One alone is the fault of the call; one of several does not keep the others from being looked at.
      if (given.length < 2) throw error
      const { message } = faultOf(error)
      await out.text(message)
      results.push({ file: name ?? MAIN, valid: false, diagnostics: [], fault: message })
    }
  }
  if (out.json) await out.document(results)
  return results.every(({ valid }) => valid) ? EXIT.ok : EXIT.failed
}

async function checkOne({ io, out }: Call, file: string, strict: boolean): Promise<Result> {
  const { loadSwarm, renderLoaded } = await import('../../config/load.ts')
  const loaded: LoadedSwarm = await loadSwarm(file, { environment: io.env, check: true, strict })
  const diagnostics = strict
    ? loaded.diagnostics.map((one): Diagnostic => ({ ...one, severity: 'error' }))
    : loaded.diagnostics
  const color = io.stdout.isTTY && !io.env.NO_COLOR && io.env.TERM !== 'dumb'
  for (const one of diagnostics) await out.text(`${renderLoaded(one, loaded, color).trimEnd()}\n`)
  const sum = sumOf(diagnostics)
  await out.text(`${file}: ${sum ?? `sound, ${counted(loaded.specs.length, 'component')}`}`)
  return { file, valid: loaded.valid && (!strict || diagnostics.length === 0), diagnostics }
}
