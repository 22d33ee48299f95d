import type { Bus } from '../bus/bus.ts'
import { BusError, describeThrown } from '../kit/errors.ts'
import type { Busy } from './busy.ts'
import { headersFor, STOPPED_HEADER, WHY_HEADER } from './envelope.ts'
import type { SwarmFault } from './fault.ts'
import { frameOf } from './frame.ts'
import type { Member } from './member.ts'

const MOST_WHY = 500

/** What the keeping of stopped events needs of its swarm. */
export interface StoppedHost {
  readonly bus: Bus
  readonly busy: Busy
  readonly isKept: boolean
  fault(fault: SwarmFault): void
}

/** What was emitted and could not go on: stopped by a pipe, or before a target. */
export class Stopped {
  readonly #host: StoppedHost
  readonly #token: string
  #count = 0
  /** What becomes a dead letter when it comes to its component. */
  readonly #new = new Set<string>()

  constructor(host: StoppedHost, token: string) {
    this.#host = host
    this.#token = token
  }

  /** True once for each event that was stopped here. */
  isNew(token: string): boolean {
    return this.#new.delete(token)
  }

  /**
   * Sends what cannot go on to the component itself, whose handler refuses it: so it becomes a dead letter, or a failure of a bus without
   * a log, with everything that is needed to send it on its way again.
   */
  async bury(
    member: Member,
    event: string,
    payload: unknown,
    session: string | undefined,
    why: Readonly<Record<string, string>>,
    error: unknown,
  ): Promise<void> {
    const token = `${this.#token}-${this.#count++}`
    const text = describeThrown(error).slice(0, MOST_WHY)
    const headers = { ...headersFor(event), ...why, [STOPPED_HEADER]: token, [WHY_HEADER]: text }
    this.#new.add(token)
    const { bus } = this.#host
    // Not as a consequence: what came to the hop limit must find its place as well.
    const cause = frameOf(bus)?.message
    try {
      const ack = await bus.send(member.name, payload, {
        from: member.name,
        headers,
        ...(cause === undefined ? {} : { correlationId: cause.correlationId ?? cause.id }),
        ...(session === undefined ? {} : { session }),
        ...(this.#host.isKept ? { receipt: true } : {}),
      })
      this.#host.busy.sent(ack.receipt, false)
    } catch (fault) {
      this.#new.delete(token)
      const message = `"${event}" of "${member.name}" could not be kept as a dead letter: ${describeThrown(fault)}`
      this.#host.fault({ type: 'emit', component: member.name, event, message, error: fault })
    }
  }
}

/** Why an event became a dead letter. */
export function stopFault(
  component: string,
  event: string,
  pipe: string | undefined,
  target: string | undefined,
  why: string | undefined,
): BusError {
  const details = {
    component,
    event,
    ...(pipe === undefined ? {} : { pipe }),
    ...(target === undefined ? {} : { target }),
  }
  if (pipe === undefined) {
    return new BusError('ROUTE_FAILED', `"${event}" of "${component}" did not reach "${target}": ${why}`, { details })
  }
  return new BusError('PIPE_FAILED', `pipe "${pipe}" of "${component}" stopped "${event}": ${why}`, { details })
}
