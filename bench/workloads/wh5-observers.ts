import { spaced } from '../harness/format.ts'
import type { Row, Workload } from '../harness/types.ts'
import { bareChain, mqemitterChain, swarmbusChain } from '../peers/chains.ts'
import { nodeEmitter } from '../peers/node-emitter.ts'
import { type HandlerKind, type Peer, TOPIC } from '../peers/peer.ts'
import { swarmbusAs } from '../peers/swarmbus.ts'
import { chaining } from './chaining.ts'
import { publishing } from './publishing.ts'

/** Subscribers that look on, and a wrapper around their handlers for each pipe. */
function observed(middleware: number): Peer {
  return swarmbusAs({
    prepare(bus) {
      for (let left = middleware; left > 0; left--) bus.use((next) => (message, context) => next(message, context))
    },
    bind: (bus, handler) => bus.subscribe(TOPIC, handler, { observer: true }),
  })
}

interface Hooks {
  readonly observers: number
  readonly middleware: number
  readonly kind: HandlerKind
  readonly messages: number
}

function row(name: string, hooks: Hooks, perSecond: number): Row {
  const { observers, middleware, kind, messages } = hooks
  return {
    name,
    work: `${spaced(messages)} publishes with ${name}`,
    timed:
      'bursts of 1 000: making the data, publish, every observer, until the last of the burst has ended, then idle(). Observers and ' +
      'middleware stand for hooks and pipes: emits with both come with the routing part',
    unit: 'msg',
    contestants: [observed(middleware), nodeEmitter].map((peer) =>
      publishing(peer, { kind, messages, handlers: observers, countMessages: true }),
    ),
    elsewhere: { system: 'woodwork', figures: { perSecond } },
  }
}

export const wh5: Workload = {
  id: 'WH5',
  rows: [
    row('no observer', { observers: 0, middleware: 0, kind: 'async', messages: 20_000 }, 298_239),
    row('1 observer', { observers: 1, middleware: 0, kind: 'async', messages: 20_000 }, 77_012),
    row('1 observer in 1 middleware', { observers: 1, middleware: 1, kind: 'async', messages: 20_000 }, 71_570),
    row('10 observers', { observers: 10, middleware: 0, kind: 'async', messages: 20_000 }, 24_897),
    row('1 sync observer', { observers: 1, middleware: 0, kind: 'sync', messages: 2_000 }, 13_557),
    {
      name: 'input→mid→output',
      work: 'input → mid → output, 4 000 times',
      timed: 'one cycle: making the data, four sends, four handlers (the last tells the driver), two clock readings',
      unit: 'cycles',
      contestants: [swarmbusChain, bareChain, mqemitterChain].map((chain) => chaining(chain, 3, 4_000)),
      elsewhere: { system: 'woodwork', figures: { perSecond: 111_729, p50: 8.7, p95: 8.9, p99: 9.7 } },
    },
  ],
  later: [
    'emits through pipes that change the payload, and routes to three inline targets: come with the routing part',
  ],
}
