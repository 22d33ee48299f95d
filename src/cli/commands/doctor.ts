import { Command } from 'commander'
import type { Report } from '../../log/sqlite/report.ts'
import type { Act, Call } from '../call.ts'
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

Looking changes nothing. Exit code 0: sound, 4: damage found. Copy the file before --accept-loss.`

/** `swarmbus doctor FILE`: looks at every record of a file. */
export function doctorCommand(act: Act): Command {
  return new Command('doctor')
    .description('look at every page and record of a file, and with --accept-loss make it whole with what is left')
    .argument('<file>', 'the file of the log', parseText)
    .option('--accept-loss', 'then make it whole: what is lost becomes a gap')
    .addHelpText('after', EXAMPLES)
    .action(act(doctor))
}

async function doctor(call: Call, given: string, options: Options): Promise<number> {
  const { inspectFile } = await import('../../log/sqlite/integrity.ts')
  const { mustExist } = await import('../open.ts')
  const { sqliteFile } = await import('../../node/url.ts')
  const { out } = call
  const file = sqliteFile(given) || given
  mustExist(file)
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
