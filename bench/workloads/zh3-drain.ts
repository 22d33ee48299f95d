import { timed, Window } from '../harness/clock.ts'
import { mustBe } from '../harness/data.ts'
import { spaced } from '../harness/format.ts'
import type { Contestant, Figures, Row, Workload } from '../harness/types.ts'
import { bareRing } from '../peers/bare.ts'
import type { Peer } from '../peers/peer.ts'
import { swarmbus } from '../peers/swarmbus.ts'
import { enqueueThenDrain } from './mailing.ts'

function row(messages: number, figures: Figures): Row {
  return {
    name: `${messages} then drain`,
    work: `enqueue ${spaced(messages)}, then one task drains all`,
    timed:
      'making the data, send without waiting for each, then receive until the last; the queue limit is raised to the count',
    unit: 'msg',
    contestants: enqueueThenDrain(messages),
    elsewhere: { system: 'zejzl', figures },
  }
}

/** A subscriber's callback, at most `inFlight` messages between publish and the end of the handler. */
function calledBack(peer: Peer, messages: number, inFlight: number): Contestant {
  return {
    name: peer.name,
    kind: peer.kind,
    async open(scale) {
      const total = scale.count(messages)
      const window = new Window(inFlight)
      const state = { handled: 0, done: (): void => {} }
      const handle = async (): Promise<void> => {
        window.leave()
        if (++state.handled === total) state.done()
      }
      const channel = await peer.open([handle], 'async')
      const pass = async () => {
        state.handled = 0
        const all = new Promise<void>((resolve) => {
          state.done = resolve
        })
        const done = await timed(total, async () => {
          for (let id = 0; id < total; id++) {
            const room = window.enter()
            if (room !== undefined) await room
            channel.burst(id, id + 1)
          }
          await all
          await channel.idle?.()
        })
        mustBe('handled messages', state.handled, total)
        channel.check?.(total)
        return done
      }
      return { pass, ...(channel.close === undefined ? {} : { close: channel.close }) }
    },
  }
}

export const zh3: Workload = {
  id: 'ZH3',
  rows: [
    row(10_000, { perSecond: 68_157, drainPerSecond: 79_858 }),
    row(100_000, { perSecond: 63_621, drainPerSecond: 75_685 }),
    {
      name: 'callback',
      work: '100 000 messages to a callback subscriber, 64 in flight',
      timed: 'making the data, publish, handler, the window, until the last handler has ended, then idle()',
      unit: 'msg',
      contestants: [swarmbus, bareRing].map((peer) => calledBack(peer, 100_000, 64)),
      elsewhere: { system: 'zejzl', figures: { perSecond: 64_223 } },
    },
  ],
}
