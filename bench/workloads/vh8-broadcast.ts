import type { Handler } from '../../src/index.ts'
import { dataOf } from '../harness/data.ts'
import type { Row, Workload } from '../harness/types.ts'
import { bareRing } from '../peers/bare.ts'
import { nodeEmitter } from '../peers/node-emitter.ts'
import type { Peer } from '../peers/peer.ts'
import { swarmbus, swarmbusAs } from '../peers/swarmbus.ts'
import { publishing } from './publishing.ts'

const broadcast = swarmbusAs({
  bind: (bus, handler, index) => bus.register(`agent-${index}`, { handler: handler as Handler }),
  send: (bus, id) => bus.broadcast(dataOf(id)),
})

function row(name: string, work: string, ours: Peer, perSecond: number, note: string): Row {
  return {
    name,
    work,
    timed: 'one burst: making the data, every send, until the last of 10 000 deliveries has ended, then idle()',
    unit: 'deliveries',
    contestants: [ours, bareRing, nodeEmitter].map((peer) =>
      publishing(peer, { kind: 'async', messages: 500, handlers: 20 }),
    ),
    elsewhere: { system: 'veritas', figures: { perSecond }, note },
  }
}

export const vh8: Workload = {
  id: 'VH8',
  rows: [
    row('broadcast', 'broadcast of 500 messages to 20 agents', broadcast, 488_000, 'its fastest setting; default 81 k'),
    row(
      'topic',
      '500 publishes to a topic with 20 subscribers',
      swarmbus,
      436_000,
      'its fastest setting; default 79 k',
    ),
  ],
}
