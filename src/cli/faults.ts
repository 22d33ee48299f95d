import { describeThrown, type ErrorCode, isBusError } from '../kit/errors.ts'

/** The exit codes of the program; docs/cli.md lists them. */
export const EXIT = { ok: 0, failed: 1, usage: 2, locked: 3, damaged: 4, interrupted: 130 } as const

/** A fault of the program itself: what happened, what to do next, and how the process ends. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number
  readonly next: string

  constructor(exitCode: number, message: string, next: string, options: ErrorOptions = {}) {
    super(message, options)
    this.exitCode = exitCode
    this.next = next
  }
}

/** What is told of anything thrown. */
export interface Fault {
  /** A code of docs/errors.md; `USAGE` and `FAILED` are the program's own. */
  readonly code: ErrorCode | 'USAGE' | 'FAILED'
  readonly message: string
  readonly next: string
  readonly exitCode: number
}

const USAGE: ReadonlySet<ErrorCode> = new Set(['INVALID_OPTION', 'INVALID_TOPIC', 'INVALID_MESSAGE', 'UNSUPPORTED'])

/** What to do next, where the table of errors speaks to a program and not to a person at a terminal. */
const NEXT: Partial<Record<ErrorCode, string>> = {
  INVALID_OPTION: 'see `swarmbus help COMMAND` for what is allowed',
  INVALID_TOPIC: 'topics are tokens joined by dots; patterns may have * for one token and a last > for the rest',
  UNSUPPORTED:
    'name another log: --file FILE, or --url redis://HOST or nats://HOST; a broker needs its client beside swarmbus',
  BROKER_UNREACHABLE: 'check the address and that the server runs, then call again: nothing was done',
  BROKER_TIMEOUT: 'look what was done, then call again; a publish with the same --id is kept once',
  BROKER_REFUSED:
    'change what is named above (password, right, setting); `swarmbus doctor --url URL` shows what the server can promise',
  INVALID_PAYLOAD: 'send plain JSON or text',
  PAYLOAD_TOO_LARGE: 'send a reference to the data instead',
  CONFIG_INVALID: 'mend what is named above; `swarmbus check` shows what can be seen without running anything',
  START_FAILED: 'mend what is named above; --debug shows where it comes from, --start-timeout gives a slow one longer',
  UNKNOWN_DEAD_LETTER: 'list them with `swarmbus dead-letters list`; it may have been redriven or discarded meanwhile',
}

/** SQLite's code for a damaged file: https://sqlite.org/rescode.html#corrupt */
const CORRUPT = 11

/** What to tell of anything thrown, and which exit code it means. Never throws. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof CliError) {
    const { message, next, exitCode } = thrown
    return { code: exitCode === EXIT.usage ? 'USAGE' : 'FAILED', message, next, exitCode }
  }
  if (isBusError(thrown)) {
    const { code, message, details } = thrown
    const next = NEXT[code] ?? thrown.next
    const errcode = typeof details.errcode === 'number' ? details.errcode & 0xff : 0
    const damaged = code === 'DATA_LOSS' || (code === 'STORE_FAILED' && errcode === CORRUPT)
    const exitCode =
      code === 'STORE_LOCKED' ? EXIT.locked : damaged ? EXIT.damaged : USAGE.has(code) ? EXIT.usage : EXIT.failed
    return { code, message, next, exitCode }
  }
  const next = 'run it again with --debug for the details; if it looks like a fault of swarmbus, report it with them'
  return { code: 'FAILED', message: describeThrown(thrown), next, exitCode: EXIT.failed }
}

/** The stack of an error with those of its causes, for --debug. */
export function stackOf(thrown: unknown): string {
  const parts: string[] = []
  for (let error = thrown; error !== undefined && parts.length < 10; ) {
    parts.push(error instanceof Error ? (error.stack ?? error.message) : describeThrown(error))
    error = error instanceof Error ? error.cause : undefined
  }
  return parts.join('\ncaused by: ')
}
