import type { Clocks } from '../../message/restore.ts'
import type { ConsumeOptions } from '../log.ts'
import { unpackMessage } from './codec.ts'
import type { HandOut } from './delivery.ts'

// Hot path: reads the answer of the script `take`.

/** The answer of a take. */
export interface Taken {
  /** Of the group; 0 when it has gone. */
  readonly id: number
  /** Milliseconds until something falls due by itself; -1 for never. */
  readonly wakeMs: number
  readonly deaths: number
  /** Offsets without an entry. */
  readonly bad: readonly number[]
  readonly out: readonly (Omit<HandOut, 'message'> & { readonly message: HandOut['message'] })[]
}

/** Where a group begins, as scripts take it. */
export function fromText(from: ConsumeOptions['from'] = 'first'): string {
  if (typeof from === 'string') return from
  return 'after' in from ? `a${from.after}` : `s${from.since}`
}

/** Reads it; a message that cannot be read is undefined. */
export function takenOf(reply: unknown, clocks: Clocks): Taken {
  const list = reply as readonly (number | Buffer)[]
  const bad = String(list[3])
  const out: HandOut[] = []
  for (let at = 4; at < list.length; ) {
    const line = (list[at++] as Buffer).toString()
    const bytes = list[at++] as Buffer
    const [offset, token, attempts, dueInMs, hasNote, storedAt] = line.split(',', 6) as [
      string,
      string,
      string,
      string,
      string,
      string,
    ]
    const note = hasNote === '1' ? (list[at++] as Buffer).toString() : undefined
    out.push({
      ...{ offset: +offset, token: +token, attempts: +attempts, dueInMs: +dueInMs, storedAt: +storedAt, note },
      message: unpackMessage(bytes, clocks) as HandOut['message'],
    })
  }
  return {
    id: list[0] as number,
    wakeMs: list[1] as number,
    deaths: list[2] as number,
    bad: bad === '' ? [] : bad.split(',').map(Number),
    out,
  }
}
