import { BusError } from '../../kit/errors.ts'
import type { Gap } from '../log.ts'
import type { StoredGroup } from '../store.ts'
import type { Keys } from './keys.ts'
import type { Members } from './members.ts'
import type { Statements } from './statements.ts'
import type { Streams } from './streams.ts'
import { type Hole, type Survey, unknownHoles } from './survey.ts'

/** What a repair works on. */
export interface Repairable {
  readonly statements: Statements
  readonly streams: Streams
  readonly members: Members
  readonly keys: Keys
}

/** What a survey found that means lost messages, a sentence each; empty for none. */
export function lossesOf(survey: Survey): readonly string[] {
  return [
    ...(survey.markDamaged ? ['the file beside that tells how far the log had come is damaged in both halves'] : []),
    ...survey.badStreams.map(({ name }) => `the row of stream "${name}" is damaged`),
    ...survey.short.map(
      ({ stream, next, marked }) =>
        `stream "${stream}": offsets ${next} to ${marked - 1} were acknowledged and are not there`,
    ),
    ...survey.badGroups.map(
      ({ stream, group }) => `what group "${group}" of stream "${stream?.name ?? '?'}" had settled is damaged`,
    ),
    ...survey.lacking.map(
      ({ stream, found }) => `stream "${stream.name}" had ${stream.groups} groups, and ${found} are there`,
    ),
  ]
}

/** Throws DATA_LOSS naming streams and offsets, when the survey found losses. */
export function refuseLosses(file: string, survey: Survey): void {
  const losses = lossesOf(survey)
  if (losses.length === 0) return
  const shown = losses.slice(0, 5).join('; ')
  const more = losses.length > 5 ? `; and ${losses.length - 5} more` : ''
  throw new BusError(
    'DATA_LOSS',
    `${file}: ${shown}${more}. Restore the file from a copy, or accept the loss (\`swarmbus doctor ${file} --accept-loss\`, or the option acceptLoss)`,
    {
      details: {
        file,
        losses,
        ranges: survey.short.map(({ stream, next, marked }) => ({ stream, from: next, to: marked - 1 })),
      },
    },
  )
}

/**
 * Makes the file whole again with what is left: lost offsets become gaps and are never given out again, groups that cannot be trusted
 * begin anew (so their messages are handled once more, never lost). Inside a transaction. Gives back what was done.
 */
export function acceptLosses(on: Repairable, survey: Survey): readonly string[] {
  const { statements, streams, members } = on
  const done: string[] = []
  const marks = new Map(survey.short.map(({ stream, marked }) => [stream, marked]))
  for (const { n, name } of survey.badStreams) {
    const sql = `SELECT min(offset) AS first, max(offset) AS last, max(total) AS total, max(stored_at) AS newest FROM e_${n}`
    const row = statements.of(sql).get() as Record<'first' | 'last' | 'total' | 'newest', number | null>
    statements.of('DELETE FROM streams WHERE n = ?').run(n)
    const first = row.first ?? 1
    const next = Math.max((row.last ?? 0) + 1, marks.get(name) ?? 1)
    const groups = statements.of('SELECT count(*) AS size FROM groups WHERE stream = ?').get(n) as { size: number }
    // Its channel is its own number: repeats across the parts of this channel may be stored once more within the window.
    statements
      .of('INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)')
      .run(n, name, n, next, first, row.total ?? 0, 0, row.newest ?? 0, groups.size)
    streams.adopt({
      n,
      name,
      channel: n,
      next,
      first,
      total: row.total ?? 0,
      base: 0,
      newestAt: row.newest ?? 0,
      groups: groups.size,
    })
    if (row.last !== null && row.last + 1 < next) keepGap(on, n, row.last + 1, next - 1, 'lost')
    marks.delete(name)
    done.push(`stream "${name}": its row was made anew from its entries, ${first} to ${next - 1}`)
  }
  for (const [name, marked] of marks) {
    const known = streams.all.get(name)
    const stream = streams.open(name)
    keepGap(on, stream.n, stream.next, marked - 1, 'lost')
    done.push(`stream "${name}": offsets ${stream.next} to ${marked - 1} are a gap now`)
    if (known === undefined) stream.first = marked
    stream.next = marked
    streams.touch(stream)
  }
  for (const { n, stream, group } of survey.badGroups) {
    members.erase(n)
    if (stream === undefined) continue
    stream.groups--
    members.change(startOver(stream.name, group, stream.first))
    done.push(`group "${group}" of stream "${stream.name}" begins anew with ${stream.first}`)
  }
  for (const { stream, found } of survey.lacking) {
    stream.groups = found
    streams.touch(stream)
    done.push(`stream "${stream.name}" goes on with the ${found} groups that are there`)
  }
  if (survey.markDamaged) done.push('the mark was made anew')
  return done
}

function startOver(
  stream: string,
  group: string,
  first: number,
): StoredGroup & { readonly type: 'group'; readonly closed: readonly number[] } {
  const counts = { acked: 0, dead: 0, expired: 0, dropped: 0, skipped: 0 }
  return {
    type: 'group',
    stream,
    group,
    start: first,
    position: first,
    counts,
    done: [],
    open: [],
    closed: [],
    begun: [],
  }
}

/** Remembers a gap. */
export function keepGap(
  { statements }: Pick<Repairable, 'statements'>,
  stream: number,
  first: number,
  last: number,
  reason: 'damaged' | 'lost',
): void {
  statements.of('INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?)').run(stream, first, last, reason)
}

/** Remembers what no gap tells of yet. Gives back what was new. */
export function keepHoles(on: Pick<Repairable, 'statements'>, holes: readonly Hole[]): readonly Hole[] {
  const fresh = unknownHoles(on.statements, holes)
  for (const { stream, from, to, reason } of fresh) keepGap(on, stream.n, from, to, reason)
  return fresh
}

/** The gaps of a stream. */
export function gapsOf(statements: Statements, n: number, stream: string): readonly Gap[] {
  const sql = 'SELECT first, last, reason FROM gaps WHERE stream = ? ORDER BY first'
  const rows = statements.rows(sql).all(n) as readonly [number, number, string][]
  return rows.map(([first, last, reason]) => ({
    type: 'gap',
    stream,
    from: String(first),
    to: String(last),
    reason: reason === 'lost' ? 'lost' : 'damaged',
  }))
}
