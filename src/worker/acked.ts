import { announced } from '../bus/announce.ts'
import type { KeptHost } from '../bus/kept.ts'
import type { Message } from '../message/message.ts'

// Looked at for each message: found once.
const acked = announced['message.acked']

/** Tells who has acknowledged what, once the acknowledgement itself is kept. Free when nobody listens. */
export function announceAck(
  host: KeptHost,
  kept: Promise<boolean>,
  message: Message,
  name: string,
  channel: string,
  group: string,
): void {
  if (!acked.hasSubscribers) return
  kept.then(
    (done) => {
      if (done) host.announce('message.acked', { message, name, channel, group })
    },
    () => undefined,
  )
}
