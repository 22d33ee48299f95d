import type { FailureReason } from '../bus/ack.ts'
import { describeThrown, type ErrorCode, isBusError } from '../kit/errors.ts'

/**
 * What becomes of a message that was not handled. `retry`: handed out again while its channel has attempts left, then dead-lettered.
 * `dead-letter`: kept aside at once, because repeating it is pointless. `drop`: counted, and gone.
 */
export type Verdict = 'retry' | 'dead-letter' | 'drop'

/** A row of the tables: the verdict, and why. */
export interface VerdictRow {
  /** For a kept message: nobody else knows of its failure, so nothing is dropped unless it was asked for. */
  readonly kept: Verdict
  /** For a call whose caller waits and is told the error: nothing is kept for a caller that knows. */
  readonly call: 'retry' | 'drop'
  readonly why: string
}

const again = (why: string): VerdictRow => ({ kept: 'retry', call: 'retry', why })
const pointless = (why: string): VerdictRow => ({ kept: 'dead-letter', call: 'drop', why })
/** Worth another try of a kept message, while a caller rather hears of it at once. */
const notForCalls = (why: string): VerdictRow => ({ kept: 'retry', call: 'drop', why })

/** What each error that a handler may throw means for the message it was handling. The only place where this is decided. */
export const ERROR_VERDICTS: Readonly<Record<ErrorCode, VerdictRow>> = {
  // The same input fails in the same way.
  INVALID_OPTION: pointless('the fault is in the code; it does not mend itself'),
  CONFIG_INVALID: pointless('the fault is in the file; it does not mend itself'),
  INVALID_TOPIC: pointless('the same name breaks the grammar again'),
  INVALID_MESSAGE: pointless('the same field is wrong again'),
  INVALID_PAYLOAD: pointless('the same data cannot be sent again'),
  PAYLOAD_TOO_LARGE: pointless('the same data is too large again'),
  SCHEMA_MISMATCH: pointless('the same data does not fit again'),
  DECODE_FAILED: pointless('the same bytes cannot be read again'),
  HOP_LIMIT: pointless('the chain only gets longer'),
  REQUEST_CYCLE: pointless('the same chain makes the same cycle'),
  UNSUPPORTED: pointless('a backend does not learn'),
  UNKNOWN_SUBSCRIPTION: pointless('an id that ended does not come back'),
  UNKNOWN_DEAD_LETTER: pointless('a dead letter that has gone does not come back'),
  SESSION_ENDED: pointless('a closed session stays closed until someone opens it'),
  SCHEMA_TOO_NEW: pointless('it needs another version of the program'),
  DATA_LOSS: pointless('a person must decide'),
  PIPE_FAILED: pointless('nothing passes a pipe that fails until somebody has looked'),
  ROUTE_FAILED: pointless('the route is wrong until it is mended'),
  START_FAILED: pointless('the fault is in the set-up; it does not mend itself'),

  // Asked for, or past.
  CANCELLED: pointless('the caller gave up'),
  MESSAGE_EXPIRED: pointless('its time is over, and time does not go back'),

  // Somebody is not there: a caller is told at once; a kept message may wait for an agent that restarts.
  UNKNOWN_AGENT: notForCalls('the agent may register yet'),
  NO_RESPONDERS: notForCalls('a responder may come yet'),
  PROCESS_LOST: again('another process may do it, or the same one when it is back'),
  CIRCUIT_OPEN: notForCalls('refused while the circuit rests; a kept message waits, it is never dropped'),
  BUS_CLOSED: notForCalls('the bus ended below the handler; another process, or the next start, handles it'),
  NOT_RUNNING: notForCalls('the bus stops below the handler; another process, or the next start, handles it'),

  // Passing states.
  HANDLER_FAILED: again('a handler asked by this one may succeed next time'),
  HANDLER_TIMEOUT: again('it may be faster next time'),
  REQUEST_TIMEOUT: again('the answer may come next time'),
  RECEIVE_TIMEOUT: again('a message may come next time'),
  STREAM_TIMEOUT: again('the producer may be faster next time'),
  STREAM_FULL: again('its reader may have caught up'),
  STREAM_GAP: again('a new stream begins whole'),
  STREAM_CLOSED: again('another attempt opens another stream'),
  STREAM_CHECKSUM: again('the damage was on the way'),
  MESSAGE_DROPPED: again('the other queue may have room next time'),
  QUEUE_FULL: again('the queue may have room next time'),
  RATE_LIMITED: again('there will be a permit'),
  BULKHEAD_FULL: again('a call will end'),
  VERSION_CONFLICT: again('handled anew, the value is read anew'),
  BLACKBOARD_FULL: again('a key may have been deleted'),
  AGENT_EXISTS: again('the holder of the name may go'),
  SUBSCRIPTION_ENDED: again('the receiver may subscribe anew'),
  STORE_FULL: again('there may be room next time'),
  STORE_FAILED: again('the store may work next time'),
  STORE_LOCKED: again('its holder may end'),
  LEASE_LOST: again('whoever has the message now goes on with it'),
  BROKER_UNREACHABLE: again('the broker may be back'),
  BROKER_TIMEOUT: again('the broker may answer next time'),
  BROKER_REFUSED: again('the setting may be mended by then'),
  PUBLISH_UNKNOWN: again('published again with the same id, it is stored once'),
}

