import { BusError, describeThrown, ERRORS, type ErrorCode, isBusError } from '../../kit/errors.ts'
import { packData, unpackData } from '../../message/data.ts'

/** Longest text of an error that crosses. */
const MOST_TEXT = 4_096

/** An error as it crosses to another process: without its stack. */
export interface Fault {
  readonly code: string
  readonly text: string
  readonly details: unknown
}

/** The error as plain values. Details that cannot be encoded stay here. */
export function faultOf(error: unknown): Fault {
  if (!isBusError(error))
    return { code: 'HANDLER_FAILED', text: describeThrown(error).slice(0, MOST_TEXT), details: {} }
  let details: unknown = {}
  try {
    details = packData(error.details)
  } catch {
    // The text says what happened; the rest is help.
  }
  return { code: error.code, text: error.message.slice(0, MOST_TEXT), details }
}

/** The error that another process told of; a code that this version does not know becomes HANDLER_FAILED. */
export function errorOf(fault: unknown): BusError {
  const { code, text, details } = (typeof fault === 'object' && fault !== null ? fault : {}) as Partial<Fault>
  const known = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'HANDLER_FAILED'
  const words = typeof text === 'string' ? text.slice(0, MOST_TEXT) : 'another process failed without a word'
  return new BusError(known, words, { details: detailsOf(details) })
}

function detailsOf(packed: unknown): Record<string, unknown> {
  try {
    const details = unpackData(packed ?? {})
    return typeof details === 'object' && details !== null && !Array.isArray(details) ? { ...details } : {}
  } catch {
    return {}
  }
}
