import type { Data } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'

/**
 * What a handler does after it has taken its message: nothing; nothing, but as an `async` function; or it suspends once. With
 * `sync` a peer may use its fastest form, otherwise it must use the form that waits for handlers, if it has one.
 */
export type HandlerKind = 'sync' | 'async' | 'suspending'

export type Handle = (data: Data) => unknown

/** One topic with one handler, or with several, of one library. */
export interface Channel {
  /** Publishes the messages `from` … `to - 1`, in the library's own best loop. */
  burst(from: number, to: number): unknown
  /** Resolves when the library itself says that everything is settled. */
  idle?(): Promise<unknown>
  /** After the clock: throws when the library's own counters do not agree with the messages of one pass. */
  check?(messages: number): void
  close?(): Promise<unknown> | void
}

/**
 * A library's own modules are loaded by `open`, so that a round of one library runs in a process that no other one has touched.
 */
export interface Peer extends Omit<Contestant, 'open'> {
  /** `handlers`: one subscription each. */
  open(handlers: readonly Handle[], kind: HandlerKind): Promise<Channel> | Channel
}

export const TOPIC = 'bench.work'
