// Reads one task: `critical 30s: Production is down: fix auth`, or a JSON object. Says what is wrong with anything else.

import { isPriority, PRIORITIES, type Priority, priorityFrom } from 'swarmbus'
import { isTradeWord } from './work.ts'

/** What somebody wants done. */
export interface Task {
  readonly text: string
  readonly priority: Priority
  /** Milliseconds from now; undefined for no deadline. */
  readonly deadlineMs: number | undefined
  /** Tasks of one session are done one after another. */
  readonly session: string | undefined
}

/** The input is no task; the message says what to do. */
export class BadInput extends Error {}

const NAMES = PRIORITIES.join(', ')
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const LONGEST_MS = 24 * 3_600_000
// Control characters, and those that turn the direction of writing: they could make a terminal show something else.
const UNPRINTABLE = /[\p{Cc}\u{2028}\u{2029}\u{202a}-\u{202e}\u{2066}-\u{2069}]/u

/** Parses one line or argument. Throws BadInput. */
export function parseTask(input: string): Task {
  const line = input.replaceAll('\t', ' ').trim()
  if (line === '') throw new BadInput('it is empty; write a task, such as "fix the login page"')
  mustBePrintable(line)
  return line.startsWith('{') ? fromJson(line) : fromText(line)
}

function fromText(line: string): Task {
  const [, head = '', rest = ''] = /^([^:]{1,40}):(.*)$/su.exec(line) ?? []
  const [word = '', time, ...more] = head.trim().split(/\s+/)
  if (more.length > 0 || head === '') return task(line)
  const onlyTime = time === undefined && /^\d/.test(word)
  const level = word.toLowerCase()
  if (onlyTime) return task(rest, 'normal', durationMs(word))
  if (isPriority(level) && (time === undefined || /^\d/.test(time))) {
    return task(rest, level, time === undefined ? undefined : durationMs(time))
  }
  const looksLikeLevel =
    time === undefined
      ? !isTradeWord(word) && /^\p{L}+$/u.test(word) && !rest.startsWith('/')
      : /^\d+[a-z]*$/i.test(time)
  if (looksLikeLevel)
    throw new BadInput(unknownPriority(word, `, or "normal: ${shortened(line)}" if the word belongs to the task`))
  return task(line)
}

function fromJson(line: string): Task {
  let given: unknown
  try {
    given = JSON.parse(line)
  } catch (error) {
    throw new BadInput(
      `it begins with "{" but is no JSON (${shortened((error as Error).message, 60)}); mend it, or write plain text`,
    )
  }
  const fields = given as Record<string, unknown>
  const { task: text, priority = 'normal', deadlineMs, session, ...others } = fields
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) {
    throw new BadInput(`there is no field "${shortened(unknown)}"; there are: task, priority, deadlineMs, session`)
  }
  if (typeof text !== 'string') throw new BadInput('"task" must be a text, as in {"task":"fix auth"}')
  mustBePrintable(text)
  if (typeof priority !== 'string' || !isPriority(priority)) throw new BadInput(unknownPriority(String(priority), ''))
  if (
    deadlineMs !== undefined &&
    !(Number.isSafeInteger(deadlineMs) && (deadlineMs as number) >= 1 && (deadlineMs as number) <= LONGEST_MS)
  ) {
    throw new BadInput(`"deadlineMs" must be a whole number of milliseconds from 1 to ${LONGEST_MS} (a day)`)
  }
  if (session !== undefined && (typeof session !== 'string' || session === ''))
    throw new BadInput('"session" must be a text that is not empty')
  if (session !== undefined) mustBePrintable(session as string)
  return task(text, priority, deadlineMs as number | undefined, session as string | undefined)
}

function task(given: string, priority: Priority = 'normal', deadlineMs?: number, session?: string): Task {
  const text = given.trim()
  if (text === '') throw new BadInput('there is no task after the prefix; write one, as in "critical 30s: fix auth"')
  return { text, priority, deadlineMs, session }
}

function durationMs(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/i.exec(text) ?? []
  const ms = Math.round(Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN))
  if (digits !== '' && ms >= 1 && ms <= LONGEST_MS) return ms
  throw new BadInput(
    `"${shortened(text)}" is no deadline; write a number with ms, s, m or h, at most a day, as in "critical 30s: fix auth"`,
  )
}

function unknownPriority(word: string, or: string): string {
  const near = priorityFrom(word)
  const hint = near === 'normal' ? '' : `; "${near}" comes near`
  return `"${shortened(word)}" is no priority; the five are ${NAMES}${hint}; write one of them${or}`
}

function mustBePrintable(text: string): void {
  const found = UNPRINTABLE.exec(text)
  if (found === null) return
  const code = found[0].codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
  throw new BadInput(`character ${found.index + 1} is U+${code}, a control character; remove it`)
}

/** At most `most` characters, so that a message stays a message; nothing that a terminal would obey. */
function shortened(text: string, most: number = 40): string {
  const safe = text.replace(new RegExp(UNPRINTABLE, 'gu'), '�')
  return safe.length > most ? `${safe.slice(0, most - 1)}…` : safe
}
