import type { EventInfo } from '../../component.ts'

/** An event as clients get it. */
export interface ClientEvent {
  readonly event: string
  readonly payload: unknown
  readonly sender: string
  readonly session_id: string
  /** Wall-clock milliseconds. */
  readonly timestamp: number
}

/** Events that are about the swarm, not about the conversation. */
const INNER = /^(?:metrics\.|component\.heartbeat$|session\.connected$|stream\.)/

/** The event for the clients of its session; undefined for one without a session, and for what is none of theirs. */
export function clientEvent(payload: unknown, info: EventInfo): ClientEvent | undefined {
  if (info.session === undefined || INNER.test(info.event)) return undefined
  return {
    event: info.event,
    payload,
    sender: info.component,
    session_id: info.session,
    timestamp: info.time,
  }
}
