import type { FailureReason } from '../bus/ack.ts'
import { isBusError } from '../kit/errors.ts'
import { countsAsAttempt, leftMsOf, verdict } from '../reliability/verdict.ts'
import type { Policy } from './channel.ts'
import type { Handling } from './handling.ts'

/** Milliseconds to wait where no policy says how long: the failure said nothing about the message. */
const AGAIN_MS = 1_000

/** When a failed message is tried again, and whether the failure counts as an attempt. */
export interface Again {
  readonly delayMs: number
  readonly counts: boolean
}

/** How long to wait for the next try of a message that failed; undefined when there is none. */
export function againAfter(
  { retry, attempt, spent, cancelled }: Pick<Handling, 'retry' | 'attempt' | 'spent' | 'cancelled'>,
  { when }: Pick<Policy, 'when'>,
  reason: FailureReason,
  error: unknown,
  random: () => number,
): Again | undefined {
  if (spent || cancelled) return undefined
  if (verdict(error, reason, when === undefined ? {} : { when }) !== 'retry') return undefined
  const counts = countsAsAttempt(error, reason)
  const failed = counts ? attempt : Math.max(1, attempt - 1)
  const delayMs = retry.delayMs(failed, random)
  if (delayMs === undefined && counts) return undefined
  const asked = reason === 'nacked' && isBusError(error) ? error.details.delayMs : undefined
  return { delayMs: typeof asked === 'number' ? asked : Math.max(delayMs ?? AGAIN_MS, leftMsOf(error)), counts }
}
