import { Command } from 'commander'
import type { Report } from '../../log/sqlite/report.ts'
import { type Act, type Call, usage } from '../call.ts'
import { EXIT } from '../faults.ts'
import { parseText } from '../parse.ts'
import { bytesText, counted, oneLine } from '../text.ts'

interface Options {
  readonly acceptLoss?: boolean
}

const EXAMPLES = `
Examples:
  $ swarmbus doctor swarm.db
  $ swarmbus doctor swarm.db --accept-loss             # go on with what is left: losses become gaps
  $ swarmbus doctor redis://localhost:6379             # what it can promise, why, and what to change for more

Looking changes nothing. Exit code 0: sound, 1: the broker cannot keep messages as it is set up, 4: damage found. Copy the file
before --accept-loss.`

/** `swarmbus doctor`: looks at every record of a log, and at what its broker can promise. */
export function doctorCommand(act: Act): Command {
  return new Command('doctor')
    .description('look at every record of a log, and say what a broker can promise; --accept-loss makes a file whole')
    .argument('[log]', 'the file or the url of the log; default: --file, --url or SWARMBUS_URL', parseText)
    .option('--accept-loss', 'then make it whole: what is lost becomes a gap')
    .addHelpText('after', EXAMPLES)
    .action(act(doctor))
}

async function doctor(call: Call, given: string | undefined, options: Options): Promise<number> {
  const { mustExist, urlOf } = await import('../open.ts')
  const { backendOf, readBackendUrl, sqliteFile } = await import('../../node/url.ts')
  const { file: named, url } = call.options
  if (given !== undefined && (named ?? url) !== undefined) {
    throw usage(`${named === undefined ? '--url' : '--file'} names a second log`, 'give one of them')
  }
  // A name without a scheme is a file.
  const log = given?.startsWith('memory:') ? urlOf({ url: given }, {}) : (given ?? urlOf(call.options, call.io.env))
  const kind = backendOf(readBackendUrl(log).scheme)
  if (kind === 'redis' || kind === 'nats') {
    if (options.acceptLoss) throw usage('--accept-loss is for a file', 'what a broker lacks stays a gap by itself')
    const { doctorBroker } = await import('./doctor-broker.ts')
    return doctorBroker(call, log)
  }
  const file = sqliteFile(log) || log
  mustExist(file)
  return doctorFile(call, file, options)
}

async function doctorFile(call: Call, file: string, options: Options): Promise<number> {
  const { inspectFile } = await import('../../log/sqlite/integrity.ts')
  const { out } = call
  const report = await inspectFile(file, {
    acceptLoss: options.acceptLoss === true,
    onProgress: (checked, total) =>
      out.progress(`${checked} of ${total} entries checked (${Math.floor((100 * checked) / Math.max(1, total))} %)`),
  })
  if (out.json) await out.document(report)
  else await tell(call, report)
  return report.ok ? EXIT.ok : EXIT.damaged
}

async function tell({ out }: Call, report: Report): Promise<void> {
  const { file, ok, clean, entries, bytes, streams, findings, repairs } = report
  const fresh = findings.filter((finding) => !finding.known)
  const known = findings.filter((finding) => finding.known)
  const verdict = ok ? out.look('green', 'sound') : out.look('red', `damaged: ${counted(fresh.length, 'finding')}`)
  await out.text(`${oneLine(file)}: ${verdict}`)
  const sum = `${counted(entries, 'entry', 'entries')} in ${counted(streams.length, 'stream')}, ${bytesText(bytes)}`
  await out.text(
    `${sum}; ${clean ? 'closed in order' : 'not closed in order (its process was killed); nothing is lost by that'}`,
  )
  for (const { text } of fresh) await out.text(`${out.look('red', 'damage')}  ${oneLine(text)}`)
  for (const { text } of known) await out.text(`${out.look('yellow', 'known')}   ${oneLine(text)}`)
  for (const text of repairs) await out.text(`${out.look('green', 'mended')}  ${oneLine(text)}`)
  if (!ok) {
    const next = `restore the file from a copy, or go on with what is left: swarmbus doctor ${oneLine(file)} --accept-loss`
    await out.text(`${out.look('dim', 'next:')} ${next}`)
  }
}
