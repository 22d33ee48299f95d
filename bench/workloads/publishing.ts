import { timed } from '../harness/clock.ts'
import { Sink } from '../harness/data.ts'
import type { Contestant, Pass } from '../harness/types.ts'
import type { Channel, Handle, HandlerKind, Peer } from '../peers/peer.ts'

/** A burst is published without waiting, then its last handler is waited for: well below any queue's limit. */
export const BURST = 1_000

const SETTLED = Promise.resolve()

export interface Publishing {
  readonly kind: HandlerKind
  /** Messages of one pass. */
  readonly messages: number
  /** Handlers that each get every message. Default 1. */
  readonly handlers?: number
  readonly burst?: number
  /** Counts messages although every handler gets each. Default: deliveries. */
  readonly countMessages?: boolean
}

/** A peer that publishes to its handlers in bursts, all handled and checked. */
export function publishing(peer: Peer, setting: Publishing): Contestant {
  const { kind, messages, handlers = 1 } = setting
  return {
    name: peer.name,
    kind: peer.kind,
    ...(peer.does === undefined ? {} : { does: peer.does }),
    async open(scale) {
      const sink = new Sink()
      const total = scale.count(messages)
      const handles = Array.from({ length: handlers }, () => handler(kind, sink))
      const channel = await peer.open(handles, kind)
      const close = channel.close
      return { pass: () => pass(channel, sink, total, setting), ...(close === undefined ? {} : { close }) }
    },
  }
}

async function pass(channel: Channel, sink: Sink, total: number, setting: Publishing): Promise<Pass> {
  const { handlers = 1, burst = BURST, countMessages = false } = setting
  const done = await timed(countMessages ? total : total * handlers, async () => {
    for (let from = 0; from < total; from += burst) {
      const to = Math.min(from + burst, total)
      const handled = sink.reached(to * handlers)
      void channel.burst(from, to)
      await handled
    }
    await channel.idle?.()
  })
  sink.verify(total, handlers)
  channel.check?.(total)
  return done
}

function handler(kind: HandlerKind, sink: Sink): Handle {
  switch (kind) {
    case 'sync':
      return (data) => sink.take(data)
    case 'async':
      return async (data) => sink.take(data)
    case 'suspending':
      return async (data) => {
        await SETTLED
        sink.take(data)
      }
    default:
      return kind satisfies never
  }
}
