import { existsSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Env } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import { mustBeDatabase, openEngine, openParts, wasClean } from './engine.ts'
import { storeError } from './faults.ts'
import { type Paths, pathsOf, takeLock } from './lock.ts'
import { readMark } from './mark.ts'
import type { ThreadOptions } from './protocol.ts'
import { gapsOf, lossesOf } from './repair.ts'
import type { Finding, Report, StreamReport } from './report.ts'
import { checkVersion } from './schema.ts'
import { type Hole, isDamage, type Survey, scan, surveyRows, unknownHoles } from './survey.ts'

/** Told how many entries have been compared, of how many. */
export type OnProgress = (checked: number, total: number) => void

/**
 * Looks at every page and every record of a file that nobody holds, changing nothing; with `acceptLoss`, then makes it whole with what
 * is left. Throws STORE_LOCKED, SCHEMA_TOO_NEW, and STORE_FAILED for a file that is none of swarmbus.
 */
export function inspect(options: ThreadOptions, env: Env, onProgress: OnProgress): Report {
  const paths = pathsOf(options.file)
  if (!existsSync(paths.file)) {
    const text = `${paths.file} does not exist`
    throw new BusError('STORE_FAILED', text, { details: { file: paths.file } })
  }
  const found = look(paths, options, env, onProgress)
  if (!options.acceptLoss || found.ok) return found
  const engine = openEngine(options, env, 'everything')
  const { repairs } = engine
  // Whether its last holder had closed it is for the next one to know.
  engine.close('as found')
  return { ...look(paths, options, env, onProgress), repairs }
}

function look(paths: Paths, options: ThreadOptions, env: Env, onProgress: OnProgress): Report {
  const lock = takeLock(paths, env.wallMs())
  // A reader of a WAL needs an index beside it; if it was not there, it goes again. Nobody else can be using it: the lock is held.
  const index = `${paths.file}-shm`
  const hadIndex = existsSync(index)
  let database: DatabaseSync | undefined
  try {
    mustBeDatabase(paths.file)
    database = new DatabaseSync(paths.file, { readOnly: true })
    return examine(database, paths, options, onProgress)
  } catch (error) {
    throw storeError(error, paths.file)
  } finally {
    database?.close()
    if (!hadIndex) rmSync(index, { force: true })
    lock.release()
  }
}

function examine(database: DatabaseSync, paths: Paths, options: ThreadOptions, onProgress: OnProgress): Report {
  const { file } = paths
  const version = checkVersion(database, file)
  const findings: Finding[] = []
  const report = { file, version: version ?? 0, findings, repairs: [] }
  if (version === undefined || version === 0) {
    const mark = readMark(paths.mark)
    if (mark !== undefined && mark !== 'damaged') {
      for (const [stream, next] of mark) if (next > 1) findings.push(shortOf(stream, 1, next))
    }
    return { ...report, ok: findings.length === 0, clean: true, streams: [], entries: 0, bytes: 0 }
  }
  for (const text of faultsOfPages(database)) findings.push({ type: 'database', text, known: false })
  const { statements, streams, members } = openParts(database, options)
  let survey: Survey
  try {
    survey = surveyRows(streams, members, readMark(paths.mark))
  } catch (error) {
    if (!isDamage(error)) throw error
    const text = 'the tables that tell of streams and groups cannot be read; restore the file from a copy'
    findings.push({ type: 'database', text, known: false })
    return { ...report, ok: false, clean: false, streams: [], entries: 0, bytes: 0 }
  }
  findings.push(...findingsOf(survey))
  const all = [...streams.all.values()]
  const total = all.reduce((sum, stream) => sum + stream.next - stream.first, 0)
  let checked = 0
  const reports: StreamReport[] = []
  for (const stream of all) {
    const { holes, good } = scan(statements, stream, stream.first, (rows) => {
      checked += rows
      onProgress(Math.min(checked, total), total)
    })
    for (const hole of unknownHoles(statements, holes)) findings.push(holeOf(hole))
    for (const { from, to, reason } of gapsOf(statements, stream.n, stream.name)) {
      const text = `stream "${stream.name}": offsets ${from} to ${to} are a known gap (${reason})`
      findings.push({ type: 'missing', text, stream: stream.name, from: Number(from), to: Number(to), known: true })
    }
    reports.push({
      stream: stream.name,
      first: stream.first,
      next: stream.next,
      good,
      bytes: stream.total - stream.base,
      groups: survey.groups
        .filter((group) => group.stream === stream.name)
        .map(({ group, position, open }) => ({ group, position, open: open.length })),
    })
  }
  return {
    ...report,
    ok: findings.every((finding) => finding.known),
    clean: wasClean(statements),
    streams: reports,
    entries: reports.reduce((sum, { good }) => sum + good, 0),
    bytes: reports.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

/** Most faults of pages that are listed. */
const MOST_FAULTS = 100

function faultsOfPages(database: DatabaseSync): readonly string[] {
  try {
    const rows = database.prepare(`PRAGMA integrity_check(${MOST_FAULTS})`).all() as { integrity_check: string }[]
    return rows.map((row) => row.integrity_check).filter((text) => text !== 'ok')
  } catch (error) {
    if (!isDamage(error)) throw error
    return [`the pages of the database cannot be walked: ${(error as Error).message}`]
  }
}

function shortOf(stream: string, next: number, marked: number): Finding {
  const text = `stream "${stream}": offsets ${next} to ${marked - 1} were acknowledged and are not there`
  return { type: 'missing', text, stream, from: next, to: marked - 1, known: false }
}

function findingsOf(survey: Survey): readonly Finding[] {
  const short = survey.short.map(({ stream, next, marked }) => shortOf(stream, next, marked))
  const listed = (type: Finding['type'], of: Partial<Survey>): readonly Finding[] =>
    lossesOf({ ...NOTHING, ...of }).map((text) => ({ type, text, known: false }))
  return [
    ...listed('mark', { markDamaged: survey.markDamaged }),
    ...listed('stream', { badStreams: survey.badStreams }),
    ...short,
    ...listed('group', { badGroups: survey.badGroups, lacking: survey.lacking }),
  ]
}

const NOTHING: Survey = { badStreams: [], badGroups: [], lacking: [], short: [], markDamaged: false, groups: [] }

function holeOf({ stream, from, to, reason }: Hole): Finding {
  const what = reason === 'damaged' ? 'do not fit their checksums' : 'are missing'
  const text = `stream "${stream.name}": offsets ${from} to ${to} ${what}`
  return { type: reason === 'damaged' ? 'entry' : 'missing', text, stream: stream.name, from, to, known: false }
}
