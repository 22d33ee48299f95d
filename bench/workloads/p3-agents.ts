import type { Row, Workload } from '../harness/types.ts'
import {
  agentsBySend,
  agentsWithTopics,
  bareRings,
  emitterWithTopics,
  mqemitterWithTopics,
  oneAmongAgents,
  sessionsOnOneTopic,
} from '../peers/many.ts'
import type { Peer } from '../peers/peer.ts'
import { swarmbusAs } from '../peers/swarmbus.ts'
import { idleAgents, idleEmitters } from './idle-memory.ts'
import { publishing } from './publishing.ts'

const TIMED =
  'as P1 with an async handler: bursts of 1 000, until the last handler of the burst has ended, then idle(). Registering is outside'
const P1 = swarmbusAs({ name: 'P1: one topic, one handler' })

function contestants(...peers: readonly Peer[]): Row['contestants'] {
  return peers.map((peer) => publishing(peer, { kind: 'async', messages: 100_000 }))
}

function ofP1(name: string): NonNullable<Row['bars']>[number] {
  return {
    text: `≥ 0.4 of P1${name.startsWith('swarmbus') ? '' : `: ${name}`}`,
    value: (medians) => medians.of(name) / medians.of(P1.name),
    atLeast: 0.4,
  }
}

export const p3: Workload = {
  id: 'P3',
  rows: [
    {
      name: '10 000 agents',
      work: 'publish → 10 000 agents with one topic each, round robin',
      timed: TIMED,
      unit: 'msg',
      contestants: contestants(
        agentsWithTopics('swarmbus', 10_000),
        P1,
        agentsBySend('10 000 agents, by send', 10_000),
        agentsWithTopics('10 agents, one topic each', 10),
        bareRings('10 000 bare rings', 10_000),
        emitterWithTopics('EventEmitter, 10 000 topics', 10_000),
        mqemitterWithTopics('mqemitter, 10 000 topics', 10_000, 10_000),
      ),
      bars: [ofP1('swarmbus'), ofP1('10 000 agents, by send')],
    },
    {
      name: 'cost by subscriptions',
      work: 'publish → one busy topic while 10 000 agents have other topics',
      timed: TIMED,
      unit: 'msg',
      contestants: contestants(
        oneAmongAgents('swarmbus', 10_000),
        oneAmongAgents('among 10 agents', 10),
        mqemitterWithTopics('mqemitter, one of 10 000 topics', 10_000, 1),
      ),
      bars: [
        {
          text: '≥ 0.8 of the same among 10',
          value: (medians) => medians.of('swarmbus') / medians.of('among 10 agents'),
          atLeast: 0.8,
        },
      ],
    },
    {
      name: '1 000 sessions',
      work: 'publish → one topic, 1 000 sessions, order in each checked',
      timed: TIMED,
      unit: 'msg',
      contestants: contestants(sessionsOnOneTopic('swarmbus', 1_000), P1, bareRings('1 000 bare rings', 1_000)),
      bars: [ofP1('swarmbus')],
    },
    {
      name: 'memory',
      work: 'heap per idle agent of 10 000, after each has handled one message',
      timed: 'registering; the bytes are the heap after a full collection minus before, by 10 000, the names included',
      unit: 'agents',
      main: 'bytes',
      contestants: [
        idleAgents('swarmbus', 'handled'),
        idleAgents('never had a message', 'registered'),
        idleAgents('with a topic of its own', 'subscribed'),
        idleEmitters,
      ],
      bars: [
        { text: '≤ 2 KiB each', value: (medians) => medians.of('swarmbus'), atMost: 2_048 },
        {
          text: '≤ 2 KiB: with a topic of its own',
          value: (medians) => medians.of('with a topic of its own'),
          atMost: 2_048,
        },
      ],
    },
  ],
}
