import { Ring } from '../../kit/ring.ts'
import type { Consumer } from '../consumer.ts'
import type { LeasedByRedis } from './delivery.ts'

/** A consumer, and what it holds. */
export interface Seat {
  readonly consumer: Consumer
  /** The holder's name in the server. */
  id: string
  readonly buffer: Ring<LeasedByRedis>
  readonly out: Set<LeasedByRedis>
  /** Monotonic milliseconds at which the buffer was filled. */
  filledMs: number
  /** As many are taken at once; grows while the consumer asks faster than the server answers. */
  ahead: number
  /** The consumer asks, and has not got. */
  waits: boolean
  taking: boolean
  /** What is being taken now is newer than what was given back meanwhile. */
  outdated: boolean
  /** Something came while it was being taken. */
  again: boolean
}

/** The place of a consumer that begins. */
export function seatOf(consumer: Consumer, id: string): Seat {
  return {
    consumer,
    id,
    buffer: new Ring(),
    out: new Set(),
    filledMs: 0,
    ahead: 1,
    waits: false,
    taking: false,
    outdated: false,
    again: false,
  }
}
