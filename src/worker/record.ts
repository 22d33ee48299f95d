import type { FailureReason } from '../bus/ack.ts'
import type { AttemptRecord, DeathReason } from '../bus/kept-verbs.ts'
import { describeThrown, isBusError } from '../kit/errors.ts'

/** Most attempts that a record keeps one by one; of more, the first and the newest. */
const MOST_ATTEMPTS = 50
/** Longest text of one error, in characters. */
const MOST_TEXT = 2_000

/** What the worker notes beside an entry of a log, as JSON. */
export interface Story {
  /** Failed handlings, oldest first. */
  readonly attempts: readonly AttemptRecord[]
  /** Only this group gets the entry: it was redriven. */
  readonly only?: string
  readonly redriven?: number
  /** The process whose publisher waits to hear how it ends. */
  readonly tell?: string
}

/** What is noted beside a dead letter. */
export interface DeadRecord extends Story {
  readonly group: string
  readonly stream: string
  readonly offset: string
  readonly reason: DeathReason
  readonly error: string
  readonly code?: string
  readonly diedAt: number
}

const NOTHING: Story = Object.freeze({ attempts: Object.freeze([]) })

/** Reads a note; one that is not ours says nothing. */
export function readStory(note: string | undefined): Story {
  if (note === undefined) return NOTHING
  try {
    const parsed = JSON.parse(note) as Partial<Story> | null
    if (typeof parsed !== 'object' || parsed === null || !Array.isArray(parsed.attempts)) return NOTHING
    return parsed as Story
  } catch {
    return NOTHING
  }
}

/** Reads the note of a dead letter; undefined when it is none of ours. */
export function readDeadRecord(note: string | undefined): DeadRecord | undefined {
  const record = readStory(note) as Partial<DeadRecord>
  return typeof record.group === 'string' && typeof record.reason === 'string' ? (record as DeadRecord) : undefined
}

export function writeStory(record: Story): string {
  return JSON.stringify(record)
}

/** The record with one more failed handling. */
export function withAttempt(record: Story, time: number, error: unknown): Story {
  const all = [...record.attempts, { time, error: textOf(error), code: codeOf(error) }]
  const attempts = all.length <= MOST_ATTEMPTS ? all : [all[0] as AttemptRecord, ...all.slice(2)]
  return { ...record, attempts }
}

/** A bounded text for anything thrown. Never throws. */
export function textOf(error: unknown): string {
  const text = describeThrown(error)
  return text.length <= MOST_TEXT ? text : `${text.slice(0, MOST_TEXT - 1)}…`
}

export function codeOf(error: unknown): string | undefined {
  if (isBusError(error)) return error.code
  try {
    const code = (error as { code?: unknown } | null | undefined)?.code
    return typeof code === 'string' ? code.slice(0, 100) : undefined
  } catch {
    return undefined
  }
}

/** What is noted of a message that died. */
export function deadRecord(
  where: Pick<DeadRecord, 'group' | 'stream' | 'offset' | 'reason' | 'diedAt'>,
  { attempts, redriven, tell }: Story,
  error: unknown,
): DeadRecord {
  const code = codeOf(error)
  return {
    ...where,
    attempts,
    error: textOf(error),
    ...(code === undefined ? {} : { code }),
    ...(redriven === undefined ? {} : { redriven }),
    ...(tell === undefined ? {} : { tell }),
  }
}

/** The reason of a dead letter for the reason of a failure. */
export function deathOf(reason: FailureReason): DeathReason {
  switch (reason) {
    case 'handler-error':
    case 'handler-timeout':
    case 'nacked':
    case 'expired':
    case 'cancelled':
    case 'queue-full':
      return reason
    case 'unregistered':
    case 'shutdown':
      return 'rejected'
    default:
      return reason satisfies never
  }
}
