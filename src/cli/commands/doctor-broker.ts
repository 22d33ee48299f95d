import type { Gap } from '../../log/log.ts'
import { openLog } from '../../node/backends.ts'
import { type BrokerProof, proveBroker } from '../../node/proof.ts'
import { masked } from '../../node/url.ts'
import { type Call, exitOf, type Stop } from '../call.ts'
import { EXIT } from '../faults.ts'
import { bytesText, counted, oneLine } from '../text.ts'

/** What was found by reading every stream. */
interface Found {
  readonly streams: number
  readonly entries: number
  readonly bytes: number
  /** Holes that are not from retention. */
  readonly gaps: readonly Gap[]
}

/** What a broker can promise and why, and whether what it keeps is whole. Resolves to an exit code. */
export async function doctorBroker(call: Call, url: string): Promise<number> {
  const { out, io } = call
  const proof = await proveBroker(url, { env: io.clock })
  const shown = masked(url)
  if (!out.json) await tellProof(call, shown, proof)
  const stop = call.stop()
  const found = proof.refused === undefined ? await readAll(call, url, stop) : undefined
  const { kind, version, level, reasons, more, refused } = proof
  const ok = refused === undefined && found?.gaps.length === 0
  if (out.json) {
    const why = refused === undefined ? {} : { refused: { code: refused.code, message: refused.message } }
    const read = { ...found, interrupted: stop.interrupted() }
    await out.document({ url: shown, kind, version, level, settings: reasons, more, ok, ...why, ...read })
  } else if (found !== undefined) await tellFound(call, found)
  if (stop.interrupted()) return exitOf(stop)
  if (refused !== undefined) return EXIT.failed
  return ok ? EXIT.ok : EXIT.damaged
}

async function tellProof(
  { out }: Call,
  url: string,
  { kind, version, level, reasons, more, refused }: BrokerProof,
): Promise<void> {
  const server = `${kind} ${version}`.trim()
  const verdict =
    refused === undefined
      ? out.look('green', `level ${level}`)
      : out.look('red', 'it cannot keep messages as it is set up')
  await out.text(`${oneLine(url)}: ${verdict} (${oneLine(server)})`)
  await out.table(
    [{ title: 'SETTING', look: 'cyan' }, { title: 'VALUE' }, { title: 'WHAT IT MEANS', gives: true }],
    reasons.map(({ setting, value, says }) => [setting, value, says]),
  )
  if (refused !== undefined) await out.text(`${out.look('red', 'refused')}   ${oneLine(refused.message)}`)
  for (const text of more) await out.text(`${out.look('dim', 'for more:')} ${text}`)
}

async function tellFound({ out }: Call, { streams, entries, bytes, gaps }: Found): Promise<void> {
  const sum = `${counted(entries, 'entry', 'entries')} in ${counted(streams, 'stream')}, ${bytesText(bytes)}`
  await out.text(
    `${sum}: ${gaps.length === 0 ? out.look('green', 'no holes') : out.look('red', counted(gaps.length, 'hole'))}`,
  )
  for (const { stream, from, to, reason } of gaps) {
    await out.text(`${out.look('red', 'damage')}  ${oneLine(`"${stream}" lacks ${from} to ${to}: ${reason}`)}`)
  }
}

async function readAll(call: Call, url: string, stop: Stop): Promise<Found> {
  const { io, out } = call
  await using log = await (io.openLog ?? openLog)(url, { env: io.clock })
  const streams = await log.streams()
  const total = streams.reduce((sum, { count }) => sum + count, 0)
  const gaps: Gap[] = []
  let entries = 0
  for (const { stream } of streams) {
    for await (const one of log.read(stream, { signal: stop.signal })) {
      if (one.type === 'gap') gaps.push(one)
      else entries++
      out.progress(`${entries} of ${total} entries read`)
    }
  }
  const bytes = streams.reduce((sum, one) => sum + one.bytes, 0)
  return { streams: streams.length, entries, bytes, gaps: gaps.filter(({ reason }) => reason !== 'trimmed') }
}
