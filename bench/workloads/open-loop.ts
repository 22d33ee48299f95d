import { timedEach } from '../harness/clock.ts'
import { mustBe } from '../harness/data.ts'
import { percentile } from '../harness/figures.ts'
import type { Contestant, Pass } from '../harness/types.ts'
import type { Channel, Peer } from '../peers/peer.ts'

export interface Pace {
  readonly perSecond: number
  readonly seconds: number
}

/**
 * Sends at a fixed pace whatever the receiver does. Each latency counts from the moment at which the message was due, not from when
 * the sender came to it, so that a stall counts for every message that it held up.
 */
export function openLoop(peer: Peer, { perSecond, seconds }: Pace): Contestant {
  return {
    name: peer.name,
    kind: peer.kind,
    async open(scale) {
      const total = scale.count(perSecond * seconds)
      const gapMs = 1_000 / perSecond
      const state = { startMs: 0, samples: new Float64Array(0) as Float64Array, handled: 0, done: (): void => {} }
      const handle = async ({ id }: { readonly id: number }): Promise<void> => {
        state.samples[id] = performance.now() - (state.startMs + id * gapMs)
        if (++state.handled === total) state.done()
      }
      const channel = await peer.open([handle], 'async')
      const { close } = channel
      const pass = async (): Promise<Pass> => {
        const late = new Float64Array(total)
        state.handled = 0
        const all = new Promise<void>((resolve) => {
          state.done = resolve
        })
        const done = await timedEach(total, async (samples) => {
          state.samples = samples
          state.startMs = performance.now()
          await paced(channel, total, gapMs, late)
          await all
          await channel.idle?.()
        })
        mustBe('handled messages', state.handled, total)
        late.sort()
        return { ...done, extra: { 'sender p99': percentile(late, 0.99) * 1_000 } }
      }
      return { pass, ...(close === undefined ? {} : { close }) }
    },
  }
}

/** A sender that was held up catches up in several turns, so that it does not overrun the queue that it has filled. */
const MOST_PER_TURN = 1_000

/** Sends whatever is due in every turn of the event loop; never sleeps, so a turn is some microseconds. */
function paced(channel: Channel, total: number, gapMs: number, late: Float64Array): Promise<void> {
  const startMs = performance.now()
  let next = 0
  return new Promise((resolve) => {
    const turn = (): void => {
      const nowMs = performance.now()
      const most = Math.min(total, next + MOST_PER_TURN)
      while (next < most && startMs + next * gapMs <= nowMs) {
        late[next] = nowMs - (startMs + next * gapMs)
        channel.burst(next, next + 1)
        next++
      }
      if (next < total) setImmediate(turn)
      else resolve()
    }
    turn()
  })
}
