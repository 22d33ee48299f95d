import { BusError, describeThrown, ERRORS, type ErrorCode, isBusError } from '../../kit/errors.ts'
import { packData, unpackData } from '../../message/data.ts'

/** Longest text of an error that crosses. */
const MOST_TEXT = 4_096
const MOST_NAME = 100
/** How many causes behind each other cross. */
const MOST_CAUSES = 4

/** An error as it crosses to another process: without its stack. */
export interface Fault {
  /** Of one of ours; otherwise the class of the error stands in `name`. */
  readonly code?: string
  readonly name?: string
  readonly text: string
  readonly details: unknown
  readonly cause?: Fault
}

/** The error as plain values, with its causes. Details that cannot be encoded stay here. */
export function faultOf(error: unknown): Fault {
  const fault = oneOf(error, MOST_CAUSES)
  return fault.code === undefined ? { ...fault, code: 'HANDLER_FAILED', text: textOf(error) } : fault
}

/** The error that another process told of, with its causes; a code that this version does not know becomes HANDLER_FAILED. */
export function errorOf(fault: unknown): BusError {
  return ourError(fault, MOST_CAUSES)
}

function oneOf(error: unknown, left: number): Fault {
  try {
    if (!(error instanceof Error)) return { text: textOf(error), details: {} }
    const text = String(error.message).slice(0, MOST_TEXT)
    const cause = error.cause === undefined || left === 0 ? {} : { cause: oneOf(error.cause, left - 1) }
    if (isBusError(error)) return { code: error.code, text, details: packed(error.details), ...cause }
    return { name: String(error.name).slice(0, MOST_NAME), text, details: {}, ...cause }
  } catch {
    return { text: textOf(error), details: {} }
  }
}

function textOf(error: unknown): string {
  return describeThrown(error).slice(0, MOST_TEXT)
}

function packed(details: unknown): unknown {
  try {
    return packData(details)
  } catch {
    // The text says what happened; the rest is help.
    return {}
  }
}

function fieldsOf(fault: unknown): Partial<Record<keyof Fault, unknown>> {
  return typeof fault === 'object' && fault !== null ? fault : {}
}

function ourError(fault: unknown, left: number): BusError {
  const { code, text, details, cause } = fieldsOf(fault)
  const known = isCode(code) ? code : 'HANDLER_FAILED'
  const words = typeof text === 'string' ? text.slice(0, MOST_TEXT) : 'another process failed without a word'
  return new BusError(known, words, { details: detailsOf(details), ...causeOf(cause, left) })
}

function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code)
}

function causeOf(fault: unknown, left: number): { readonly cause?: Error } {
  if (left === 0 || typeof fault !== 'object' || fault === null) return {}
  const { code, name, text, cause } = fieldsOf(fault)
  if (isCode(code)) return { cause: ourError(fault, left - 1) }
  const error = new Error(typeof text === 'string' ? text.slice(0, MOST_TEXT) : '', causeOf(cause, left - 1))
  if (typeof name === 'string') error.name = name.slice(0, MOST_NAME)
  return { cause: error }
}

function detailsOf(packed: unknown): Record<string, unknown> {
  try {
    const details = unpackData(packed ?? {})
    return typeof details === 'object' && details !== null && !Array.isArray(details) ? { ...details } : {}
  } catch {
    return {}
  }
}
