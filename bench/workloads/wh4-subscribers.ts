import { spaced } from '../harness/format.ts'
import type { Row, Workload } from '../harness/types.ts'
import { bareRing } from '../peers/bare.ts'
import { nodeEmitter } from '../peers/node-emitter.ts'
import { swarmbus } from '../peers/swarmbus.ts'
import { publishing } from './publishing.ts'

function row(subscribers: number, messages: number, perSecond: number): Row {
  const peers = subscribers === 0 ? [swarmbus, nodeEmitter] : [swarmbus, bareRing, nodeEmitter]
  return {
    name: `${subscribers} subscribers`,
    work: `${spaced(messages)} publishes to ${subscribers} no-op subscribers`,
    timed:
      'bursts of 1 000: making the data, publish, every handler, until the last of the burst has ended, then idle()',
    unit: 'msg',
    contestants: peers.map((peer) =>
      publishing(peer, { kind: 'sync', messages, handlers: subscribers, countMessages: true }),
    ),
    elsewhere: { system: 'woodwork', figures: { perSecond } },
  }
}

export const wh4: Workload = {
  id: 'WH4',
  rows: [row(0, 50_000, 278_894), row(1, 50_000, 240_615), row(10, 10_000, 114_597), row(100, 1_000, 18_658)],
}
