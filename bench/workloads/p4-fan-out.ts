import type { Workload } from '../harness/types.ts'
import { bareRing } from '../peers/bare.ts'
import { bareChain, mqemitterChain, swarmbusChain } from '../peers/chains.ts'
import { emittery } from '../peers/emittery.ts'
import { mittPeer } from '../peers/mitt.ts'
import { mqemitterOverlapping } from '../peers/mqemitter.ts'
import { nodeEmitter } from '../peers/node-emitter.ts'
import { rxjs } from '../peers/rxjs.ts'
import { swarmbus } from '../peers/swarmbus.ts'
import { chaining } from './chaining.ts'
import { openLoop } from './open-loop.ts'
import { publishing } from './publishing.ts'

const FAN_OUT = [swarmbus, bareRing, mqemitterOverlapping, emittery, rxjs, nodeEmitter, mittPeer]

export const p4: Workload = {
  id: 'P4',
  rows: [
    {
      name: 'fan-out',
      work: 'publish → 100 sync handlers, each its own queue',
      timed: 'as P1: bursts of 1 000 messages, until the last of 100 000 deliveries has ended, then idle()',
      unit: 'deliveries',
      contestants: FAN_OUT.map((peer) => publishing(peer, { kind: 'sync', messages: 10_000, handlers: 100 })),
      bars: [{ text: '≥ 20 M deliveries/s', value: (medians) => medians.of('swarmbus'), atLeast: 20_000_000 }],
    },
    {
      name: 'chain of nine',
      work: 'driver → nine agents in a chain → driver, one cycle at a time',
      timed:
        'one cycle of ten hops: making the data, ten sends in the agents’ names, ten handlers, and the driver’s promise',
      unit: 'cycles',
      main: 'p95',
      contestants: [swarmbusChain, bareChain, mqemitterChain].map((chain) => chaining(chain, 9, 10_000)),
      bars: [{ text: 'p95 ≤ 20 µs', value: (medians) => medians.of('swarmbus', 'p95'), atMost: 20 }],
    },
    {
      name: 'latency at 100 k/s',
      work: 'open loop, 100 000 msg/s → one async handler',
      timed:
        'from when a message was due until its handler began, for 2 s in each round; “sender p99” is how late the sender itself was, ' +
        'which is inside. The rate is set, not reached',
      unit: 'msg',
      main: 'p99',
      contestants: [swarmbus, bareRing, mqemitterOverlapping].map((peer) =>
        openLoop(peer, { perSecond: 100_000, seconds: 2 }),
      ),
      bars: [{ text: 'p99 ≤ 0.5 ms', value: (medians) => medians.of('swarmbus', 'p99'), atMost: 500 }],
    },
  ],
}
