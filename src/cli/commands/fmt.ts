import { renameSync, statSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { type Act, type Call, usage } from '../call.ts'
import { CliError, EXIT } from '../faults.ts'
import { textOf } from '../input.ts'
import { counted } from '../text.ts'
import { invalid, MAIN, mustHaveNoLog, wwFile } from '../ww.ts'

interface Options {
  readonly check?: boolean
}

const EXAMPLES = `
Examples:
  $ swarmbus fmt
  $ swarmbus fmt --check swarms/*.ww
  $ swarmbus fmt - < main.ww

Comments stay where they are, and what a file says stays the same. A file with errors is left as it is.`

/** `swarmbus fmt [FILES]`: writes `.ww` files in their one canonical spelling. */
export function fmtCommand(act: Act): Command {
  return new Command('fmt')
    .description('write .ww files in their one canonical spelling')
    .argument('[files...]', `the files, or folders with a ${MAIN}; - reads standard input (default: ${MAIN})`)
    .option('--check', 'change nothing; code 1 when a file is spelled otherwise')
    .addHelpText('after', EXAMPLES)
    .action(act(fmt))
}

async function fmt(call: Call, given: readonly string[], { check = false }: Options): Promise<number> {
  mustHaveNoLog(call, 'fmt')
  const { io, out } = call
  if (given.includes('-')) {
    if (given.length > 1)
      throw usage('- is standard input, and stands alone', 'call it once for the files and once for -')
    const before = `${await textOf(io.stdin)}\n`
    const after = await formatted(call, '-', before)
    if (out.json) await out.document([{ file: '-', changed: after !== before }])
    else if (!check) await io.stdout.write(after)
    return check && after !== before ? EXIT.failed : EXIT.ok
  }
  const { textOf: read } = await import('../../config/include.ts')
  const files = (given.length === 0 ? [undefined] : given).map(wwFile)
  const results: { readonly file: string; readonly changed: boolean }[] = []
  // All of them are read before one is written: an error leaves every file as it was.
  const texts: { readonly file: string; readonly before: string; readonly after: string }[] = []
  for (const file of files) {
    const before = read(file)
    if (typeof before !== 'string')
      throw new CliError(EXIT.failed, `${file} cannot be read: ${before.fault}`, 'check the path')
    texts.push({ file, before, after: await formatted(call, file, before) })
  }
  for (const { file, before, after } of texts) {
    const changed = before !== after
    results.push({ file, changed })
    if (!changed) continue
    if (!check) replace(file, after)
    await out.text(check ? `${file} would be changed` : `${file} changed`)
  }
  const count = results.filter(({ changed }) => changed).length
  if (out.json) await out.document(results)
  else if (count === 0) await out.text(`${counted(files.length, 'file')} spelled right`)
  return check && count > 0 ? EXIT.failed : EXIT.ok
}

async function formatted({ io, out }: Call, name: string, text: string): Promise<string> {
  const [{ createSource }, { parse }, { format }, { renderDiagnostic }] = await Promise.all([
    import('../../config/source.ts'),
    import('../../config/parser.ts'),
    import('../../config/format.ts'),
    import('../../config/render.ts'),
  ])
  const source = createSource(name, text)
  const errors = parse(source).diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.length === 0) return format(source)
  for (const one of errors) {
    if (out.json) await out.warn(one.message, one)
    else await io.stderr.write(`${renderDiagnostic(one, source).trimEnd()}\n`)
  }
  throw invalid(name, errors)
}

/** Writes a file whole or not at all, with the rights that it had. */
function replace(file: string, text: string): void {
  const beside = `${file}.swarmbus-fmt`
  try {
    writeFileSync(beside, text, { mode: statSync(file).mode, flag: 'wx' })
    renameSync(beside, file)
  } catch (cause) {
    throw new CliError(EXIT.failed, `${file} cannot be written: ${(cause as Error).message}`, 'check its rights', {
      cause,
    })
  }
}
