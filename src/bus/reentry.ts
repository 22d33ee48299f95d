import { Envelope } from '../message/message.ts'
import type { Delivery, DeliveryOwner, Note } from './delivery.ts'

/**
 * True when `message`, awaited by the handling `frame`, would wait in `queue` for ever: everything it would wait for waits itself,
 * directly or through others, for the chain the message belongs to. The edge that closes such a ring is always a new awaited message,
 * so looking when one is sent finds every ring.
 */
export function wouldDeadlock(queue: DeliveryOwner, message: Envelope, frame: Delivery): boolean {
  if (queue.couldStart(message.session)) return false
  return isStuck(queue, message.session, new Set(chainOf(frame)))
}

/** The handling itself, the one that waits for it, and so on up. */
function chainOf(frame: Delivery): Delivery[] {
  const chain: Delivery[] = []
  for (let one: Delivery | undefined = frame; one !== undefined; one = waiterOf(one)) chain.push(one)
  return chain
}

function waiterOf(delivery: Delivery): Delivery | undefined {
  return (Envelope.noteOf(delivery.message) as Note | undefined)?.frame
}

function isStuck(queue: DeliveryOwner, session: string | undefined, stuck: Set<Delivery>): boolean {
  const blockers = blockersOf(queue, session)
  return blockers.length > 0 && blockers.every((one) => isWaiting(one, stuck))
}

/** What must end before a message of the session may start: its own session's handling, or else everything that runs. */
function blockersOf(queue: DeliveryOwner, session: string | undefined): Delivery[] {
  const all = [...queue.runs()]
  const own = session === undefined ? [] : all.filter((one) => one.session === session)
  return own.length > 0 ? own : all
}

function isWaiting(delivery: Delivery, stuck: Set<Delivery>): boolean {
  if (stuck.has(delivery)) return true
  // Assumed while its own waits are looked at: a ring that leads back here is stuck as well.
  stuck.add(delivery)
  for (const { awaited, owners } of delivery.waits ?? []) {
    if (awaited !== undefined && owners.length > 0 && owners.every((queue) => awaitedIsStuck(queue, awaited, stuck)))
      return true
  }
  stuck.delete(delivery)
  return false
}

function awaitedIsStuck(queue: DeliveryOwner, message: Envelope, stuck: Set<Delivery>): boolean {
  for (const one of queue.runs()) if (one.message.id === message.id) return isWaiting(one, stuck)
  return isStuck(queue, message.session, stuck)
}
