/** The families of faults, so that a caller may branch coarsely: `error.family === 'timeout'`. */
export type ErrorFamily =
  | 'configuration'
  | 'validation'
  | 'agent'
  | 'bus'
  | 'timeout'
  | 'resource'
  | 'handler'
  | 'stream'

interface ErrorRow {
  readonly family: ErrorFamily
  /** What happened, in general. */
  readonly text: string
  /** What to do next. */
  readonly next: string
}

/** Every code swarmbus can throw. Codes never change their meaning; `docs/errors.md` prints this table. */
export const ERRORS = {
  INVALID_OPTION: {
    family: 'configuration',
    text: 'an option has a wrong type, lies out of its range, or does not exist',
    next: 'use a value of the range named in the message; `details` has field, value and allowed',
  },
  CONFIG_INVALID: {
    family: 'configuration',
    text: 'a `.ww` file cannot be read, or says something that cannot be',
    next: 'mend the places named in the message; `swarmbus check` shows all of them, `details.diagnostics` has them',
  },
  INVALID_TOPIC: {
    family: 'validation',
    text: 'a topic, pattern or agent name breaks the grammar',
    next: 'mend the token named in the message; topics are tokens joined by dots, without wildcards',
  },
  INVALID_MESSAGE: {
    family: 'validation',
    text: 'a field of a message, or of the options that make one, has a wrong type or range',
    next: 'mend the field named in the message',
  },
  INVALID_PAYLOAD: {
    family: 'validation',
    text: 'the data cannot be frozen, copied or encoded',
    next: 'send plain data, or publish with `payload: "share"` if nobody else changes it',
  },
  PAYLOAD_TOO_LARGE: {
    family: 'resource',
    text: 'the data is larger than `maxPayloadBytes` or deeper than 64 levels',
    next: 'send a reference to the data, or raise `maxPayloadBytes`',
  },
  SCHEMA_MISMATCH: {
    family: 'validation',
    text: 'the data does not fit the schema of its topic',
    next: 'mend the field at the path named in the message; `details.issues` lists all',
  },
  DECODE_FAILED: {
    family: 'validation',
    text: 'bytes or text could not be read as a message',
    next: 'check that the sender uses the same codec and a supported version',
  },
  BUS_CLOSED: {
    family: 'bus',
    text: 'the bus is closed for good',
    next: 'make a new bus; nothing reaches this one any more',
  },
  NOT_RUNNING: {
    family: 'bus',
    text: 'the bus has not started, is draining or is stopped',
    next: 'call `start()`, or publish before `drain()`, `stop()` or `close()`',
  },
  HOP_LIMIT: {
    family: 'bus',
    text: 'a chain of messages that cause each other is longer than `maxHops`',
    next: 'look at `details.path` for the cycle; raise `maxHops` if the chain is meant',
  },
  MESSAGE_EXPIRED: {
    family: 'timeout',
    text: 'the message was not handled before its time to live ended',
    next: 'raise `ttlMs`, or give the receiver more room (`concurrency`, another member of its group)',
  },
  MESSAGE_DROPPED: {
    family: 'resource',
    text: 'the message was dropped by the overflow policy of a full queue',
    next: 'use the policy "wait" or "refuse", raise `limit`, or add consumers',
  },
  QUEUE_FULL: {
    family: 'resource',
    text: 'a queue is full and its policy refused the message',
    next: 'slow down, raise `limit`, or add consumers; the message was not accepted',
  },
  UNKNOWN_AGENT: {
    family: 'agent',
    text: 'no agent of that name, or with that capability, is registered',
    next: 'register the agent first, or `declare` it to have its messages held; `details.known` lists names',
  },
  AGENT_EXISTS: {
    family: 'agent',
    text: 'an agent of that name is registered already',
    next: 'choose another name, or register with `replace: true`',
  },
  SUBSCRIPTION_ENDED: {
    family: 'agent',
    text: 'the subscription, inbox or agent has ended',
    next: 'subscribe or register again; messages that waited went to `onFailure` with reason "unregistered"',
  },
  UNKNOWN_SUBSCRIPTION: {
    family: 'bus',
    text: 'no subscription has that id',
    next: 'use the id of a live subscription, as in `subscription.id`',
  },
  SESSION_ENDED: {
    family: 'bus',
    text: 'the session has been closed',
    next: 'open the session again with `bus.session(id)`',
  },
  NO_RESPONDERS: {
    family: 'agent',
    text: 'nobody listens on the topic of a request',
    next: 'start the responder first, or check the topic for a typing fault',
  },
  PROCESS_LOST: {
    family: 'agent',
    text: 'the process that had the request, or wrote the stream, is gone or out of reach before it was done',
    next: 'it is not known how far it came: ask again if the work may be done twice; another responder, if there is one, takes it',
  },
  REQUEST_TIMEOUT: {
    family: 'timeout',
    text: 'no answer came before the deadline of the request',
    next: 'raise `timeoutMs`, or look at the health of the responder',
  },
  RECEIVE_TIMEOUT: {
    family: 'timeout',
    text: 'no message came before the deadline of `receive`',
    next: 'raise `timeoutMs`, or iterate the inbox to wait without a deadline',
  },
  REQUEST_CYCLE: {
    family: 'bus',
    text: 'a request came back to an agent that waits in the same chain, and `onCycle` is "refuse"',
    next: 'break the cycle, or set `onCycle: "run"` to answer it re-entrantly',
  },
  HANDLER_FAILED: {
    family: 'handler',
    text: 'a handler threw, rejected, or returned something that cannot be sent',
    next: 'look at `cause`; the fault is in the handler named in the message',
  },
  HANDLER_TIMEOUT: {
    family: 'timeout',
    text: 'a handler ran longer than `handlerTimeoutMs`',
    next: 'obey `context.signal`, call `context.extend()`, or raise `handlerTimeoutMs`',
  },
  PIPE_FAILED: {
    family: 'handler',
    text: 'a pipe threw: what a component emitted was stopped there and went no further',
    next: 'look at `cause`; the pipe is in `details.pipe`. Redrive the dead letter once it is mended, or make the pipe `optional`',
  },
  ROUTE_FAILED: {
    family: 'agent',
    text: 'what a component emitted could not be brought to one of its targets',
    next: 'look at `cause`; mend the route named in the message, then redrive the dead letter',
  },
  START_FAILED: {
    family: 'configuration',
    text: 'a component could not be made, or was not ready in time',
    next: 'look at `cause`; the component is in `details.component`',
  },
  CANCELLED: {
    family: 'bus',
    text: 'the caller gave up through its abort signal',
    next: 'nothing; this is what was asked for',
  },
  STREAM_TIMEOUT: {
    family: 'timeout',
    text: 'a stream had no chunk for its time limit',
    next: 'raise `stallMs`, or look at the producer',
  },
  STREAM_FULL: {
    family: 'resource',
    text: 'a stream, or the room for all streams, is full and its policy is to refuse',
    next: 'await each `write`, or read faster',
  },
  STREAM_GAP: {
    family: 'stream',
    text: 'chunks are missing, repeated, or already discarded',
    next: 'read from the index named in `details`, or ask for the stream again',
  },
  STREAM_CLOSED: {
    family: 'stream',
    text: 'the stream has ended, failed or was cancelled',
    next: 'stop writing; open a new stream to send more',
  },
  STREAM_CHECKSUM: {
    family: 'stream',
    text: 'a chunk does not fit its checksum',
    next: 'send the chunk again; it was not delivered',
  },
  UNSUPPORTED: {
    family: 'configuration',
    text: 'the backend, or a bus without a log, cannot do what was asked',
    next: 'use a backend that can (see `supports`), or open the bus with a log: `openBus("sqlite:FILE")`',
  },
  STORE_FULL: {
    family: 'resource',
    text: 'there is no room to keep the message; it was not stored',
    next: 'free disk space or shorten retention; publishing works again by itself, without a restart',
  },
  STORE_FAILED: {
    family: 'resource',
    text: 'the log could not be read or written; what was to be stored was not',
    next: 'look at `cause`; check disk, rights and `swarmbus doctor FILE`',
  },
  STORE_LOCKED: {
    family: 'configuration',
    text: 'another process, or another bus of this one, holds the file of the log',
    next: 'stop the process named in the message, or use another file',
  },
  PUBLISH_UNKNOWN: {
    family: 'timeout',
    text: 'it is not known whether the message was stored',
    next: 'publish it again with the same `id` (in `details.id`): it is stored once at most',
  },
  DATA_LOSS: {
    family: 'resource',
    text: 'the log lacks messages that it had acknowledged',
    next: 'a file: restore it from a copy, or accept the loss with `swarmbus doctor FILE --accept-loss`; a broker: the bus goes on with what is there',
  },
  BROKER_UNREACHABLE: {
    family: 'resource',
    text: 'there is no connection to the broker; what was asked was not carried out',
    next: 'check the address and that the server runs; an open bus connects again by itself',
  },
  BROKER_TIMEOUT: {
    family: 'timeout',
    text: 'the broker did not answer, or the connection was lost before it did; it is not known whether it was carried out',
    next: 'ask again; a publish with the same `id` is stored once at most',
  },
  BROKER_REFUSED: {
    family: 'configuration',
    text: 'the broker answered, but refuses its service, or cannot be used as it is set up',
    next: 'change the setting or the right named in the message; `swarmbus doctor --url URL` shows what the server can promise',
  },
  SCHEMA_TOO_NEW: {
    family: 'configuration',
    text: 'the file of the log was written by a newer version',
    next: 'use that version of swarmbus, or another file',
  },
  LEASE_LOST: {
    family: 'bus',
    text: 'the lease of a message ran out while it was in hand: another process may have it by now',
    next: 'stop at `context.signal`; lengthen `ackWaitMs` of the channel if the process was only busy',
  },
  UNKNOWN_DEAD_LETTER: {
    family: 'bus',
    text: 'no dead letter has that id',
    next: 'list them with `bus.deadLetters.list()`; it may have been redriven or discarded meanwhile',
  },
  CIRCUIT_OPEN: {
    family: 'resource',
    text: 'a circuit breaker is open: too many calls failed lately',
    next: 'wait `details.leftMs`, or mend what it protects',
  },
  RATE_LIMITED: {
    family: 'resource',
    text: 'a rate limit has no permit left',
    next: 'wait `details.leftMs`, or raise the limit',
  },
  BULKHEAD_FULL: {
    family: 'resource',
    text: 'as many calls run, and wait, as the bulkhead allows',
    next: 'try again later, or raise its limits',
  },
  VERSION_CONFLICT: {
    family: 'resource',
    text: 'a value has another version than the one that its writer expected',
    next: 'read the value again and decide anew; `details.actual` is its version',
  },
  BLACKBOARD_FULL: {
    family: 'resource',
    text: 'a blackboard holds as many keys as it may',
    next: 'delete keys, raise `mostKeys`, or open it with `overflow: "evict-oldest"`',
  },
} as const satisfies Record<string, ErrorRow>

