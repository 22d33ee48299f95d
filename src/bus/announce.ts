import { type Channel, channel } from 'node:diagnostics_channel'

/**
 * What the bus announces on `node:diagnostics_channel`, as `swarmbus.<event>`. Each listener gets the bus's name and the event's
 * own fields. Free when nobody listens: the bus looks at `hasSubscribers` before it builds anything.
 */
export const EVENTS = [
  'message.published',
  'message.handled',
  'message.failed',
  'message.expired',
  'message.dropped',
  'message.refused',
  'message.large',
  'answer.stray',
  'hops.exceeded',
  'queue.filled',
  'queue.relieved',
  'handler.overran',
  'agent.registered',
  'agent.unregistered',
  'agent.stalled',
  'callback.failed',
  'message.acked',
  'message.retried',
  'message.died',
  'message.replayed',
  'dead-letter.redriven',
  'dead-letter.discarded',
  'dead-letter.evicted',
  'log.failed',
  'log.gap',
  'log.disconnected',
  'log.retried',
  'log.reconnected',
  'log.lost',
  'process.joined',
  'process.left',
  'journal.dropped',
  'journal.failed',
] as const

/** A name of the list {@link EVENTS}. */
export type EventName = (typeof EVENTS)[number]

export const announced: Readonly<Record<EventName, Channel>> = Object.freeze(
  Object.fromEntries(EVENTS.map((name) => [name, channel(`swarmbus.${name}`)])) as Record<EventName, Channel>,
)
