import type { Timer } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import type { Io, Kept } from './io.ts'
import { originOf } from './origin.ts'

/** Which records are wanted. */
export interface Range {
  readonly stream: string
  readonly filter: string
  /** The first sequence. */
  readonly from: number
  /** So many at most. */
  readonly most: number
}

const MOST_BYTES = 4 * 1_024 * 1_024
const SILENCE_MS = 1_000

/**
 * Brings records that follow each other, with two questions where each alone would be one. May end before its time: who misses
 * something asks for it alone. Rejects when the server refuses, or the connection is lost.
 */
export async function fetchRange(io: Io, range: Range, record: (record: Kept) => void): Promise<void> {
  const { stream, filter, from, most } = range
  const { connection } = io.link
  const { name } = await io.must<{ readonly name: string }>(`CONSUMER.CREATE.${stream}`, {
    stream_name: stream,
    config: {
      ...{ deliver_policy: 'by_start_sequence', opt_start_seq: from, filter_subject: filter, ack_policy: 'none' },
      ...{ replay_policy: 'instant', inactive_threshold: 5e9, mem_storage: true, num_replicas: 1 },
    },
  })
  const done = Promise.withResolvers<void>()
  const inbox = io.inbox()
  let heardMs = io.env.monotonicMs()
  let timer: Timer | undefined
  const watch = (): void => {
    timer = io.env.after(SILENCE_MS, () => {
      if (io.env.monotonicMs() - heardMs >= SILENCE_MS) done.resolve()
      else watch()
    })
  }
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error) return
      heardMs = io.env.monotonicMs()
      const origin = originOf(message.reply)
      // A word of the server: there is nothing more, or no more within the bytes.
      if (origin === undefined) {
        done.resolve()
        return
      }
      const { subject, data, headers } = message
      record({ seq: origin.seq, subject, data, header: (name) => headers?.get(name) || undefined })
      if (origin.count >= most || origin.pending === 0) done.resolve()
    },
  })
  const lost = io.link.watch.on((event) => {
    if (event.type === 'lost') done.reject(new BusError('BROKER_TIMEOUT', 'the connection was lost'))
  })
  try {
    const question = JSON.stringify({ batch: most, max_bytes: MOST_BYTES, no_wait: true })
    connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`, question, { reply: inbox })
    watch()
    await done.promise
  } finally {
    timer?.cancel()
    lost[Symbol.dispose]()
    subscription.unsubscribe()
    // Without that the server removes it by itself, later.
    if (io.link.watch.isUp && !connection.isClosed()) connection.publish(`$JS.API.CONSUMER.DELETE.${stream}.${name}`)
  }
}