/** A stable code of the table {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS

/** What `details` may hold; every key is optional and documented where the error is made. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/** The one error class of swarmbus. Branch on `code`; `cause` keeps what was thrown underneath. */
export class BusError extends Error {
  override readonly name = 'BusError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
  }

  /** The family of the code, for coarse branches. */
  get family(): ErrorFamily {
    return ERRORS[this.code].family
  }

  /** What to do next, from the table of errors. */
  get next(): string {
    return ERRORS[this.code].next
  }

  toJSON(): { code: ErrorCode; family: ErrorFamily; message: string; next: string; details: ErrorDetails } {
    return { code: this.code, family: this.family, message: this.message, next: this.next, details: this.details }
  }
}

/** True for a {@link BusError}; with `code`, true only for that code. */
export function isBusError<C extends ErrorCode>(value: unknown, code?: C): value is BusError & { code: C } {
  try {
    return value instanceof BusError && (code === undefined || value.code === code)
  } catch {
    // A revoked Proxy throws at every question.
    return false
  }
}

/**
 * A text for anything that can be thrown: errors, undefined, and objects that throw when looked at (a revoked Proxy).
 * Never throws.
 */
export function describeThrown(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return `${thrown.name}: ${thrown.message}`
    if (typeof thrown === 'string') return thrown
    if (typeof thrown === 'object' && thrown !== null) return JSON.stringify(thrown) ?? 'an object'
    return String(thrown)
  } catch {
    return 'something that cannot be shown'
  }
}
