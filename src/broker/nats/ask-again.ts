import { isBusError } from '../../kit/errors.ts'
import type { NatsLink } from './link.ts'

/** Parts of the time that a question has. */
const SHARES = [1 / 8, 1 / 4, 5 / 8]

/**
 * Asks what may be asked twice, again within the time of one question: while the servers of a cluster choose a leader nobody answers, nor
 * later. Rejects as {@link NatsLink.ask} does.
 */
export async function askAgain(
  link: NatsLink,
  subject: string,
  payload?: string,
  timeoutMs: number = 5_000,
): ReturnType<NatsLink['ask']> {
  let fault: unknown
  for (const share of SHARES) {
    try {
      return await link.ask(subject, payload, { timeoutMs: timeoutMs * share })
    } catch (error) {
      fault = error
      if (!isBusError(error, 'BROKER_TIMEOUT') || !link.watch.isUp) break
    }
  }
  throw fault
}
