import type { MessageId } from '../message/ids.ts'
import { timeOfId } from '../message/ids.ts'
import type { Missing, Step } from './step.ts'

/** Milliseconds by which the clock of whoever made an id may be ahead of the one that wrote the journal. */
const SLACK_MS = 60_000

/** One handling on the way of a message. */
export interface Hop {
  readonly id: MessageId
  readonly topic: string
  /** The agent that sent the message. */
  readonly from: string | undefined
  /** The agent or subscription that handled it. */
  readonly to: string
  /** Wall-clock milliseconds. */
  readonly startedAt: number | undefined
  readonly endedAt: number
  readonly outcome: 'handled' | 'failed' | 'retried'
}

/** Reads the records stored at or after a wall-clock time. */
export type ReadRecords = (since: number | undefined) => AsyncIterable<Step | Missing>

/** The steps of one message, in the order of their times. */
export async function traceOf(read: ReadRecords, id: string): Promise<readonly Step[]> {
  return stepsOf(read, id, (step) => step.id === id)
}

/** The steps of every message that one task caused, in the order of their times. */
export async function timelineOf(read: ReadRecords, rootId: string): Promise<readonly Step[]> {
  return stepsOf(read, rootId, (step) => step.rootId === rootId)
}

/** The handlings of a message and of those that led to it, root first. */
export async function pathTo(read: ReadRecords, id: string): Promise<readonly Hop[]> {
  const [own] = await traceOf(read, id)
  if (own === undefined) return []
  const steps = own.rootId === id ? await traceOf(read, id) : await timelineOf(read, own.rootId)
  const known = new Map(steps.map((step) => [step.id as string, step]))
  const chain: string[] = []
  for (let at: string | undefined = id; at !== undefined && !chain.includes(at); at = known.get(at)?.causationId) {
    chain.push(at)
  }
  return chain.reverse().flatMap((one) => steps.filter((step) => step.id === one).flatMap(hopOf))
}

function hopOf({ event, id, topic, from, name, startedAt, time }: Step): readonly Hop[] {
  if (event !== 'handled' && event !== 'failed' && event !== 'retried') return []
  return [{ id, topic, from, to: name ?? '', startedAt, endedAt: time, outcome: event }]
}

/** An id holds the time of its making, before which nothing can have happened to it; one that lies is searched for everywhere. */
async function stepsOf(read: ReadRecords, id: string, fits: (step: Step) => boolean): Promise<readonly Step[]> {
  const madeAt = timeOfId(id as MessageId)
  const since = Number.isSafeInteger(madeAt) ? Math.max(0, madeAt - SLACK_MS) : undefined
  const found = await collect(read(since), fits)
  return found.length > 0 || since === undefined ? found : collect(read(undefined), fits)
}

async function collect(
  records: AsyncIterable<Step | Missing>,
  fits: (step: Step) => boolean,
): Promise<readonly Step[]> {
  const steps: Step[] = []
  for await (const record of records) if (record.event !== 'missing' && fits(record)) steps.push(record)
  // Sorting is stable: what happened in the same millisecond stays in the order in which it was told.
  return steps.sort((a, b) => a.time - b.time)
}
