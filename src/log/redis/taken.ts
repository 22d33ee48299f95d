import type { Clocks } from '../../message/restore.ts'
import type { ConsumeOptions } from '../log.ts'
import { storedAtOf, unpackMessage } from './codec.ts'
import type { HandOut } from './delivery.ts'

// Hot path: reads the answer of the script `take`.

/** The answer of a take. */
export interface Taken {
  /** Of the group; 0 when it has gone. */
  readonly id: number
  /** Milliseconds until something falls due by itself; -1 for never. */
  readonly wakeMs: number
  /** Offsets without an entry. */
  readonly bad: readonly number[]
  readonly out: readonly HandOut[]
}

/** Entries that lie one behind the other, as the stream has them: offset and token of the first one, then all of them. */
type Run = readonly [offset: number, token: number, page: readonly (readonly [Buffer, readonly Buffer[]])[]]

/** Where a group begins, as scripts take it. */
export function fromText(from: ConsumeOptions['from'] = 'first'): string {
  if (typeof from === 'string') return from
  return 'after' in from ? `a${from.after}` : `s${from.since}`
}

/** Reads it; a message that cannot be read is undefined. */
export function takenOf(reply: unknown, clocks: Clocks): Taken {
  const list = reply as readonly (number | Buffer | Run)[]
  const bad = String(list[2])
  const out: HandOut[] = []
  for (let at = 3; at < list.length; ) {
    const one = list[at++] as Buffer | Run
    if (!Buffer.isBuffer(one)) {
      readRun(one, out, clocks)
      continue
    }
    const line = one.toString()
    const bytes = list[at++] as Buffer
    const [offset, token, attempts, dueInMs, flags, storedAt] = line.split(',', 6) as [
      string,
      string,
      string,
      string,
      string,
      string,
    ]
    const note = +flags & 1 ? (list[at++] as Buffer).toString() : undefined
    out.push({
      offset: +offset,
      token: +token,
      run: 0,
      attempts: +attempts,
      dueInMs: +dueInMs,
      storedAt: +storedAt,
      note,
      suspect: (+flags & 2) !== 0,
      message: unpackMessage(bytes, clocks) as HandOut['message'],
    })
  }
  return {
    id: list[0] as number,
    wakeMs: list[1] as number,
    bad: bad === '' ? [] : bad.split(',').map(Number),
    out,
  }
}

function readRun([run, token, page]: Run, out: HandOut[], clocks: Clocks): void {
  for (let at = 0; at < page.length; at++) {
    const [, head, , message] = (page[at] as Run[2][number])[1] as readonly [Buffer, Buffer, Buffer, Buffer]
    out.push({
      offset: run + at,
      token: token + at,
      run,
      attempts: 0,
      dueInMs: 0,
      storedAt: storedAtOf(head),
      note: undefined,
      suspect: false,
      message: unpackMessage(message, clocks) as HandOut['message'],
    })
  }
}
