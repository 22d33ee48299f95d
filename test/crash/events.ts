// What a child says, one line each: written in one piece before it goes on, so a killed child has said all that happened.

export type Event =
  /** A publish begins. */
  | { readonly type: 'try'; readonly n: number }
  /** It was acknowledged. */
  | { readonly type: 'ack'; readonly n: number; readonly duplicate: boolean; readonly level: string }
  /** It was refused. */
  | { readonly type: 'refused'; readonly n: number; readonly code: string }
  /** A handling begins: middleware first. */
  | { readonly type: 'begin'; readonly n: number; readonly group: string; readonly attempt: number }
  /** The handler itself starts. */
  | { readonly type: 'start'; readonly n: number; readonly group: string; readonly attempt: number }
  /** Its effect happened. */
  | { readonly type: 'effect'; readonly n: number; readonly group: string }
  /** The idempotent middleware has remembered the message. */
  | { readonly type: 'remembered'; readonly n: number; readonly group: string }
  /** The log has said that the group is done with the message. */
  | { readonly type: 'settled'; readonly n: number; readonly group: string; readonly as: string; readonly ok: boolean }
  /** Anything else, for the parent. */
  | { readonly type: 'note'; readonly text: string }
  /** A child has started: written by the parent. */
  | { readonly type: 'round' }

export function readEvent(line: string): Event {
  return JSON.parse(line) as Event
}
