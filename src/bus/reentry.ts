import { Envelope } from '../message/message.ts'
import type { Delivery, Note } from './delivery.ts'
import type { Queue } from './queue.ts'
import { Pending } from './request.ts'

/** The handling that waits for this one. */
function waiterOf(delivery: Delivery): Delivery | undefined {
  return (Envelope.noteOf(delivery.message) as Note | undefined)?.frame
}

/**
 * True when `message`, awaited by a handler, would wait in `queue` for ever: everything it would wait for waits itself, directly or
 * through others, for the chain the message belongs to. The edge that closes such a ring is always a new awaited message, so looking
 * when one is sent finds every ring.
 */
export function wouldDeadlock(queue: Queue, message: Envelope, frame: Delivery, targets: TargetsOf): boolean {
  if (queue.couldStart(message.session)) return false
  return isStuck(queue, message.session, new Set(chainOf(frame)), targets)
}

/** The queues to which an awaited message was sent. */
export type TargetsOf = (message: Envelope) => readonly Queue[]

function chainOf(frame: Delivery): Delivery[] {
  const chain: Delivery[] = []
  for (let one: Delivery | undefined = frame; one !== undefined; one = waiterOf(one)) chain.push(one)
  return chain
}

function isStuck(queue: Queue, session: string | undefined, stuck: Set<Delivery>, targets: TargetsOf): boolean {
  let blockers = 0
  for (const one of blockersOf(queue, session)) {
    blockers++
    if (!isWaiting(one, stuck, targets)) return false
  }
  return blockers > 0
}

/** What must end before a message of the session may start: its own session's handling, or else everything that runs. */
function blockersOf(queue: Queue, session: string | undefined): Delivery[] {
  const all = [...queue.runs()]
  const own = session === undefined ? [] : all.filter((one) => one.message.session === session)
  return own.length > 0 ? own : all
}

function isWaiting(delivery: Delivery, stuck: Set<Delivery>, targets: TargetsOf): boolean {
  if (stuck.has(delivery)) return true
  if (delivery.waits === undefined || delivery.waits.size === 0) return false
  // Assumed while its own waits are looked at: a ring that leads back here is stuck as well.
  stuck.add(delivery)
  for (const note of delivery.waits) {
    if (!(note instanceof Pending)) continue
    if (targets(note.message).every((queue) => awaitedIsStuck(queue, note.message, stuck, targets))) return true
  }
  stuck.delete(delivery)
  return false
}

function awaitedIsStuck(queue: Queue, message: Envelope, stuck: Set<Delivery>, targets: TargetsOf): boolean {
  for (const one of queue.runs()) if (one.message.id === message.id) return isWaiting(one, stuck, targets)
  return isStuck(queue, message.session, stuck, targets)
}
