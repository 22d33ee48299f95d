import { announced } from '../bus/announce.ts'
import type { KeptHost } from '../bus/kept.ts'
import type { Message } from '../message/message.ts'

// Looked at for each message: found once.
const acked = announced['message.acked']

/** Who has acknowledged what. */
export interface Acknowledged {
  readonly message: Message
  readonly name: string
  readonly channel: string
  readonly group: string
}

/** True when somebody wants to be told of acknowledgements. */
export function tellsOfAcks(): boolean {
  return acked.hasSubscribers
}

/** Told once the acknowledgement itself is kept. */
export function announceAck(host: KeptHost, kept: Promise<boolean>, told: Acknowledged): void {
  kept.then(
    (done) => {
      if (done) host.announce('message.acked', told)
    },
    () => undefined,
  )
}
