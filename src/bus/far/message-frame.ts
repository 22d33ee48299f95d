import { Envelope } from '../../message/message.ts'
import type { Delivery, Note } from '../delivery.ts'
import { Ask } from './ask.ts'
import { packed, writeFrame } from './frames.ts'
import type { FarPending, Load } from './side.ts'

/** Handlings that wait for each other, at most so many of them are told. */
const MOST_CHAIN = 64

/** A message on its way to other processes. */
export interface Outbound {
  readonly load: Load
  readonly message: Envelope
  /** The request that it is. */
  readonly ask: FarPending | undefined
  /** Under what name others tell how it ended; undefined when nobody wants to know. */
  readonly re: string | undefined
}

/** The message with what goes beside it, as one frame. Throws INVALID_PAYLOAD, INVALID_MESSAGE, PAYLOAD_TOO_LARGE. */
export function messageFrame(from: string, nowMs: number, { load, message, ask, re }: Outbound): Uint8Array {
  const deadlineMs = Envelope.deadlineMs(message)
  return writeFrame('message', from, {
    m: packed(message),
    ...(deadlineMs === Number.POSITIVE_INFINITY ? {} : { left: Math.max(0, Math.ceil(deadlineMs - nowMs)) }),
    groups: Object.fromEntries(load.groups),
    names: Object.fromEntries(load.names),
    ...(load.everyone === undefined ? {} : { everyone: [...load.everyone] }),
    ...(load.kept ? { kept: true } : {}),
    ...(re === undefined ? {} : { re }),
    ...(ask === undefined ? {} : { ask: ask.kind, chain: chainOf(ask.frame) }),
  })
}

/** The messages whose handlings wait for this one, the nearest first, also those of other processes. */
function chainOf(frame: Delivery | undefined): string[] {
  const chain: string[] = []
  for (let one = frame; one !== undefined && chain.length < MOST_CHAIN; ) {
    chain.push(one.message.id)
    const note = Envelope.noteOf(one.message) as Note | undefined
    if (note instanceof Ask) chain.push(...note.chain)
    one = note?.frame
  }
  return chain.slice(0, MOST_CHAIN)
}
