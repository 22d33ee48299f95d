import type { Message } from './message.ts'

/**
 * How often a group may handle a kept message. `at-most-once`: one attempt, whatever comes of it, a crash included. `at-least-once`:
 * again until it succeeds or is a dead letter. `exactly-once`: as at least once, and its effects of one within the duplicate window.
 */
export type DeliveryMode = 'at-most-once' | 'at-least-once' | 'exactly-once'

/** Every {@link DeliveryMode}. */
export const DELIVERY_MODES: readonly DeliveryMode[] = ['at-most-once', 'at-least-once', 'exactly-once']

/** The header in which a message states its own delivery mode; it wins over that of its channel. */
export const DELIVERY_MODE_HEADER = 'delivery-mode'

/** The header in which a message states how often it may be tried again after its first failure; it wins over its channel. */
export const MAX_RETRIES_HEADER = 'max-retries'

/** The mode that a message states; undefined for none, or for a word that is no mode. */
export function deliveryModeOf(message: Message): DeliveryMode | undefined {
  const stated = message.headers[DELIVERY_MODE_HEADER]
  return stated === undefined ? undefined : DELIVERY_MODES.find((mode) => mode === stated)
}

/** The retries that a message states; undefined for none, or for what is no whole number from 0 to 999. */
export function maxRetriesOf(message: Message): number | undefined {
  const stated = message.headers[MAX_RETRIES_HEADER]
  if (stated === undefined || !/^\d{1,3}$/.test(stated)) return undefined
  return Number(stated)
}