/** What each end of a delivery means; `error`: the table of errors decides. */
export const REASON_VERDICTS: Readonly<Record<FailureReason, 'error' | VerdictRow>> = {
  'handler-error': 'error',
  'handler-timeout': again('it may be faster next time'),
  nacked: again('the handler asked for it'),
  expired: pointless('its time is over; expiry always leaves a record'),
  'queue-full': pointless('the overflow policy gave it up; that leaves a record'),
  unregistered: notForCalls('another member of the group, or the next one, handles it'),
  cancelled: { kept: 'drop', call: 'drop', why: 'nobody needs it any more: this is what was asked for' },
  shutdown: notForCalls('another process, or the next start, handles it'),
}

/** An error that says itself whether another attempt makes sense: its word wins over the table. */
export interface Retryable {
  readonly retryable: true
}

/** An error that says itself that another attempt is pointless. */
export interface NotRetryable {
  readonly retryable: false
}

/** How a verdict is reached. */
export interface VerdictOptions {
  /** `kept` (default): the message lies in a log. `call`: a caller waits for the outcome and is told the error. */
  readonly mode?: 'kept' | 'call'
  /**
   * True: retry. False: not. Undefined: the error's own `retryable`, then the table, decide. Only asked what a handler's error means;
   * whatever it throws counts as undefined.
   */
  readonly when?: ((error: unknown) => boolean | undefined) | undefined
}

/**
 * What an error means for the message that was being handled. In this order: the reason, unless it is the handler's error or time limit;
 * `when`; a `retryable` property of the error; the tables. What is not a `BusError` is retried: nothing is known of it.
 * Without a reason the error is taken for the handler's. Never throws, whatever was thrown.
 */
export function verdict(error: unknown, reason?: FailureReason, options: VerdictOptions = {}): Verdict {
  const { mode = 'kept' } = options
  const byReason = REASON_VERDICTS[reason ?? 'handler-error']
  if (byReason !== 'error' && reason !== 'handler-timeout') return byReason[mode]
  const said = asked(options.when, error) ?? markOf(error)
  if (said !== undefined) return said ? 'retry' : mode === 'kept' ? 'dead-letter' : 'drop'
  if (byReason !== 'error') return byReason[mode]
  return isBusError(error) ? ERROR_VERDICTS[error.code][mode] : 'retry'
}

/**
 * False when the failure says nothing about the message, so it takes none of its attempts: the process ended, the receiver went, or
 * a middleware refused the call before the handler began (`details.started` is false: open circuit, rate limit, full bulkhead).
 */
export function countsAsAttempt(error: unknown, reason?: FailureReason): boolean {
  if (reason === 'shutdown' || reason === 'unregistered') return false
  if (!isBusError(error)) return true
  if (error.code === 'BUS_CLOSED' || error.code === 'NOT_RUNNING') return false
  return error.details.started !== false
}

/** Milliseconds that an error asks to wait (`details.leftMs` of an open circuit or a rate limit); 0 for all others. */
export function leftMsOf(error: unknown): number {
  const leftMs = isBusError(error) ? error.details.leftMs : 0
  return typeof leftMs === 'number' && leftMs > 0 && leftMs < Number.POSITIVE_INFINITY ? leftMs : 0
}

/** True for a result that reports a failure: an object whose `success` is false. Never throws. */
export function isFailedResult(result: unknown): boolean {
  try {
    return typeof result === 'object' && result !== null && (result as { success?: unknown }).success === false
  } catch {
    // A revoked Proxy throws at every question.
    return false
  }
}

/** Marks an error as worth another attempt. An `Error` is marked itself; anything else becomes the cause of a new one. */
export function retryable(thrown: unknown): Error & Retryable {
  return marked(thrown, true)
}

/** Marks an error as final: the message is dead-lettered at once. An `Error` is marked itself; anything else becomes the cause of a new one. */
export function notRetryable(thrown: unknown): Error & NotRetryable {
  return marked(thrown, false)
}

function marked<T extends boolean>(thrown: unknown, mark: T): Error & { readonly retryable: T } {
  try {
    if (thrown instanceof Error) {
      return Object.defineProperty(thrown, 'retryable', { value: mark, configurable: true }) as Error & { retryable: T }
    }
  } catch {
    // Frozen, or a revoked Proxy: it becomes a cause.
  }
  return Object.assign(new Error(describeThrown(thrown), { cause: thrown }), { retryable: mark })
}

function asked(when: VerdictOptions['when'], error: unknown): boolean | undefined {
  try {
    return when?.(error)
  } catch {
    return undefined
  }
}

function markOf(error: unknown): boolean | undefined {
  try {
    if (typeof error !== 'object' || error === null) return undefined
    const mark = (error as { retryable?: unknown }).retryable
    return typeof mark === 'boolean' ? mark : undefined
  } catch {
    // A revoked Proxy throws at every question.
    return undefined
  }
}
