import { BusError } from '../kit/errors.ts'
import { Envelope } from '../message/message.ts'
import type { FailureReason } from './ack.ts'
import type { Note } from './delivery.ts'

/** How a message that waited is over before it was handled. */
export interface Over {
  readonly outcome: 'dropped' | 'expired'
  readonly reason: FailureReason
  readonly error: BusError
}

/** Why a message must not be handled any more: nobody wants it, or its time is up. Undefined when it may. */
export function whyOver(message: Envelope, nowMs: number, name: string): Over | undefined {
  const { topic } = message
  const note = Envelope.noteOf(message) as Note | undefined
  if (note?.cancelled) {
    const error = new BusError('CANCELLED', `"${topic}" was cancelled before it was handled`)
    return { outcome: 'dropped', reason: 'cancelled', error }
  }
  if (note?.isStale?.()) {
    const error = new BusError('MESSAGE_EXPIRED', `"${topic}" is older than "${name}" takes`, {
      details: { name, topic },
    })
    return { outcome: 'expired', reason: 'expired', error }
  }
  const lateMs = nowMs - Envelope.deadlineMs(message)
  if (lateMs < 0) return undefined
  const error = new BusError('MESSAGE_EXPIRED', `"${topic}" expired in the queue of "${name}"`, {
    details: { name, topic, lateMs },
  })
  return { outcome: 'expired', reason: 'expired', error }
}
