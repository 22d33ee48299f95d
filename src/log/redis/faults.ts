import { BusError, describeThrown, isBusError } from '../../kit/errors.ts'

/** True when the server has other data than those that the caller knows: the call changed nothing. */
export function isOtherEpoch(error: unknown): boolean {
  return answerOf(error) === 'EPOCH'
}

/** True when a key is of another type than it should be. */
export function isWrongType(error: unknown): error is BusError {
  return answerOf(error) === 'WRONGTYPE'
}

/** True when the server may have carried the call out. */
export function isUnknown(error: unknown): boolean {
  return isBusError(error, 'BROKER_TIMEOUT')
}

/** True when it is worth trying again once there is a connection. */
export function isPassing(error: unknown): boolean {
  return isBusError(error, 'BROKER_TIMEOUT') || isBusError(error, 'BROKER_UNREACHABLE')
}

/** What a call that is no publish failed with, as a log says it. */
export function logFault(what: string, error: unknown): BusError {
  if (isBusError(error) && ['STORE_FULL', 'BROKER_REFUSED', 'BUS_CLOSED', 'UNSUPPORTED'].includes(error.code))
    return error
  return new BusError('STORE_FAILED', `${what}: ${describeThrown(error)}`, { cause: error })
}

/** What a publish failed with: surely not stored, or not known. */
export function publishFault(stream: string, ids: readonly string[], error: unknown): BusError {
  if (isUnknown(error)) return unknownPublish(stream, ids, 'there was no answer', error)
  return logFault(`nothing was stored in "${stream}"`, error)
}

/** It is not known whether the messages are kept as they should be. */
export function unknownPublish(stream: string, ids: readonly string[], why: string, cause?: unknown): BusError {
  const text = `it is not known whether ${ids.length === 1 ? `message ${ids[0]} is` : `${ids.length} messages are`} kept in "${stream}": ${why}`
  return new BusError('PUBLISH_UNKNOWN', text, { cause, details: { id: ids[0], ids, stream } })
}

function answerOf(error: unknown): unknown {
  return isBusError(error) ? error.details.answer : undefined
}
