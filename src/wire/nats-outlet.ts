import type { NatsLink } from '../broker/nats/link.ts'
import { BusError } from '../kit/errors.ts'
import { Ring } from '../kit/ring.ts'

const MOST_BYTES = 64 * 1_048_576

/** Frames on their way to the server. */
export interface NatsOutlet {
  /** In the order of the calls. Throws QUEUE_FULL, PAYLOAD_TOO_LARGE. */
  send(topic: string, subject: string, bytes: Uint8Array): void
  /** Resolves when the server has what was sent, or the connection is lost. */
  close(): Promise<void>
}

interface Held {
  readonly subject: string
  readonly bytes: Uint8Array
}

/** Sends frames, at most `limit` that the server has not confirmed; holds them while the connection is lost. */
export function natsOutlet(link: NatsLink, limit: number): NatsOutlet {
  const { connection, watch } = link
  const held = new Ring<Held>()
  /** Frames and bytes, held or sent, that are not confirmed; and those since the last question to the server. */
  let waiting = 0
  let waitingBytes = 0
  let fresh = 0
  let freshBytes = 0
  let confirming: Promise<void> | undefined
  let largest = connection.info?.max_payload ?? 1_048_576

  const watcher = watch.on((event) => {
    if (event.type !== 'restored') return
    largest = connection.info?.max_payload ?? largest
    for (let next = held.shift(); next !== undefined; next = held.shift()) pass(next)
  })

  function pass({ subject, bytes }: Held): void {
    try {
      connection.publish(subject, bytes)
    } catch {
      // Closed beneath, or the new server takes less: gone, as what is sent to nobody.
      waiting--
      waitingBytes -= bytes.length
      return
    }
    fresh++
    freshBytes += bytes.length
    confirming ??= confirm()
  }

  /** One question at a time: what was sent before it is confirmed, or lost with its connection. */
  async function confirm(): Promise<void> {
    await Promise.resolve()
    while (fresh > 0) {
      const count = fresh
      const bytes = freshBytes
      fresh = 0
      freshBytes = 0
      await connection.flush().catch(() => undefined)
      waiting -= count
      waitingBytes -= bytes
    }
    confirming = undefined
  }

  return {
    send(topic, subject, bytes) {
      if (bytes.length > largest) {
        throw new BusError('PAYLOAD_TOO_LARGE', `the frame has ${bytes.length} bytes; the server takes ${largest}`, {
          details: { topic, bytes: bytes.length, limit: largest },
        })
      }
      if (waiting >= limit || waitingBytes + bytes.length > MOST_BYTES) {
        throw new BusError('QUEUE_FULL', `${waiting} frames of the NATS wire wait to be sent`, {
          details: { topic, limit, bytes: waitingBytes },
        })
      }
      waiting++
      waitingBytes += bytes.length
      const next = { subject, bytes }
      if (watch.isUp && held.size === 0) pass(next)
      else held.push(next)
    },

    async close() {
      watcher[Symbol.dispose]()
      await confirming
    },
  }
}
