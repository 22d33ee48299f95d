import { millions } from '../harness/format.ts'
import type { Bar, Row, Workload } from '../harness/types.ts'
import { bareRing } from '../peers/bare.ts'
import { effectPubSub } from '../peers/effect.ts'
import { emittery } from '../peers/emittery.ts'
import { eventemitter3 } from '../peers/eventemitter3.ts'
import { mittPeer } from '../peers/mitt.ts'
import { moleculerEmit } from '../peers/moleculer.ts'
import { mqemitterInOrder, mqemitterOverlapping } from '../peers/mqemitter.ts'
import { nodeEmitter } from '../peers/node-emitter.ts'
import type { HandlerKind, Peer } from '../peers/peer.ts'
import { rxjs } from '../peers/rxjs.ts'
import { swarmbus } from '../peers/swarmbus.ts'
import { publishing } from './publishing.ts'

/** The fastest figure of zejzl in its own way of measuring; `elsewhere`, so a bound and not a ratio within the run. */
const ZEJZL_PER_SECOND = 77_000

const ALL = [
  swarmbus,
  bareRing,
  mqemitterOverlapping,
  mqemitterInOrder,
  emittery,
  effectPubSub,
  moleculerEmit,
  rxjs,
  nodeEmitter,
  eventemitter3,
  mittPeer,
]
const MUST_BEAT = [mqemitterOverlapping, mqemitterInOrder, emittery, effectPubSub, moleculerEmit]
const TIMED =
  'bursts of 1 000: making the data, publish, hand-over, handler, until the last handler of the burst has ended, then idle(). ' +
  'Ours with envelope, id, freezing, levels, history, counters and error isolation'

function row(name: string, kind: HandlerKind, peers: readonly Peer[], bars: readonly Bar[]): Row {
  return {
    name,
    work: `publish → one ${name}, all handled`,
    timed: TIMED,
    unit: 'msg',
    contestants: peers.map((peer) => publishing(peer, { kind, messages: 100_000 })),
    bars,
  }
}

const ofTheRing: Bar = {
  text: '≥ 0.3 of the bare ring',
  value: (medians) => medians.of('swarmbus') / medians.of('bare ring'),
  atLeast: 0.3,
}

export const p1: Workload = {
  id: 'P1',
  rows: [
    row('async handler', 'async', ALL, [
      { text: `≥ ${millions(5_000_000)}/s`, value: (medians) => medians.of('swarmbus'), atLeast: 5_000_000 },
      {
        text: '≥ 50 × zejzl (77 k/s)',
        value: (medians) => medians.of('swarmbus') / ZEJZL_PER_SECOND,
        atLeast: 50,
      },
      ...MUST_BEAT.map(
        ({ name }): Bar => ({
          text: `ahead of ${name}`,
          value: (medians) => medians.of('swarmbus') / medians.of(name),
          atLeast: 1,
        }),
      ),
      ofTheRing,
    ]),
    row('sync handler', 'sync', ALL, [ofTheRing]),
    row(
      'handler that suspends',
      'suspending',
      ALL.filter(({ does }) => does?.waits !== 'no'),
      [],
    ),
  ],
}
